// SPDX-License-Identifier: Apache-2.0
/*
 * Streams without a container: the test is the process at the other end of the pipes, and the
 * clients.
 */
#include "../scratch.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "monitor/frame.h"
#include "monitor/logread.h"
#include "monitor/streams.h"

static bool no_more_watches; /* as when max_user_watches of epoll(7) is reached */

int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *e);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *e);

int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *e)
{
    if (!no_more_watches || op != EPOLL_CTL_ADD)
        return __real_epoll_ctl(epfd, op, fd, e);
    errno = ENOSPC;
    return -1;
}

struct world {
    struct loop loop;
    struct streams *streams;
    int in, out, err; /* the process's */
    int ended, left;
};

static void on_ended(void *arg)
{
    ((struct world *)arg)->ended++;
}

static void on_left(void *arg)
{
    ((struct world *)arg)->left++;
}

static const struct streams_events events = { .ended = on_ended, .left = on_left };

static void world_make(struct world *w, const struct streams_opts *o)
{
    struct zl_error err;
    int child[3], console;
    *w = (struct world){ 0 };
    ok(loop_init(&w->loop, &err));
    ok(streams_open(&w->loop, o, &events, w, &w->streams, &err));
    streams_child_ends(w->streams, child, &console);
    w->in = child[0] < 0 ? -1 : fcntl(child[0], F_DUPFD_CLOEXEC, 0);
    w->out = fcntl(child[1], F_DUPFD_CLOEXEC, 0);
    w->err = fcntl(child[2], F_DUPFD_CLOEXEC, 0);
    ok(streams_started(w->streams, &err));
}

static void close_output(struct world *w)
{
    zl_closep(&w->out);
    zl_closep(&w->err);
    w->out = w->err = -1;
}

static void world_drop(struct world *w)
{
    close_output(w);
    zl_closep(&w->in);
    streams_free(w->streams);
    loop_done(&w->loop);
}

static void run(struct world *w)
{
    struct pollfd p = { .fd = w->loop.epoll_fd, .events = POLLIN };
    struct zl_error err;
    while (poll(&p, 1, 0) > 0)
        ok(loop_step(&w->loop, 0, &err));
}

static void print(struct world *w, int fd, const char *text)
{
    struct zl_error err;
    ok(zl_write_all(fd, text, strlen(text), "a pipe", &err));
    run(w);
}

static int attach(struct world *w)
{
    struct zl_error err;
    int fd;
    ok(fd = streams_attach(w->streams, &err));
    assert_int_equal(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
    return fd;
}

/* Everything of one stream that is there; *ret_end: the exit came. */
static char *received(struct world *w, int fd, uint8_t stream, bool *ret_end)
{
    struct mon_frame_reader *r = malloc(sizeof *r);
    zl_autobuf struct zl_buf text = ZL_BUF(16 << 20);
    struct mon_frame f;
    struct zl_error err;
    mon_frame_reader_init(r);
    *ret_end = false;
    while (mon_frame_read(r, fd, &f, &err) == 1) {
        *ret_end |= f.stream == MON_STREAM_EXIT;
        if (f.stream == stream)
            zl_buf_add(&text, f.bytes, f.length);
        run(w); /* there is room again */
    }
    free(r);
    return zl_buf_steal(&text);
}

static void expect(struct world *w, int fd, uint8_t stream, const char *text)
{
    bool end;
    zl_autofree char *got = received(w, fd, stream, &end);
    assert_string_equal(got ? got : "", text);
    assert_false(end);
}

static void every_client_sees_what_comes_after_it(void **unused)
{
    (void)unused;
    struct world w;
    world_make(&w, &(struct streams_opts){ 0 });
    print(&w, w.out, "to nobody\n");
    zl_autoclose int first = attach(&w);
    print(&w, w.out, "one ");
    zl_autoclose int second = attach(&w);
    print(&w, w.out, "two");
    expect(&w, first, MON_STREAM_STDOUT, "one two");
    expect(&w, second, MON_STREAM_STDOUT, "two");
    print(&w, w.err, "oops");
    expect(&w, second, MON_STREAM_STDERR, "oops");
    world_drop(&w);
}

static void the_last_frame_is_the_exit_and_late_clients_get_it_too(void **unused)
{
    (void)unused;
    struct world w;
    struct mon_exit e = { .code = 5 };
    bool end;
    world_make(&w, &(struct streams_opts){ 0 });
    zl_autoclose int fd = attach(&w);
    print(&w, w.out, "bye");
    close_output(&w);
    run(&w);
    assert_int_equal(w.ended, 1);
    assert_true(streams_drain(w.streams));
    streams_finish(w.streams, &e);
    zl_autofree char *text = received(&w, fd, MON_STREAM_STDOUT, &end);
    assert_string_equal(text, "bye");
    assert_true(end);
    zl_autoclose int late = attach(&w);
    zl_autofree char *nothing = received(&w, late, MON_STREAM_STDOUT, &end);
    assert_true(end);
    assert_int_equal(streams_clients(w.streams), 0);
    world_drop(&w);
}

static char *blob(size_t n)
{
    char *b = malloc(n + 1);
    assert_non_null(b);
    for (size_t i = 0; i < n; i++)
        b[i] = (char)('a' + i % 23);
    b[n] = '\0';
    return b;
}

/* Writes until the pipe is full and nobody reads it any more; returns how much went. */
static size_t write_until_held(struct world *w, const char *bytes, size_t n)
{
    size_t done = 0;
    assert_int_equal(fcntl(w->out, F_SETFL, O_WRONLY | O_NONBLOCK), 0);
    while (done < n) {
        ssize_t k = write(w->out, bytes + done, n - done < 4096 ? n - done : 4096);
        if (k > 0)
            done += (size_t)k;
        run(w);
        if (k < 0)
            break;
    }
    return done;
}

enum { MUCH = 8 << 20 };

/* The process waits for the one client, which reads nothing of what it says, and goes on when it
 * does. */
static void wait_and_go_on(bool nothing_can_be_watched)
{
    struct world w;
    bool end;
    world_make(&w, &(struct streams_opts){ .first_holds = true });
    zl_autoclose int fd = attach(&w);
    zl_autofree char *bytes = blob(MUCH);
    size_t n = write_until_held(&w, bytes, MUCH);
    assert_in_range(n, 64 << 10, 2 << 20); /* a socket, a buffer, a pipe */
    no_more_watches = nothing_can_be_watched;
    zl_autofree char *first = received(&w, fd, MON_STREAM_STDOUT, &end);
    size_t more = write_until_held(&w, bytes + n, MUCH - n);
    no_more_watches = false;
    assert_true(more > 64 << 10); /* more than what a pipe holds that nobody reads */
    zl_autofree char *second = received(&w, fd, MON_STREAM_STDOUT, &end);
    assert_int_equal(strlen(first) + strlen(second), n + more);
    assert_memory_equal(first, bytes, strlen(first));
    assert_memory_equal(second, bytes + strlen(first), strlen(second));
    world_drop(&w);
}

static void the_first_client_that_holds_makes_the_process_wait(void **unused)
{
    (void)unused;
    wait_and_go_on(false);
}

static void held_output_goes_on_when_nothing_more_can_be_watched(void **unused)
{
    (void)unused;
    wait_and_go_on(true);
}

static void a_holding_client_that_dies_lets_the_process_go_on(void **unused)
{
    (void)unused;
    enum { ALL = 4 << 20 };
    struct world w;
    world_make(&w, &(struct streams_opts){ .first_holds = true });
    int fd = attach(&w);
    zl_autofree char *bytes = blob(ALL);
    assert_true(write_until_held(&w, bytes, ALL) < ALL);
    (void)close(fd);
    run(&w);
    assert_int_equal(w.left, 1);
    assert_int_equal(write_until_held(&w, bytes, ALL), ALL);
    world_drop(&w);
}

static void a_slow_client_that_does_not_hold_loses_and_is_told(void **unused)
{
    (void)unused;
    enum { ALL = 2 << 20 };
    struct world w;
    bool end;
    world_make(&w, &(struct streams_opts){ 0 });
    zl_autoclose int slow = attach(&w);
    zl_autofree char *bytes = blob(ALL);
    assert_int_equal(write_until_held(&w, bytes, ALL), ALL);
    zl_autofree char *notice = received(&w, slow, MON_STREAM_STDERR, &end);
    unsigned long long lost = 0;
    assert_int_equal(sscanf(notice, "[zlayer] %llu bytes left out", &lost), 1);
    assert_in_range(lost, 1 << 20, ALL);
    print(&w, w.out, "again");
    expect(&w, slow, MON_STREAM_STDOUT, "again");
    world_drop(&w);
}

static void stdin_goes_through_and_ends(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    char got[64];
    world_make(&w, &(struct streams_opts){ .stdin_open = true });
    zl_autoclose int fd = attach(&w);
    ok(zl_write_all(fd, "hello", 5, "stdin", &err));
    run(&w);
    assert_int_equal(read(w.in, got, sizeof got), 5);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    run(&w);
    assert_int_equal(read(w.in, got, sizeof got), 0);
    print(&w, w.out, "still here");
    expect(&w, fd, MON_STREAM_STDOUT, "still here");
    world_drop(&w);
}

/* More than the pipe holds, and the client is gone before it was taken. */
static void stdin_of_a_client_that_left_is_not_lost(void **unused)
{
    (void)unused;
    enum { ALL = 180000 };
    struct world w;
    char got[8192];
    size_t total = 0;
    world_make(&w, &(struct streams_opts){ .stdin_open = true, .first_holds = true });
    int fd = attach(&w);
    zl_autofree char *bytes = blob(ALL);
    size_t sent = 0;
    while (sent < ALL) {
        ssize_t n = write(fd, bytes + sent, ALL - sent);
        assert_true(n > 0);
        sent += (size_t)n;
        run(&w);
    }
    (void)close(fd);
    for (;;) {
        run(&w);
        ssize_t n = read(w.in, got, sizeof got);
        assert_true(n >= 0);
        if (n == 0)
            break;
        assert_memory_equal(got, bytes + total, (size_t)n);
        total += (size_t)n;
    }
    assert_int_equal(total, ALL);
    assert_int_equal(w.left, 1);
    world_drop(&w);
}

static void stdin_has_one_writer_at_a_time(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    char got[64];
    world_make(&w, &(struct streams_opts){ .stdin_open = true });
    int first = attach(&w);
    zl_autoclose int second = attach(&w);
    ok(zl_write_all(second, "second", 6, "stdin", &err));
    ok(zl_write_all(first, "first", 5, "stdin", &err));
    run(&w);
    assert_int_equal(read(w.in, got, sizeof got), 5);
    assert_memory_equal(got, "first", 5);
    (void)close(first); /* without first_holds, stdin stays open for the next */
    run(&w);
    assert_int_equal(read(w.in, got, sizeof got), 6);
    assert_memory_equal(got, "second", 6);
    world_drop(&w);
}

static void stdin_that_nobody_reads_is_dropped(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    world_make(&w, &(struct streams_opts){ .stdin_open = true });
    zl_closep(&w.in);
    w.in = -1;
    zl_autoclose int fd = attach(&w);
    zl_autofree char *bytes = blob(100000);
    for (int i = 0; i < 10; i++) {
        ok(zl_write_all(fd, bytes, 100000, "stdin", &err));
        run(&w);
    }
    world_drop(&w);
}

static void the_last_bytes_are_captured(void **unused)
{
    (void)unused;
    struct world w;
    char got[STREAMS_CAPTURE];
    world_make(&w, &(struct streams_opts){ .capture = true });
    print(&w, w.out, "short");
    assert_int_equal(streams_captured(w.streams, got), 5);
    enum { PIECE = 1667, ALL = 30 * PIECE };
    zl_autofree char *bytes = blob(ALL);
    for (size_t at = 0; at < ALL; at += PIECE) {
        char piece[PIECE + 1] = { 0 };
        memcpy(piece, bytes + at, PIECE);
        print(&w, w.out, piece);
    }
    assert_int_equal(streams_captured(w.streams, got), STREAMS_CAPTURE);
    assert_memory_equal(got, bytes + ALL - STREAMS_CAPTURE, STREAMS_CAPTURE);
    world_drop(&w);
}

static void a_prompt_is_in_the_log_soon(void **unused)
{
    (void)unused;
    struct scratch dir = scratch_open();
    struct world w;
    struct zl_error err;
    char path[128];
    autologfile struct logfile *log = NULL;
    ok(logfile_open(dir.fd, "x.log", 0, &log, &err));
    world_make(&w, &(struct streams_opts){ .log = log });
    print(&w, w.out, "name? ");
    (void)snprintf(path, sizeof path, "%s/x.log", dir.path);
    struct logread_opts o = { .tail = LOGREAD_ALL, .follow = true };
    autologread struct logread *r = NULL;
    struct logread_line line;
    ok(logread_open(path, &o, &r, &err));
    assert_int_equal(logread_next(r, &line, &err), 0); /* held back for a moment */
    while (logread_next(r, &line, &err) == 0)
        ok(loop_step(&w.loop, 1000, &err)); /* its timer */
    assert_int_equal(line.length, 6);
    assert_false(line.whole);
    world_drop(&w);
    scratch_remove(&dir);
}

static void clients_are_bounded(void **unused)
{
    (void)unused;
    struct world w;
    struct zl_error err;
    int fds[16];
    world_make(&w, &(struct streams_opts){ 0 });
    for (int i = 0; i < 16; i++)
        fds[i] = attach(&w);
    assert_int_equal(streams_attach(w.streams, &err), -1);
    assert_string_equal(err.msg, "16 clients are attached already");
    for (int i = 0; i < 16; i++)
        (void)close(fds[i]);
    run(&w);
    assert_int_equal(w.left, 16);
    world_drop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_client_sees_what_comes_after_it),
        cmocka_unit_test(the_last_frame_is_the_exit_and_late_clients_get_it_too),
        cmocka_unit_test(the_first_client_that_holds_makes_the_process_wait),
        cmocka_unit_test(a_holding_client_that_dies_lets_the_process_go_on),
        cmocka_unit_test(held_output_goes_on_when_nothing_more_can_be_watched),
        cmocka_unit_test(a_slow_client_that_does_not_hold_loses_and_is_told),
        cmocka_unit_test(stdin_goes_through_and_ends),
        cmocka_unit_test(stdin_of_a_client_that_left_is_not_lost),
        cmocka_unit_test(stdin_has_one_writer_at_a_time),
        cmocka_unit_test(stdin_that_nobody_reads_is_dropped),
        cmocka_unit_test(the_last_bytes_are_captured),
        cmocka_unit_test(a_prompt_is_in_the_log_soon),
        cmocka_unit_test(clients_are_bounded),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(120); /* a stream that stands still fails the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
