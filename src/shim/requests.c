// SPDX-License-Identifier: Apache-2.0
/*
 * What may be asked of a monitor: one row a request, with the phases in which it means something.
 * The server has checked rights and lengths before (monitor/server.h).
 */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "shim/shim.h"

/* Answers and returns 0, or keeps the ticket and returns 0, or fails and is refused. */
typedef int (*act_fn)(struct shim *s, struct server_request *rq, struct zl_error *err);

static int answer_empty(struct shim *s, struct server_request *rq)
{
    server_answer(s->server, &rq->ticket, NULL, 0, -1);
    return 0;
}

static int act_state(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    struct mon_state state;

    (void)err;
    container_state(s, &state);
    server_answer(s->server, &rq->ticket, &state, sizeof state, -1);
    return 0;
}

static int act_signal(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    struct mon_signal m;
    uint64_t exec_id;

    zl_msg_body(rq->msg, &m, sizeof m);
    if (server_exec_id(rq, m.exec_id, &exec_id, err) < 0)
        return -1;
    int rc = exec_id ? exec_signal(s, exec_id, m.signal, err) : container_signal(s, m.signal, err);
    return rc < 0 ? rc : answer_empty(s, rq);
}

static int act_kill_all(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    if (container_kill(s, err) < 0)
        return -1;
    return answer_empty(s, rq);
}

static int act_attach(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    int fd;

    if (container_attach(s, &fd, err) < 0)
        return -1;
    server_answer(s->server, &rq->ticket, NULL, 0, fd);
    (void)close(fd);
    return 0;
}

static int act_exec(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    struct mon_exec_made made = { 0 };

    if (exec_make(s, rq, &made.exec_id, err) < 0)
        return -1;
    server_answer(s->server, &rq->ticket, &made, sizeof made, -1);
    return 0;
}

static int act_exec_start(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    struct mon_exec_ref ref;
    uint64_t exec_id;

    zl_msg_body(rq->msg, &ref, sizeof ref);
    if (server_exec_id(rq, ref.exec_id, &exec_id, err) < 0)
        return -1;
    return exec_start(s, exec_id, rq, err);
}

static int act_resize(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    struct mon_resize m;
    uint64_t exec_id;

    zl_msg_body(rq->msg, &m, sizeof m);
    if (server_exec_id(rq, m.exec_id, &exec_id, err) < 0)
        return -1;
    int rc = exec_id ? exec_resize(s, exec_id, m.rows, m.cols, err)
                     : container_resize(s, m.rows, m.cols, err);
    return rc < 0 ? rc : answer_empty(s, rq);
}

/* Born here, it belongs to the network namespace that we share with the container, wherever the
 * process that gets it lives. */
static int act_socket(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    struct mon_socket m;

    zl_msg_body(rq->msg, &m, sizeof m);
    int type = m.type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
    if ((m.domain != AF_INET && m.domain != AF_INET6) ||
        (type != SOCK_STREAM && type != SOCK_DGRAM))
        return zl_fail(err, ZL_ERR_INVALID, "socket: only TCP and UDP over IP");
    zl_autoclose int fd = socket(m.domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, m.protocol);
    if (fd < 0)
        return zl_fail_errno(err, "make a socket");
    server_answer(s->server, &rq->ticket, NULL, 0, fd);
    return 0;
}

static int act_pause(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    struct mon_pause m;

    zl_msg_body(rq->msg, &m, sizeof m);
    if (container_pause(s, m.pause != 0, err) < 0)
        return -1;
    return answer_empty(s, rq);
}

static int act_update(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    if (rq->msg->n_fds != 1)
        return zl_fail(err, ZL_ERR_PROTOCOL, "update: %d descriptors came, 1 expected",
                       rq->msg->n_fds);
    if (container_update(s, rq->msg->fds[0], err) < 0)
        return -1;
    return answer_empty(s, rq);
}

static int act_stdin(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    struct mon_stdin m;
    struct mon_taken answer = { 0 };
    struct streams *to = s->streams;
    size_t n = rq->msg->head.length - sizeof m, taken;

    zl_msg_body(rq->msg, &m, sizeof m);
    if (m.exec_id && exec_stdin(s, m.exec_id, &to, err) < 0)
        return -1;
    if (streams_input(to, (const char *)rq->msg->body + sizeof m, n, &taken, err) < 0 ||
        (m.end && taken == n && streams_input_end(to, err) < 0))
        return -1;
    answer.taken = taken;
    server_answer(s->server, &rq->ticket, &answer, sizeof answer, -1);
    return 0;
}

static int act_detach(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    struct mon_detach m;
    uint64_t exec_id;

    zl_msg_body(rq->msg, &m, sizeof m);
    if (server_exec_id(rq, m.exec_id, &exec_id, err) < 0)
        return -1;
    if (exec_id && exec_let_go(s, exec_id, err) < 0)
        return -1;
    if (!exec_id)
        streams_let_go(s->streams);
    return answer_empty(s, rq);
}

static int act_grant(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    struct mon_grant g;

    zl_msg_body(rq->msg, &g, sizeof g);
    if (server_grant(s->server, &g, err) < 0)
        return -1;
    return answer_empty(s, rq);
}

enum { /* phases, as bits */
       NEW = 1 << MON_PHASE_NEW,
       CREATED = 1 << MON_PHASE_CREATED,
       RUNNING = 1 << MON_PHASE_RUNNING,
       EXITED = 1 << MON_PHASE_EXITED,
       MADE = CREATED | RUNNING | EXITED,
       ANY = NEW | MADE,
};

/* clang-format off */
static const struct {
    act_fn act;
    unsigned phases;
} acts[] = {
    [MON_HELLO]      = { act_state,        ANY },
    [MON_STATE]      = { act_state,        ANY },
    [MON_CREATE]     = { container_create, NEW },
    [MON_START]      = { container_start,  CREATED },
    [MON_SIGNAL]     = { act_signal,       RUNNING },
    [MON_KILL_ALL]   = { act_kill_all,     RUNNING | EXITED },
    [MON_STOP]       = { container_stop,   RUNNING | EXITED },
    [MON_WAIT]       = { container_wait,   MADE },
    [MON_ATTACH]     = { act_attach,       MADE },
    [MON_EXEC]       = { act_exec,         RUNNING },
    [MON_EXEC_START] = { act_exec_start,   RUNNING },
    [MON_RESIZE]     = { act_resize,       CREATED | RUNNING },
    [MON_SOCKET]     = { act_socket,       CREATED | RUNNING },
    [MON_GRANT]      = { act_grant,        MADE },
    [MON_FORGET]     = { container_forget, MADE },
    [MON_PAUSE]      = { act_pause,        RUNNING },
    [MON_UPDATE]     = { act_update,       CREATED | RUNNING },
    [MON_STDIN]      = { act_stdin,        RUNNING },
    [MON_DETACH]     = { act_detach,       MADE },
};

static const char *const phase_words[] = {
    [MON_PHASE_NEW]     = "there is no container yet",
    [MON_PHASE_CREATED] = "the container has not been started",
    [MON_PHASE_RUNNING] = "the container runs",
    [MON_PHASE_EXITED]  = "the container has ended",
};
/* clang-format on */

static void dispatch(void *arg, struct server_request *rq)
{
    struct shim *s = arg;
    uint16_t type = rq->ticket.type;
    struct zl_error err;
    int rc;

    if (acts[type].phases & 1u << s->phase)
        rc = acts[type].act(s, rq, &err);
    else
        rc = zl_fail(&err, ZL_ERR_CONFLICT, "%s: %s", shim_rows[type].name, phase_words[s->phase]);
    if (rc < 0)
        server_refuse(s->server, &rq->ticket, &err);
}

/* clang-format off */
const struct server_row shim_rows[] = {
    [MON_HELLO]      = { "hello",      sizeof(struct mon_hello),    0, dispatch },
    [MON_CREATE]     = { "create",     sizeof(struct mon_create),   0, dispatch },
    [MON_START]      = { "start",      sizeof(struct mon_start),    0, dispatch },
    [MON_SIGNAL]     = { "signal",     sizeof(struct mon_signal),   MON_GRANT_ATTACH | MON_GRANT_EXEC, dispatch },
    [MON_KILL_ALL]   = { "kill all",   0,                           0, dispatch },
    [MON_STOP]       = { "stop",       sizeof(struct mon_stop),     0, dispatch },
    [MON_ATTACH]     = { "attach",     0,                           MON_GRANT_ATTACH, dispatch },
    [MON_EXEC]       = { "exec",       sizeof(struct mon_exec),     0, dispatch },
    [MON_EXEC_START] = { "exec start", sizeof(struct mon_exec_ref), MON_GRANT_EXEC, dispatch },
    [MON_RESIZE]     = { "resize",     sizeof(struct mon_resize),   MON_GRANT_ATTACH | MON_GRANT_EXEC, dispatch },
    [MON_SOCKET]     = { "socket",     sizeof(struct mon_socket),   0, dispatch },
    [MON_GRANT]      = { "grant",      sizeof(struct mon_grant),    0, dispatch },
    [MON_STATE]      = { "state",      0,                           MON_GRANT_ATTACH | MON_GRANT_EXEC, dispatch },
    [MON_FORGET]     = { "forget",     0,                           0, dispatch },
    [MON_WAIT]       = { "wait",       0,                           MON_GRANT_ATTACH | MON_GRANT_EXEC, dispatch },
    [MON_PAUSE]      = { "pause",      sizeof(struct mon_pause),    0, dispatch },
    [MON_UPDATE]     = { "update",     0,                           0, dispatch },
    [MON_STDIN]      = { "stdin",      sizeof(struct mon_stdin),    0, dispatch },
    [MON_DETACH]     = { "detach",     sizeof(struct mon_detach),   MON_GRANT_ATTACH | MON_GRANT_EXEC, dispatch },
};
/* clang-format on */
const size_t shim_n_rows = ZL_ARRAY_LEN(shim_rows);
