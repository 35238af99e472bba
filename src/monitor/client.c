// SPDX-License-Identifier: Apache-2.0
#include "monitor/client.h"

#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/msg.h"

enum { CONNECT_S = 2 };

struct mon_client {
    int sock;
};

/* --- connecting --- */

int mon_client_adopt(int sock, struct mon_client **ret, struct zl_error *err)
{
    zl_autoclose int taken = sock;
    struct mon_client *c = malloc(sizeof *c);

    int flags = fcntl(sock, F_GETFL);
    if (!c || flags < 0 || fcntl(sock, F_SETFL, flags | O_NONBLOCK) < 0) {
        (void)zl_fail_errno(err, "talk to a monitor");
        free(c);
        return -1;
    }
    c->sock = zl_take_fd(&taken);
    *ret = c;
    return 0;
}

enum patience { WAIT_A_LITTLE = 0, DO_NOT_WAIT = SOCK_NONBLOCK };

static int open_named(int dir_fd, const char *name, enum patience p, struct mon_client **ret,
                      struct zl_error *err)
{
    struct sockaddr_un address;

    if (zl_unix_address(dir_fd, name, &address, err) < 0)
        return -1;
    zl_autoclose int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | (int)p, 0);
    /* Waits only while others fill the backlog: they must not make a living monitor look dead. */
    struct timeval patience = { .tv_sec = CONNECT_S };
    if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
        connect(sock, (const struct sockaddr *)&address, sizeof address) < 0) {
        (void)zl_fail_errno(err, "connect to the monitor");
        if (err && (errno == ENOENT || errno == ECONNREFUSED))
            err->kind = ZL_ERR_UNREACHABLE;
        if (err && errno == EAGAIN)
            err->kind = ZL_ERR_TIMEOUT;
        return -1;
    }
    return mon_client_adopt(zl_take_fd(&sock), ret, err);
}

int mon_client_open(int dir_fd, struct mon_client **ret, struct zl_error *err)
{
    return open_named(dir_fd, MON_CTL, WAIT_A_LITTLE, ret, err);
}

int mon_client_open_now(int dir_fd, struct mon_client **ret, struct zl_error *err)
{
    return open_named(dir_fd, MON_CTL, DO_NOT_WAIT, ret, err);
}

int mon_client_open_path(const char *path, struct mon_client **ret, struct zl_error *err)
{
    zl_autofree char *for_dir = strdup(path), *for_name = strdup(path);

    if (!for_dir || !for_name) {
        (void)zl_fail_errno(err, "connect to '%s'", path);
        return -1; /* spelled out for clang's analyzer, which cannot see into zl_fail */
    }
    zl_autoclose int dir_fd = open(dirname(for_dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        (void)zl_fail_errno(err, "connect to '%s'", path);
        if (err && errno == ENOENT)
            err->kind = ZL_ERR_UNREACHABLE;
        return -1;
    }
    int rc = open_named(dir_fd, basename(for_name), WAIT_A_LITTLE, ret, err);
    if (rc < 0)
        (void)zl_wrap(err, "'%s'", path);
    return rc;
}

void mon_client_free(struct mon_client *c)
{
    if (!c)
        return;
    zl_closep(&c->sock);
    free(c);
}

int mon_client_fd(const struct mon_client *c)
{
    return c->sock;
}

/* --- requests --- */

static int send_with_fds(struct mon_client *c, uint16_t type, uint64_t op, const void *body,
                         size_t size, const int *fds, size_t n_fds, struct zl_error *err)
{
    struct zl_msg m = {
        .head = { .version = MON_VERSION, .type = type, .length = (uint32_t)size, .op = op },
        .body = body,
        .n_fds = (int)n_fds,
    };

    if (n_fds > ZL_MSG_FDS)
        return zl_fail(err, ZL_ERR_INVALID, "%zu descriptors are too many for a message", n_fds);
    memcpy(m.fds, fds, n_fds * sizeof *fds);
    return zl_msg_send(c->sock, &m, err);
}

static int send_body(struct mon_client *c, uint16_t type, uint64_t op, const void *body,
                     size_t size, struct zl_error *err)
{
    return send_with_fds(c, type, op, body, size, (const int[]){ -1 }, 0, err);
}

static int send_empty(struct mon_client *c, uint16_t type, uint64_t op, struct zl_error *err)
{
    return send_body(c, type, op, "", 0, err);
}

int mon_client_send_hello(struct mon_client *c, uint64_t op, bool want_events, const char *token,
                          struct zl_error *err)
{
    struct mon_hello hello = { .want_events = want_events };

    if (token)
        memcpy(hello.token, token, sizeof hello.token);
    return send_body(c, MON_HELLO, op, &hello, sizeof hello, err);
}

int mon_client_send_create(struct mon_client *c, uint64_t op, const struct mon_create *create,
                           const int *fds, size_t n_fds, struct zl_error *err)
{
    return send_with_fds(c, MON_CREATE, op, create, sizeof *create, fds, n_fds, err);
}

int mon_client_send_start(struct mon_client *c, uint64_t op, struct zl_error *err)
{
    struct mon_start start = { 0 };
    return send_body(c, MON_START, op, &start, sizeof start, err);
}

int mon_client_send_signal(struct mon_client *c, uint64_t op, uint64_t exec_id, int signal,
                           struct zl_error *err)
{
    struct mon_signal s = { .signal = signal, .exec_id = exec_id };
    return send_body(c, MON_SIGNAL, op, &s, sizeof s, err);
}

int mon_client_send_kill_all(struct mon_client *c, uint64_t op, struct zl_error *err)
{
    return send_empty(c, MON_KILL_ALL, op, err);
}

int mon_client_send_stop(struct mon_client *c, uint64_t op, int signal, uint64_t grace_ms,
                         struct zl_error *err)
{
    struct mon_stop stop = { .signal = signal, .grace_ms = grace_ms };
    return send_body(c, MON_STOP, op, &stop, sizeof stop, err);
}

int mon_client_send_attach(struct mon_client *c, uint64_t op, struct zl_error *err)
{
    return send_empty(c, MON_ATTACH, op, err);
}

int mon_client_send_exec(struct mon_client *c, uint64_t op, const struct mon_exec *exec,
                         const int *fds, size_t n_fds, struct zl_error *err)
{
    return send_with_fds(c, MON_EXEC, op, exec, sizeof *exec, fds, n_fds, err);
}

int mon_client_send_exec_start(struct mon_client *c, uint64_t op, uint64_t exec_id,
                               struct zl_error *err)
{
    struct mon_exec_ref ref = { .exec_id = exec_id };
    return send_body(c, MON_EXEC_START, op, &ref, sizeof ref, err);
}

int mon_client_send_resize(struct mon_client *c, uint64_t op, uint64_t exec_id, uint16_t rows,
                           uint16_t cols, struct zl_error *err)
{
    struct mon_resize r = { .exec_id = exec_id, .rows = rows, .cols = cols };
    return send_body(c, MON_RESIZE, op, &r, sizeof r, err);
}

int mon_client_send_socket(struct mon_client *c, uint64_t op, int domain, int type, int protocol,
                           struct zl_error *err)
{
    struct mon_socket s = { .domain = domain, .type = type, .protocol = protocol };
    return send_body(c, MON_SOCKET, op, &s, sizeof s, err);
}

int mon_client_send_grant(struct mon_client *c, uint64_t op, const struct mon_grant *grant,
                          struct zl_error *err)
{
    return send_body(c, MON_GRANT, op, grant, sizeof *grant, err);
}

int mon_client_send_state(struct mon_client *c, uint64_t op, struct zl_error *err)
{
    return send_empty(c, MON_STATE, op, err);
}

int mon_client_send_wait(struct mon_client *c, uint64_t op, struct zl_error *err)
{
    return send_empty(c, MON_WAIT, op, err);
}

int mon_client_send_pause(struct mon_client *c, uint64_t op, bool pause, struct zl_error *err)
{
    struct mon_pause p = { .pause = pause };
    return send_body(c, MON_PAUSE, op, &p, sizeof p, err);
}

int mon_client_send_detach(struct mon_client *c, uint64_t op, uint64_t exec_id,
                           struct zl_error *err)
{
    struct mon_detach d = { .exec_id = exec_id };
    return send_body(c, MON_DETACH, op, &d, sizeof d, err);
}

int mon_client_send_update(struct mon_client *c, uint64_t op, int fd, struct zl_error *err)
{
    return send_with_fds(c, MON_UPDATE, op, "", 0, &fd, 1, err);
}

int mon_client_send_stdin(struct mon_client *c, uint64_t op, uint64_t exec_id, const void *bytes,
                          size_t n, bool end, struct zl_error *err)
{
    struct mon_stdin head = { .exec_id = exec_id, .end = end };
    zl_autobuf struct zl_buf body = ZL_BUF(sizeof head + MON_STDIN_MAX);

    zl_buf_add(&body, &head, sizeof head);
    zl_buf_add(&body, bytes, n);
    if (zl_buf_check(&body, "what goes to stdin", err) < 0)
        return -1;
    return send_body(c, MON_STDIN, op, body.data, body.len, err);
}

int mon_client_send_forget(struct mon_client *c, uint64_t op, struct zl_error *err)
{
    return send_empty(c, MON_FORGET, op, err);
}

int mon_client_send_wasm_prepare(struct mon_client *c, uint64_t op,
                                 const struct mon_wasm_module *module, int bytes_fd,
                                 struct zl_error *err)
{
    return send_with_fds(c, MON_WASM_PREPARE, op, module, sizeof *module, &bytes_fd, 1, err);
}

int mon_client_send_wasm_take(struct mon_client *c, uint64_t op,
                              const struct mon_wasm_module *module, struct zl_error *err)
{
    return send_body(c, MON_WASM_TAKE, op, module, sizeof *module, err);
}

int mon_client_send_wasm_end(struct mon_client *c, uint64_t op, struct zl_error *err)
{
    return send_empty(c, MON_WASM_END, op, err);
}

/* --- answers --- */

static void decode_exec_start(const struct zl_msg *m, struct mon_message *ret)
{
    if (m->n_fds > 0)
        return;
    ret->captured = true;
    zl_msg_body(m, &ret->exec_done, sizeof ret->exec_done);
    if (ret->exec_done.length > sizeof ret->exec_done.output)
        ret->exec_done.length = sizeof ret->exec_done.output;
}

static void decode_error(const struct zl_msg *m, struct mon_message *ret)
{
    struct mon_error e;
    zl_msg_body(m, &e, sizeof e);
    enum zl_err_kind kind =
        e.kind > ZL_OK && e.kind < ZL_ERR_KINDS ? (enum zl_err_kind)e.kind : ZL_ERR_SYSTEM;
    (void)zl_fail(&ret->err, kind, "%.*s", (int)strnlen(e.text, sizeof e.text), e.text);
    ret->err.errnum = e.errnum;
}

/* What an answer or event carries: bytes for one member of struct mon_message, or what is looked
 * into. Those that are not here carry nothing. */
struct content {
    uint16_t at, size;
    void (*decode)(const struct zl_msg *m, struct mon_message *ret);
};

#define MEMBER(name)                                                                               \
    {                                                                                              \
        offsetof(struct mon_message, name), sizeof((struct mon_message *)NULL)->name, NULL         \
    }

static const struct content contents[] = {
    [MON_ERROR] = { .decode = decode_error },
    [MON_HELLO] = MEMBER(state),
    [MON_STATE] = MEMBER(state),
    [MON_START] = MEMBER(started),
    [MON_STOP] = MEMBER(exit),
    [MON_WAIT] = MEMBER(exit),
    [MON_EXEC] = MEMBER(exec_made),
    [MON_EXEC_START] = { .decode = decode_exec_start },
    [MON_STDIN] = MEMBER(taken),
    [MON_EV_EXIT] = MEMBER(exit),
    [MON_WASM_PREPARE] = MEMBER(prepared),
};

static void decode(const struct zl_msg *m, struct mon_message *ret)
{
    if (m->head.type >= ZL_ARRAY_LEN(contents))
        return;
    const struct content *c = &contents[m->head.type];
    if (c->decode)
        c->decode(m, ret);
    else if (c->size)
        zl_msg_body(m, (char *)ret + c->at, c->size);
}

int mon_client_recv(struct mon_client *c, struct mon_message *ret, struct zl_error *err)
{
    char buf[MON_ANSWER_MAX];
    struct zl_msg m;

    int got = zl_msg_recv(c->sock, buf, sizeof buf, &m, err);
    if (got <= 0)
        return got;
    memset(ret, 0, sizeof *ret);
    ret->type = m.head.type;
    ret->op = m.head.op;
    ret->fd = -1;
    decode(&m, ret);
    if (m.n_fds > 0)
        ret->fd = zl_take_fd(&m.fds[0]);
    zl_msg_close_fds(&m);
    return 1;
}

/* --- the blocking half --- */

static int wait_readable(int fd, uint64_t deadline_ms, struct zl_error *err)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    for (;;) {
        uint64_t now = zl_mono_ms();
        if (deadline_ms && now >= deadline_ms)
            return zl_fail(err, ZL_ERR_TIMEOUT, "the monitor does not answer");
        uint64_t left = deadline_ms ? deadline_ms - now : UINT64_MAX;
        int n = poll(&p, 1, left < 3600000 ? (int)left : 3600000);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return zl_fail_errno(err, "wait for the monitor");
    }
}

int mon_client_next(struct mon_client *c, uint64_t deadline_ms, struct mon_message *ret,
                    struct zl_error *err)
{
    for (;;) {
        struct zl_error why;
        int got = mon_client_recv(c, ret, &why);
        if (got > 0)
            return 1;
        if (got == 0) {
            (void)zl_fail(err, ZL_ERR_UNREACHABLE, "the monitor has ended");
            return -1; /* spelled out, as above */
        }
        if (why.errnum != EAGAIN) {
            if (err)
                *err = why;
            return -1;
        }
        if (wait_readable(c->sock, deadline_ms, err) < 0)
            return -1;
    }
}

int mon_client_await(struct mon_client *c, uint64_t op, uint64_t deadline_ms,
                     struct mon_message *ret, struct zl_error *err)
{
    for (;;) {
        struct mon_message m;
        if (mon_client_next(c, deadline_ms, &m, err) != 1)
            return -1;
        if (m.op != op) {
            zl_closep(&m.fd);
            continue;
        }
        if (m.type == MON_ERROR) {
            zl_closep(&m.fd);
            if (err)
                *err = m.err;
            return -1;
        }
        *ret = m;
        return 0;
    }
}

int mon_client_connect(const char *path, const char *token, uint64_t deadline_ms,
                       struct mon_client **ret, struct mon_state *ret_state, struct zl_error *err)
{
    auto_mon_client struct mon_client *c = NULL;
    struct mon_message hello;

    if (mon_client_open_path(path, &c, err) < 0 ||
        mon_client_send_hello(c, 1, false, token, err) < 0 ||
        mon_client_await(c, 1, deadline_ms, &hello, err) < 0)
        return zl_wrap(err, "talk to the monitor");
    if (ret_state)
        *ret_state = hello.state;
    *ret = zl_take_ptr(c);
    return 0;
}

void mon_token_make(char out[MON_TOKEN_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[MON_TOKEN_LEN / 2];
    size_t got = 0;

    while (got < sizeof random) { /* interrupted at most; the pool is ready long before us */
        ssize_t n = getrandom(random + got, sizeof random - got, 0);
        got += n > 0 ? (size_t)n : 0;
    }
    for (size_t i = 0; i < sizeof random; i++) {
        out[2 * i] = digits[random[i] >> 4];
        out[2 * i + 1] = digits[random[i] & 15];
    }
    out[MON_TOKEN_LEN] = '\0';
}
