// SPDX-License-Identifier: Apache-2.0
#include "monitor/server.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/fd.h"

enum { BACKLOG = 16 };

struct connection {
    struct server *server;
    struct connection *next;
    struct loop_source source;
    uint64_t serial;
    int sock;
    bool own;     /* may ask anything */
    bool greeted; /* has said a hello that was accepted */
    bool closing; /* to be freed as soon as no handler of it runs */
    bool want_events;
    uint32_t granted;
    uint64_t granted_exec;
};

struct grant {
    char token[MON_TOKEN_LEN];
    uint32_t what; /* 0: free */
    uint64_t exec_id;
    uint64_t until_ms;
};

struct server {
    struct loop *loop;
    const struct server_row *rows;
    size_t n_rows;
    const struct server_events *on;
    void *arg;
    int listener;
    struct loop_source source;
    struct connection *connections; /* oldest first */
    uint64_t last_serial;
    struct grant grants[SERVER_GRANTS_MAX];
    char *packet; /* ZL_MSG_MAX: of the request at hand */
};

/* --- grants --- */

/* Takes the same time wherever the first difference is. */
static bool same_token(const char *a, const char *b)
{
    unsigned difference = 0;

    for (int i = 0; i < MON_TOKEN_LEN; i++)
        difference |= (unsigned)(a[i] ^ b[i]);
    return difference == 0;
}

static bool is_blank(const char *token)
{
    static const char zeros[MON_TOKEN_LEN];
    return same_token(token, zeros);
}

int server_grant(struct server *s, const struct mon_grant *g, struct zl_error *err)
{
    uint64_t now = zl_mono_ms();

    bool attach = g->what == MON_GRANT_ATTACH && g->exec_id == 0;
    bool exec = g->what == MON_GRANT_EXEC && g->exec_id != 0;
    if (is_blank(g->token) || (!attach && !exec))
        return zl_fail(err, ZL_ERR_INVALID, "grant: an empty token, or for nothing that exists");
    for (size_t i = 0; i < SERVER_GRANTS_MAX; i++) {
        struct grant *slot = &s->grants[i];
        if (slot->what && slot->until_ms > now)
            continue;
        *slot = (struct grant){ .what = g->what,
                                .exec_id = g->exec_id,
                                .until_ms = now + SERVER_GRANT_MS };
        memcpy(slot->token, g->token, sizeof slot->token);
        return 0;
    }
    return zl_fail(err, ZL_ERR_CONFLICT, "grant: %d tokens wait for their use already",
                   SERVER_GRANTS_MAX);
}

/* The grant of this token, which is used up by that. */
static bool use_grant(struct server *s, const char *token, struct grant *ret)
{
    uint64_t now = zl_mono_ms();
    bool found = false;

    for (size_t i = 0; i < SERVER_GRANTS_MAX; i++) { /* all of them, whichever it is */
        struct grant *slot = &s->grants[i];
        if (same_token(slot->token, token) && slot->what && slot->until_ms > now) {
            *ret = *slot;
            *slot = (struct grant){ 0 };
            found = true;
        }
    }
    return found;
}

int server_exec_id(const struct server_request *rq, uint64_t asked, uint64_t *ret,
                   struct zl_error *err)
{
    if (rq->granted && asked && asked != rq->granted_exec)
        return zl_fail(err, ZL_ERR_DENIED, "the token was granted for another exec");
    *ret = rq->granted ? rq->granted_exec : asked;
    return 0;
}

/* --- connections --- */

static void free_connection(struct connection *c)
{
    struct connection **at = &c->server->connections;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    loop_unwatch(c->server->loop, &c->source);
    zl_closep(&c->sock);
    free(c);
}

static unsigned count_connections(const struct server *s, bool own)
{
    unsigned n = 0;

    for (const struct connection *c = s->connections; c; c = c->next)
        n += c->own == own;
    return n;
}

unsigned server_connections(const struct server *s)
{
    return count_connections(s, true) + count_connections(s, false);
}

static struct connection *find(const struct server *s, uint64_t serial)
{
    struct connection *c = s->connections;

    while (c && c->serial != serial)
        c = c->next;
    return c && !c->closing ? c : NULL;
}

/* A packet that does not fit means that the peer reads none: it is closed, by its own hang-up
 * event, since a handler of it may be running now. */
static void send_to(struct connection *c, const struct zl_msg *m)
{
    if (!c->closing && zl_msg_send(c->sock, m, NULL) < 0) {
        c->closing = true;
        (void)shutdown(c->sock, SHUT_RDWR);
    }
}

static struct zl_msg packet(uint16_t type, uint64_t op, const void *body, size_t size, int fd)
{
    return (struct zl_msg){
        .head = { .version = MON_VERSION, .type = type, .length = (uint32_t)size, .op = op },
        .body = size ? body : "",
        .fds = { fd },
        .n_fds = fd >= 0,
    };
}

void server_answer(struct server *s, struct server_ticket *t, const void *body, size_t size, int fd)
{
    struct connection *c = t->type ? find(s, t->connection) : NULL;

    if (c) {
        struct zl_msg m = packet(t->type, t->op, body, size, fd);
        send_to(c, &m);
    }
    *t = (struct server_ticket){ 0 };
}

void server_refuse(struct server *s, struct server_ticket *t, const struct zl_error *why)
{
    struct connection *c = t->type ? find(s, t->connection) : NULL;

    if (c) {
        struct mon_error e = { .kind = why->kind, .errnum = why->errnum };
        size_t n = strnlen(why->msg, sizeof e.text - 1);
        memcpy(e.text, why->msg, n);
        struct zl_msg m =
            packet(MON_ERROR, t->op, &e, offsetof(struct mon_error, text) + n + 1, -1);
        send_to(c, &m);
    }
    *t = (struct server_ticket){ 0 };
}

bool server_is_awaited(const struct server *s, const struct server_ticket *t)
{
    return t->type && find(s, t->connection);
}

void server_tell(struct server *s, uint16_t type, const void *body, size_t size)
{
    struct zl_msg m = packet(type, 0, body, size, -1);

    for (struct connection *c = s->connections; c; c = c->next) {
        if (c->want_events)
            send_to(c, &m);
    }
}

/* --- requests --- */

static int greet(struct connection *c, struct server_request *rq, struct zl_error *err)
{
    struct mon_hello hello;
    struct grant g = { 0 };

    zl_msg_body(rq->msg, &hello, sizeof hello);
    if (!is_blank(hello.token)) {
        if (!use_grant(c->server, hello.token, &g))
            return zl_fail(err, ZL_ERR_DENIED, "the token is unknown, expired or used");
    } else if (!c->own) {
        return zl_fail(err, ZL_ERR_DENIED, "neither the owner nor a token");
    }
    c->greeted = true;
    c->want_events = hello.want_events && !g.what;
    c->granted = g.what; /* a token narrows the rights of the owner, too */
    c->granted_exec = g.exec_id;
    return 0;
}

static int check(struct connection *c, const struct server_row *row, struct server_request *rq,
                 struct zl_error *err)
{
    uint16_t type = rq->ticket.type;

    if (rq->msg->head.length < row->body_min)
        return zl_fail(err, ZL_ERR_PROTOCOL, "%s: %u bytes are too short, %u wanted", row->name,
                       rq->msg->head.length, row->body_min);
    if (type == MON_HELLO)
        return greet(c, rq, err);
    if (!c->greeted)
        return zl_fail(err, ZL_ERR_DENIED, "%s: hello must come first", row->name);
    if (c->granted && !(c->granted & row->granted))
        return zl_fail(err, ZL_ERR_DENIED, "%s: the token was not granted for that", row->name);
    return 0;
}

static const struct server_row *find_row(const struct server *s, uint16_t type)
{
    return type < s->n_rows && s->rows[type].handle ? &s->rows[type] : NULL;
}

static void handle(struct connection *c, struct zl_msg *m)
{
    struct server *s = c->server;
    struct server_request rq = {
        .ticket = { .connection = c->serial, .op = m->head.op, .type = m->head.type },
        .msg = m,
    };
    const struct server_row *row = find_row(s, m->head.type);
    struct zl_error err;

    if (!row)
        (void)zl_fail(&err, ZL_ERR_UNSUPPORTED, "this monitor does not know requests of type %u",
                      m->head.type);
    if (!row || check(c, row, &rq, &err) < 0) {
        if (rq.ticket.type == 0)
            rq.ticket.type = MON_ERROR; /* 0 is no ticket */
        server_refuse(s, &rq.ticket, &err);
        c->closing = c->closing || !c->greeted;
        return;
    }
    rq.granted = c->granted;
    rq.granted_exec = c->granted_exec;
    row->handle(s->arg, &rq);
}

static void end_connection(struct connection *c)
{
    struct server *s = c->server;
    free_connection(c);
    s->on->closed(s->arg, server_connections(s));
}

static void connection_ready(void *arg, uint32_t events)
{
    struct connection *c = arg;
    struct zl_msg m;
    struct zl_error err;

    (void)events; /* a hang-up is an end-of-file, after what was sent before it */
    int got = c->closing ? 0 : zl_msg_recv(c->sock, c->server->packet, ZL_MSG_MAX, &m, &err);
    if (got < 0 && err.errnum == EAGAIN)
        return;
    if (got > 0) {
        handle(c, &m);
        zl_msg_close_fds(&m);
        if (!c->closing)
            return;
    }
    end_connection(c);
}

static int add_connection(struct server *s, int sock, bool own, struct zl_error *err)
{
    struct connection *c = calloc(1, sizeof *c);

    if (!c) {
        (void)zl_fail_errno(err, "serve a connection");
        (void)close(sock);
        return -1;
    }
    *c = (struct connection){ .server = s, .sock = sock, .own = own, .serial = ++s->last_serial };
    struct connection **at = &s->connections;
    while (*at)
        at = &(*at)->next;
    *at = c;
    if (fcntl(sock, F_SETFL, O_RDWR | O_NONBLOCK) < 0) {
        free_connection(c);
        return zl_fail_errno(err, "serve a connection");
    }
    if (loop_watch(s->loop, &c->source, sock, EPOLLIN, connection_ready, c, err) < 0) {
        free_connection(c);
        return zl_wrap(err, "serve a connection");
    }
    return 0;
}

int server_adopt(struct server *s, int sock, struct zl_error *err)
{
    return add_connection(s, sock, true, err);
}

/* --- accepting --- */

static bool is_own(int sock)
{
    struct ucred peer;
    socklen_t n = sizeof peer;

    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid();
}

/* Those without rights cannot keep the others out, nor those among them that have a token. */
static bool make_room(struct server *s, bool own)
{
    if (count_connections(s, own) < (own ? SERVER_OWN_MAX : SERVER_OTHER_MAX))
        return true;
    for (struct connection *c = s->connections; !own && c; c = c->next) {
        if (!c->own && !c->greeted) {
            free_connection(c); /* no handler of it runs: we are in the listener's */
            return true;
        }
    }
    return false;
}

static void listener_ready(void *arg, uint32_t events)
{
    struct server *s = arg;

    (void)events;
    int sock = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (sock < 0)
        return; /* the peer went away meanwhile */
    bool own = is_own(sock);
    if (!make_room(s, own)) {
        (void)close(sock);
        return;
    }
    (void)add_connection(s, sock, own, NULL); /* on failure the peer sees the close */
}

static int listen_at(struct server *s, int sock, struct zl_error *err)
{
    if (listen(sock, BACKLOG) < 0)
        return zl_fail_errno(err, "listen on the control socket");
    return loop_watch(s->loop, &s->source, sock, EPOLLIN, listener_ready, s, err);
}

int server_listen(struct server *s, int dir_fd, struct zl_error *err)
{
    struct sockaddr_un address;

    if (zl_unix_address(dir_fd, MON_CTL, &address, err) < 0)
        return -1;
    zl_autoclose int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0)
        return zl_fail_errno(err, "make the control socket");
    mode_t mask = umask(0); /* connect(2) needs write permission; single-threaded, so no race */
    int rc = bind(sock, (const struct sockaddr *)&address, sizeof address);
    (void)umask(mask);
    if (rc < 0)
        return zl_fail_errno(err, "bind the control socket '%s'", MON_CTL);
    if (listen_at(s, sock, err) < 0) {
        (void)unlinkat(dir_fd, MON_CTL, 0); /* nobody would ever answer there */
        return -1;
    }
    s->listener = zl_take_fd(&sock);
    return 0;
}

int server_new(struct loop *loop, const struct server_row *rows, size_t n,
               const struct server_events *on, void *arg, struct server **ret, struct zl_error *err)
{
    struct server *s = calloc(1, sizeof *s);
    char *buffer = malloc(ZL_MSG_MAX);

    if (!s || !buffer) {
        free(s);
        free(buffer);
        return zl_fail_errno(err, "make a server");
    }
    s->loop = loop;
    s->rows = rows;
    s->n_rows = n;
    s->on = on;
    s->arg = arg;
    s->listener = -1;
    s->packet = buffer;
    *ret = s;
    return 0;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    while (s->connections)
        free_connection(s->connections);
    loop_unwatch(s->loop, &s->source);
    zl_closep(&s->listener);
    free(s->packet);
    free(s);
}
