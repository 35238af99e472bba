// SPDX-License-Identifier: Apache-2.0
/*
 * Further processes in the container. An exec is made (its plan is checked and kept), then started
 * by its one client, or by the agent when it only wants the code and the last output (health
 * commands). An exec that is never started is dropped after a while.
 */
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "shim/shim.h"

struct exec {
    struct shim *shim;
    struct exec *next;
    uint64_t id;
    struct mon_exec how;
    struct mapping plan_bytes;
    const struct plan_exec *plan;
    struct streams *streams; /* NULL: not started */
    struct carry_proc proc;
    struct server_ticket ticket; /* of one that captures */
    struct mon_exit exit;
    bool ended, told, timed_out;
    struct loop_timer timer; /* unused, time-out, drain: one at a time, in this order */
};

static struct exec *find(const struct shim *s, uint64_t id)
{
    struct exec *x = s->execs;

    while (x && x->id != id)
        x = x->next;
    return x;
}

static struct exec *find_known(const struct shim *s, uint64_t id, struct zl_error *err)
{
    struct exec *x = find(s, id);

    if (!x)
        (void)zl_fail(err, ZL_ERR_NOT_FOUND, "there is no exec %llu", (unsigned long long)id);
    return x;
}

static void free_exec(struct exec *x)
{
    struct exec **at = &x->shim->execs;

    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    x->shim->n_execs--;
    loop_disarm(&x->shim->loop, &x->timer);
    streams_free(x->streams);
    mapping_close(&x->plan_bytes);
    zl_closep(&x->proc.pidfd);
    free(x);
}

void exec_done_all(struct shim *s)
{
    while (s->execs)
        free_exec(s->execs);
}

static void drop_unused(void *arg)
{
    free_exec(arg);
}

void exec_drop_unused(struct shim *s)
{
    struct exec *next;

    for (struct exec *x = s->execs; x; x = next) {
        next = x->next;
        if (!x->streams)
            free_exec(x);
    }
}

/* --- make --- */

static int check_exec(const struct shim *s, const struct server_request *rq,
                      const struct mon_exec *how, struct zl_error *err)
{
    size_t most = SHIM_EXECS_MAX + (how->capture ? SHIM_EXECS_KEPT : 0);

    if (s->n_execs >= most)
        return zl_fail(err, ZL_ERR_CONFLICT, "exec: %zu are there already", s->n_execs);
    if (rq->msg->n_fds != 1)
        return zl_fail(err, ZL_ERR_PROTOCOL, "exec: %d descriptors came, 1 expected",
                       rq->msg->n_fds);
    return 0;
}

int exec_make(struct shim *s, struct server_request *rq, uint64_t *ret_id, struct zl_error *err)
{
    if (s->guest && s->guest->no_exec)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "exec: %s", s->guest->no_exec);
    struct mon_exec how;
    zl_msg_body(rq->msg, &how, sizeof how);
    if (check_exec(s, rq, &how, err) < 0)
        return -1;
    struct exec *x = calloc(1, sizeof *x);
    if (!x)
        return zl_fail_errno(err, "exec");
    x->shim = s;
    x->proc.pidfd = -1;
    x->id = ++s->last_exec_id;
    x->next = s->execs;
    s->execs = x;
    s->n_execs++;
    x->how = how;
    if (mapping_open(rq->msg->fds[0], &x->plan_bytes, err) < 0 ||
        plan_exec_check(x->plan_bytes.bytes, x->plan_bytes.size, &x->plan, err) < 0) {
        free_exec(x);
        return zl_wrap(err, "exec");
    }
    loop_arm(&s->loop, &x->timer, SHIM_EXEC_UNUSED_MS, drop_unused, x);
    *ret_id = x->id;
    return 0;
}

/* --- end --- */

static void answer_captured(struct exec *x)
{
    struct mon_exec_done done = { .exit = x->exit, .timed_out = x->timed_out };

    done.length = (uint32_t)streams_captured(x->streams, done.output);
    server_answer(x->shim->server, &x->ticket, &done, sizeof done, -1);
}

/* Tells the end; the exec is freed when its client has taken everything. */
static void finish(struct exec *x)
{
    if (x->told)
        return;
    loop_disarm(&x->shim->loop, &x->timer);
    x->told = true;
    if (x->how.capture)
        answer_captured(x);
    streams_finish(x->streams, &x->exit);
}

static void free_finished(void *arg)
{
    struct exec *x = arg;
    struct shim *s = x->shim;

    free_exec(x);
    (void)container_end_if_quiet(s);
}

/* Freed from the loop: streams_… may be running. */
static void free_when_left(struct exec *x)
{
    if (x->told && streams_clients(x->streams) == 0)
        loop_arm(&x->shim->loop, &x->timer, 0, free_finished, x);
}

static void finish_now(void *arg)
{
    struct exec *x = arg;
    finish(x);
    free_when_left(x);
}

static void output_ended(void *arg)
{
    struct exec *x = arg;

    if (x->ended)
        finish_now(x);
}

static void client_left(void *arg)
{
    struct exec *x = arg;

    if (streams_clients(x->streams) > 0)
        return;
    if (!x->ended && !(x->how.flags & MON_EXEC_KEEP))
        kill_tree(x->proc.pid);
    free_when_left(x);
}

static const struct streams_events exec_streams = { .ended = output_ended, .left = client_left };

static void time_is_out(void *arg)
{
    struct exec *x = arg;

    x->timed_out = true;
    kill_tree(x->proc.pid); /* its end is seen as any other */
}

bool exec_reaped(struct shim *s, pid_t pid, int code, int signal)
{
    struct exec *x = s->execs;

    while (x && (x->ended || !x->streams || x->proc.pid != pid))
        x = x->next;
    if (!x)
        return false;
    x->ended = true;
    x->exit.code = code;
    x->exit.signal = signal;
    x->exit.finished_wall_ns = zl_wall_ns();
    if (streams_drain(x->streams))
        finish_now(x);
    else /* others hold its output open: a daemon that it started, say */
        loop_arm(&s->loop, &x->timer, SHIM_DRAIN_MS, finish_now, x);
    return true;
}

/* --- start --- */

static int open_streams(struct exec *x, struct zl_error *err)
{
    struct streams_opts opts = {
        .tty = x->how.flags & MON_CREATE_TTY,
        .stdin_open = x->how.flags & MON_CREATE_STDIN,
        .first_holds = !x->how.capture,
        .capture = x->how.capture,
    };
    return streams_open(&x->shim->loop, &opts, &exec_streams, x, &x->streams, err);
}

static int launch(struct exec *x, struct zl_error *err)
{
    struct shim *s = x->shim;
    struct carry_start how = {
        .gate = -1,
        .report = -1,
        .outcome = -1,
        .rows = size_or(x->how.rows, x->plan->process.rows, 24),
        .cols = size_or(x->how.cols, x->plan->process.cols, 80),
    };

    streams_child_ends(x->streams, how.stdio, &how.console_socket);
    if (carry_exec(s->carry, s->init.pidfd, x->plan, &how, &x->proc, err) < 0)
        return -1;
    x->exit.started_wall_ns = zl_wall_ns();
    if (streams_started(x->streams, err) < 0) {
        kill_tree(x->proc.pid); /* reaped as an orphan: the exec is gone by then */
        return -1;
    }
    if (x->how.timeout_ms)
        loop_arm(&s->loop, &x->timer, x->how.timeout_ms, time_is_out, x);
    return 0;
}

static int begin(struct exec *x, struct server_request *rq, struct zl_error *err)
{
    zl_autoclose int client = -1;

    if (open_streams(x, err) < 0)
        return -1;
    if (!x->how.capture) {
        client = streams_attach(x->streams, err);
        if (client < 0)
            return -1;
    }
    if (launch(x, err) < 0)
        return -1;
    if (x->how.capture)
        x->ticket = rq->ticket;
    else
        server_answer(x->shim->server, &rq->ticket, NULL, 0, client);
    return 0;
}

int exec_start(struct shim *s, uint64_t id, struct server_request *rq, struct zl_error *err)
{
    struct exec *x = find_known(s, id, err);

    if (!x)
        return -1;
    if (x->streams)
        return zl_fail(err, ZL_ERR_CONFLICT, "exec %llu has been started", (unsigned long long)id);
    if (s->paused)
        return zl_fail(err, ZL_ERR_CONFLICT, "exec: the container is paused");
    if (s->init_ended) /* reaped: its pid may be a process of the host by now, to be joined */
        return zl_fail(err, ZL_ERR_CONFLICT, "exec: the container has ended");
    loop_disarm(&s->loop, &x->timer);
    if (begin(x, rq, err) < 0) {
        free_exec(x);
        return zl_wrap(err, "exec");
    }
    return 0;
}

/* --- running --- */

int exec_signal(struct shim *s, uint64_t id, int signal, struct zl_error *err)
{
    struct exec *x = find_known(s, id, err);

    if (!x)
        return -1;
    if (signal < 1 || signal > SIGRTMAX)
        return zl_fail(err, ZL_ERR_INVALID, "signal %d does not exist", signal);
    if (!x->streams)
        return zl_fail(err, ZL_ERR_CONFLICT, "the exec has not been started");
    if (!x->ended && kill(x->proc.pid, signal) < 0) /* not reaped, so it is that process */
        return zl_fail_errno(err, "send signal %d", signal);
    return 0;
}

int exec_let_go(struct shim *s, uint64_t id, struct zl_error *err)
{
    struct exec *x = find_known(s, id, err);

    if (!x)
        return -1;
    x->how.flags |= MON_EXEC_KEEP;
    if (x->streams)
        streams_let_go(x->streams);
    return 0;
}

int exec_stdin(struct shim *s, uint64_t id, struct streams **ret, struct zl_error *err)
{
    struct exec *x = find_known(s, id, err);

    if (!x)
        return -1;
    if (!x->streams)
        return zl_fail(err, ZL_ERR_CONFLICT, "the exec has not been started");
    *ret = x->streams;
    return 0;
}

int exec_resize(struct shim *s, uint64_t id, uint16_t rows, uint16_t cols, struct zl_error *err)
{
    struct exec *x = find_known(s, id, err);

    if (!x)
        return -1;
    if (x->streams)
        return streams_resize(x->streams, rows, cols, err);
    x->how.rows = rows; /* the terminal will be born with it */
    x->how.cols = cols;
    return 0;
}
