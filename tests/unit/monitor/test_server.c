// SPDX-License-Identifier: Apache-2.0
/* The control socket against the client, in one process: the server's loop is stepped by hand. */
#include "../scratch.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/msg.h"
#include "monitor/client.h"
#include "monitor/server.h"

struct world {
    struct scratch dir;
    struct loop loop;
    struct server *server;
    struct server_ticket kept; /* of MON_WAIT, which is answered later */
    unsigned closed;
};

static void on_hello(void *arg, struct server_request *rq)
{
    struct world *w = arg;
    struct mon_state state = { .phase = MON_PHASE_RUNNING, .pid = 42 };
    server_answer(w->server, &rq->ticket, &state, sizeof state, -1);
}

static void on_signal(void *arg, struct server_request *rq)
{
    struct world *w = arg;
    struct mon_signal s;
    struct zl_error err;
    uint64_t exec_id;
    zl_msg_body(rq->msg, &s, sizeof s);
    if (server_exec_id(rq, s.exec_id, &exec_id, &err) < 0) {
        server_refuse(w->server, &rq->ticket, &err);
        return;
    }
    (void)zl_fail(&err, ZL_ERR_CONFLICT, "signal %d for exec %d", s.signal, (int)exec_id);
    server_refuse(w->server, &rq->ticket, &err);
}

static void on_grant(void *arg, struct server_request *rq)
{
    struct world *w = arg;
    struct mon_grant g;
    struct zl_error err;
    zl_msg_body(rq->msg, &g, sizeof g);
    if (server_grant(w->server, &g, &err) < 0)
        server_refuse(w->server, &rq->ticket, &err);
    else
        server_answer(w->server, &rq->ticket, NULL, 0, -1);
}

static void on_wait(void *arg, struct server_request *rq)
{
    ((struct world *)arg)->kept = rq->ticket;
}

static void on_socket(void *arg, struct server_request *rq)
{
    struct world *w = arg;
    zl_autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    server_answer(w->server, &rq->ticket, NULL, 0, fd);
}

static void on_closed(void *arg, unsigned left)
{
    (void)left;
    ((struct world *)arg)->closed++;
}

static const struct server_row rows[] = {
    [MON_HELLO] = { "hello", sizeof(struct mon_hello), 0, on_hello },
    [MON_SIGNAL] = { "signal", sizeof(struct mon_signal), MON_GRANT_ATTACH | MON_GRANT_EXEC,
                     on_signal },
    [MON_GRANT] = { "grant", sizeof(struct mon_grant), 0, on_grant },
    [MON_WAIT] = { "wait", 0, 0, on_wait },
    [MON_SOCKET] = { "socket", sizeof(struct mon_socket), 0, on_socket },
};
static const struct server_events events = { .closed = on_closed };

static void world_make(struct world *w)
{
    struct zl_error err;
    *w = (struct world){ .dir = scratch_open() };
    assert_int_equal(chmod(w->dir.path, 0711), 0);
    ok(loop_init(&w->loop, &err));
    ok(server_new(&w->loop, rows, ZL_ARRAY_LEN(rows), &events, w, &w->server, &err));
    ok(server_listen(w->server, w->dir.fd, &err));
}

static void world_drop(struct world *w)
{
    server_free(w->server);
    loop_done(&w->loop);
    scratch_remove(&w->dir);
}

static void run(struct world *w)
{
    struct pollfd p = { .fd = w->loop.epoll_fd, .events = POLLIN };
    struct zl_error err;
    while (poll(&p, 1, 0) > 0)
        ok(loop_step(&w->loop, 0, &err));
}

static struct mon_client *connect_to(struct world *w)
{
    struct mon_client *c;
    struct zl_error err;
    ok(mon_client_open(w->dir.fd, &c, &err));
    return c;
}

static struct mon_message answer(struct world *w, struct mon_client *c)
{
    struct mon_message m;
    struct zl_error err;
    run(w);
    if (mon_client_recv(c, &m, &err) != 1)
        fail_msg("no answer");
    return m;
}

static struct mon_client *greeted(struct world *w, bool want_events, const char *token)
{
    struct mon_client *c = connect_to(w);
    struct zl_error err;
    ok(mon_client_send_hello(c, 7, want_events, token, &err));
    struct mon_message m = answer(w, c);
    assert_int_equal(m.type, MON_HELLO);
    assert_int_equal(m.op, 7);
    assert_int_equal(m.state.pid, 42);
    return c;
}

static void expect_refusal(const struct mon_message *m, enum zl_err_kind kind, const char *text)
{
    assert_int_equal(m->type, MON_ERROR);
    assert_int_equal(m->err.kind, kind);
    assert_string_equal(m->err.msg, text);
}

static void expect_end(struct world *w, struct mon_client *c)
{
    struct mon_message m;
    struct zl_error err;
    run(w);
    assert_int_equal(mon_client_recv(c, &m, &err), 0);
}

static void the_owner_is_known_by_its_uid(void **unused)
{
    (void)unused;
    struct world w;
    world_make(&w);
    auto_mon_client struct mon_client *c = greeted(&w, false, NULL);
    world_drop(&w);
}

static void an_unknown_type_is_refused_and_the_connection_goes_on(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    world_make(&w);
    auto_mon_client struct mon_client *c = greeted(&w, false, NULL);
    static const uint16_t types[] = { 0, MON_ERROR, MON_START, 200, 65535 };
    for (size_t i = 0; i < ZL_ARRAY_LEN(types); i++) {
        struct zl_msg m = { .head = { .version = 9, .type = types[i], .op = 99 }, .body = "" };
        ok(zl_msg_send(mon_client_fd(c), &m, &err));
        struct mon_message a = answer(&w, c);
        assert_int_equal(a.op, 99);
        assert_int_equal(a.type, MON_ERROR);
        assert_int_equal(a.err.kind, ZL_ERR_UNSUPPORTED);
    }
    ok(mon_client_send_signal(c, 8, 0, 15, &err));
    struct mon_message m = answer(&w, c);
    expect_refusal(&m, ZL_ERR_CONFLICT, "signal 15 for exec 0");
    world_drop(&w);
}

static void a_body_that_is_too_short_is_refused_and_a_longer_one_taken(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    world_make(&w);
    auto_mon_client struct mon_client *c = greeted(&w, false, NULL);
    char body[64] = { 9 };
    struct zl_msg m = { .head = { 1, MON_SIGNAL, sizeof(struct mon_signal) - 1, 5 }, .body = body };
    ok(zl_msg_send(mon_client_fd(c), &m, &err));
    struct mon_message a = answer(&w, c);
    expect_refusal(&a, ZL_ERR_PROTOCOL, "signal: 15 bytes are too short, 16 wanted");
    m.head.length = sizeof body;
    ok(zl_msg_send(mon_client_fd(c), &m, &err));
    a = answer(&w, c);
    expect_refusal(&a, ZL_ERR_CONFLICT, "signal 9 for exec 0");
    world_drop(&w);
}

static void a_packet_that_lies_about_its_length_ends_the_connection(void **unused)
{
    (void)unused;
    struct world w;
    world_make(&w);
    auto_mon_client struct mon_client *c = greeted(&w, false, NULL);
    struct zl_msg_header head = { 1, MON_SIGNAL, 1000, 5 };
    assert_int_equal(send(mon_client_fd(c), &head, sizeof head, 0), sizeof head);
    expect_end(&w, c);
    assert_int_equal(w.closed, 1);
    world_drop(&w);
}

static void nothing_is_answered_before_hello(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    world_make(&w);
    auto_mon_client struct mon_client *c = connect_to(&w);
    ok(mon_client_send_signal(c, 3, 0, 15, &err));
    struct mon_message m = answer(&w, c);
    expect_refusal(&m, ZL_ERR_DENIED, "signal: hello must come first");
    expect_end(&w, c);
    world_drop(&w);
}

static void grant(struct world *w, struct mon_client *c, uint32_t what, uint64_t exec_id,
                  char *token)
{
    struct mon_grant g = { .what = what, .exec_id = exec_id };
    struct zl_error err;
    mon_token_make(token);
    memcpy(g.token, token, sizeof g.token);
    ok(mon_client_send_grant(c, 11, &g, &err));
    struct mon_message m = answer(w, c);
    assert_int_equal(m.type, MON_GRANT);
}

static void a_token_is_good_once(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    char token[MON_TOKEN_LEN + 1];
    world_make(&w);
    auto_mon_client struct mon_client *owner = greeted(&w, false, NULL);
    grant(&w, owner, MON_GRANT_ATTACH, 0, token);
    auto_mon_client struct mon_client *first = greeted(&w, false, token);
    auto_mon_client struct mon_client *second = connect_to(&w);
    ok(mon_client_send_hello(second, 1, false, token, &err));
    struct mon_message m = answer(&w, second);
    expect_refusal(&m, ZL_ERR_DENIED, "the token is unknown, expired or used");
    expect_end(&w, second);
    world_drop(&w);
}

static void a_token_allows_what_it_was_granted_for_and_no_more(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    char token[MON_TOKEN_LEN + 1];
    world_make(&w);
    auto_mon_client struct mon_client *owner = greeted(&w, false, NULL);
    grant(&w, owner, MON_GRANT_EXEC, 3, token);
    auto_mon_client struct mon_client *c = greeted(&w, false, token);
    ok(mon_client_send_signal(c, 2, 0, 15, &err));
    struct mon_message m = answer(&w, c);
    expect_refusal(&m, ZL_ERR_CONFLICT, "signal 15 for exec 3"); /* its own, though it said 0 */
    ok(mon_client_send_signal(c, 2, 4, 15, &err));
    m = answer(&w, c);
    expect_refusal(&m, ZL_ERR_DENIED, "the token was granted for another exec");
    ok(mon_client_send_wait(c, 2, &err));
    m = answer(&w, c);
    expect_refusal(&m, ZL_ERR_DENIED, "wait: the token was not granted for that");
    world_drop(&w);
}

static void grants_are_bounded_and_checked(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    struct mon_grant g = { .what = MON_GRANT_ATTACH };
    world_make(&w);
    assert_int_equal(server_grant(w.server, &g, &err), -1); /* the empty token means "no token" */
    memset(g.token, 'x', sizeof g.token);
    g.what = MON_GRANT_EXEC; /* of no exec */
    assert_int_equal(server_grant(w.server, &g, &err), -1);
    g.what = MON_GRANT_ATTACH;
    for (int i = 0; i < SERVER_GRANTS_MAX; i++) {
        g.token[0] = (char)i;
        ok(server_grant(w.server, &g, &err));
    }
    assert_int_equal(server_grant(w.server, &g, &err), -1);
    assert_string_equal(err.msg, "grant: 64 tokens wait for their use already");
    world_drop(&w);
}

static void an_answer_may_come_later_and_to_nobody(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    struct mon_exit e = { .code = 3 };
    world_make(&w);
    struct mon_client *c = greeted(&w, false, NULL);
    ok(mon_client_send_wait(c, 77, &err));
    run(&w);
    struct server_ticket copy = w.kept;
    server_answer(w.server, &w.kept, &e, sizeof e, -1);
    assert_int_equal(w.kept.type, 0);
    struct mon_message m = answer(&w, c);
    assert_int_equal(m.type, MON_WAIT);
    assert_int_equal(m.op, 77);
    assert_int_equal(m.exit.code, 3);
    mon_client_free(c);
    run(&w);
    server_answer(w.server, &copy, &e, sizeof e, -1); /* gone: nothing happens */
    world_drop(&w);
}

static void events_go_to_those_who_asked(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    struct mon_message m;
    struct mon_exit e = { .code = 9 };
    world_make(&w);
    auto_mon_client struct mon_client *keen = greeted(&w, true, NULL);
    auto_mon_client struct mon_client *deaf = greeted(&w, false, NULL);
    server_tell(w.server, MON_EV_EXIT, &e, sizeof e);
    m = answer(&w, keen);
    assert_int_equal(m.type, MON_EV_EXIT);
    assert_int_equal(m.op, 0);
    assert_int_equal(m.exit.code, 9);
    assert_int_equal(mon_client_recv(deaf, &m, &err), -1);
    assert_int_equal(err.errnum, EAGAIN);
    world_drop(&w);
}

static void descriptors_travel(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    world_make(&w);
    auto_mon_client struct mon_client *c = greeted(&w, false, NULL);
    ok(mon_client_send_socket(c, 4, AF_INET, SOCK_STREAM, 0, &err));
    struct mon_message m = answer(&w, c);
    int type = 0;
    socklen_t n = sizeof type;
    assert_int_equal(getsockopt(m.fd, SOL_SOCKET, SO_TYPE, &type, &n), 0);
    assert_int_equal(type, SOCK_STREAM);
    assert_int_equal(fcntl(m.fd, F_GETFD), FD_CLOEXEC);
    (void)close(m.fd);
    world_drop(&w);
}

static void a_peer_that_does_not_read_is_closed(void **unused)
{
    (void)unused;
    struct world w;
    struct mon_exit e = { 0 };
    world_make(&w);
    auto_mon_client struct mon_client *c = greeted(&w, true, NULL);
    for (int i = 0; i < 100000 && w.closed == 0; i++) {
        server_tell(w.server, MON_EV_EXIT, &e, sizeof e);
        run(&w);
    }
    assert_int_equal(w.closed, 1);
    world_drop(&w);
}

static void connections_are_bounded(void **unused)
{
    (void)unused;
    struct world w;
    struct mon_client *many[SERVER_OWN_MAX];
    world_make(&w);
    for (int i = 0; i < SERVER_OWN_MAX; i++)
        many[i] = greeted(&w, false, NULL);
    auto_mon_client struct mon_client *one_more = connect_to(&w);
    expect_end(&w, one_more);
    for (int i = 0; i < SERVER_OWN_MAX; i++)
        mon_client_free(many[i]);
    run(&w);
    auto_mon_client struct mon_client *again = greeted(&w, false, NULL);
    world_drop(&w);
}

/* As uid 65534, in another process: opens `n` connections, says hello on the last with the token.
 */
static int as_nobody(struct world *w, int n, const char *token, enum zl_err_kind expected)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct mon_client *c = NULL;
        struct mon_message m;
        struct zl_error err;
        bool fine = setgid(65534) == 0 && setuid(65534) == 0;
        for (int i = 0; fine && i < n; i++)
            fine = mon_client_open(w->dir.fd, &c, &err) == 0;
        fine = fine && mon_client_send_hello(c, 1, false, token, &err) == 0;
        int rc = fine ? mon_client_await(c, 1, 0, &m, &err) : -1;
        _exit(fine && (rc == 0 ? expected == ZL_OK : err.kind == expected) ? 0 : 1);
    }
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        struct zl_error err;
        ok(loop_step(&w->loop, 10, &err));
    }
    return status;
}

static void another_uid_needs_a_token(void **unused)
{
    (void)unused;
    /* Only root can become another user to try it; `make test` runs as root. */
    if (geteuid() != 0)
        skip();
    struct world w;
    char token[MON_TOKEN_LEN + 1];
    world_make(&w);
    auto_mon_client struct mon_client *owner = greeted(&w, false, NULL);
    assert_int_equal(as_nobody(&w, 1, NULL, ZL_ERR_DENIED), 0);
    grant(&w, owner, MON_GRANT_ATTACH, 0, token);
    assert_int_equal(as_nobody(&w, 1, token, ZL_OK), 0);
    grant(&w, owner, MON_GRANT_ATTACH, 0, token);
    /* those that say nothing do not keep out the one that does, nor the owner */
    assert_int_equal(as_nobody(&w, 3 * SERVER_OTHER_MAX, token, ZL_OK), 0);
    world_drop(&w);
}

static void no_monitor_is_unreachable(void **unused)
{
    (void)unused;
    struct scratch dir = scratch_open();
    struct mon_client *c;
    struct zl_error err;
    assert_int_equal(mon_client_open(dir.fd, &c, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_UNREACHABLE);
    assert_int_equal(mon_client_open_path("/nonexistent/ctl", &c, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_UNREACHABLE);
    scratch_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owner_is_known_by_its_uid),
        cmocka_unit_test(an_unknown_type_is_refused_and_the_connection_goes_on),
        cmocka_unit_test(a_body_that_is_too_short_is_refused_and_a_longer_one_taken),
        cmocka_unit_test(a_packet_that_lies_about_its_length_ends_the_connection),
        cmocka_unit_test(nothing_is_answered_before_hello),
        cmocka_unit_test(a_token_is_good_once),
        cmocka_unit_test(a_token_allows_what_it_was_granted_for_and_no_more),
        cmocka_unit_test(grants_are_bounded_and_checked),
        cmocka_unit_test(an_answer_may_come_later_and_to_nobody),
        cmocka_unit_test(events_go_to_those_who_asked),
        cmocka_unit_test(descriptors_travel),
        cmocka_unit_test(a_peer_that_does_not_read_is_closed),
        cmocka_unit_test(connections_are_bounded),
        cmocka_unit_test(another_uid_needs_a_token),
        cmocka_unit_test(no_monitor_is_unreachable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
