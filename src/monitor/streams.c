// SPDX-License-Identifier: Apache-2.0
#include "monitor/streams.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/passfd.h"
#include "monitor/attach.h"

enum {
    CHUNK = 64 * 1024,                  /* what a pipe holds (pipe(7)): one read empties it */
    HOLD_MS = 200,                      /* how long the start of a line is kept out of the log */
    CAPTURE_ROOM = 4 * STREAMS_CAPTURE, /* it is moved down only now and then */
    DRAIN_MAX = 2 * 1024 * 1024, /* of an ended process; a pipe holds at most 1 MiB by default */
};

/* One readable end: stdout, stderr, or the pty's master. */
struct output {
    struct streams *owner;
    struct loop_source source;
    enum log_stream stream;
    int fd;
    bool ended;
};

struct streams {
    struct loop *loop;
    const struct streams_events *on;
    void *arg;
    struct streams_opts opts;
    struct attach_set clients;
    unsigned attached;              /* clients ever */
    struct output out[LOG_STREAMS]; /* a terminal has the first only */
    int child[3];                   /* the process's ends, until it has started */
    int console[2];                 /* ours, the process's: the pty's master comes through it */
    int stdin_fd;                   /* writable, or the pty's master (then out[0].fd); -1: closed */
    struct loop_source stdin_source;
    struct loop_timer hold_timer;
    bool paused, finished;
    struct mon_exit exit; /* when finished */
    struct zl_buf capture;
};

/* --- output --- */

static void keep_capture(struct streams *s, const char *bytes, size_t n)
{
    if (n > STREAMS_CAPTURE) {
        bytes += n - STREAMS_CAPTURE;
        n = STREAMS_CAPTURE;
    }
    if (s->capture.len + n > s->capture.max)
        zl_buf_consume(&s->capture, s->capture.len + n - STREAMS_CAPTURE);
    zl_buf_add(&s->capture, bytes, n);
}

size_t streams_captured(const struct streams *s, char out[STREAMS_CAPTURE])
{
    size_t n = s->capture.len < STREAMS_CAPTURE ? s->capture.len : STREAMS_CAPTURE;

    memcpy(out, s->capture.data + s->capture.len - n, n);
    return n;
}

static void release_held(void *arg)
{
    struct streams *s = arg;
    logfile_release(s->opts.log, zl_wall_ns());
}

static void take_output(struct output *o, const char *bytes, size_t n)
{
    struct streams *s = o->owner;

    if (s->opts.log) {
        logfile_write(s->opts.log, o->stream, zl_wall_ns(), bytes, n);
        if (logfile_holds(s->opts.log) && !s->hold_timer.armed)
            loop_arm(s->loop, &s->hold_timer, HOLD_MS, release_held, s);
    }
    if (s->opts.capture)
        keep_capture(s, bytes, n);
    attach_write(&s->clients, o->stream == LOG_STDOUT ? MON_STREAM_STDOUT : MON_STREAM_STDERR,
                 bytes, n);
}

static void end_output(struct output *o)
{
    struct streams *s = o->owner;

    if (o->ended)
        return;
    o->ended = true;
    loop_unwatch(s->loop, &o->source);
    if (s->opts.log)
        logfile_end(s->opts.log, o->stream, zl_wall_ns());
}

/* One read. Returns how many bytes came; 0: nothing is there now, or the stream has ended. */
static size_t read_output(struct output *o)
{
    char chunk[CHUNK];
    ssize_t n;

    do {
        n = read(o->fd, chunk, sizeof chunk);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        take_output(o, chunk, (size_t)n);
        return (size_t)n;
    }
    if (n == 0 || errno != EAGAIN) /* a pty whose last slave was closed answers EIO */
        end_output(o);
    return 0;
}

static bool all_ended(const struct streams *s)
{
    return s->out[LOG_STDOUT].ended && s->out[LOG_STDERR].ended;
}

static void output_ready(void *arg, uint32_t events);

/* They stay watched, so that going on cannot fail; EPOLLONESHOT alone tells of an end once. */
static void listen_for(struct streams *s, uint32_t events)
{
    for (int i = 0; i < LOG_STREAMS; i++)
        loop_change(s->loop, &s->out[i].source, events);
}

static void pause_output(struct streams *s)
{
    s->paused = true;
    listen_for(s, EPOLLONESHOT);
}

static int watch_output(struct streams *s, struct zl_error *err)
{
    for (int i = 0; i < LOG_STREAMS; i++) {
        struct output *o = &s->out[i];
        if (!o->ended && loop_watch(s->loop, &o->source, o->fd, EPOLLIN, output_ready, o, err) < 0)
            return -1;
    }
    return 0;
}

static void output_ready(void *arg, uint32_t events)
{
    struct output *o = arg;
    struct streams *s = o->owner;

    if (s->paused)
        return; /* an end is seen when it is read again */
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        (void)read_output(o);
    if (events & EPOLLOUT && !o->ended) { /* the terminal takes input again */
        loop_change(s->loop, &o->source, EPOLLIN);
        attach_input_wanted(&s->clients);
    }
    if (!s->finished && attach_is_full(&s->clients))
        pause_output(s);
    if (o->ended && all_ended(s) && !s->finished)
        s->on->ended(s->arg);
}

/* --- input --- */

static void close_stdin(struct streams *s)
{
    if (s->opts.tty) /* the master is the output as well; a terminal's end-of-file is a character */
        return;
    loop_unwatch(s->loop, &s->stdin_source);
    zl_closep(&s->stdin_fd);
    s->stdin_fd = -1;
}

static void stdin_ready(void *arg, uint32_t events)
{
    struct streams *s = arg;

    if (events & EPOLLERR) { /* nobody has the reading end any more */
        close_stdin(s);
        attach_input_wanted(&s->clients);
        return;
    }
    loop_unwatch(s->loop, &s->stdin_source);
    attach_input_wanted(&s->clients);
}

/* Full: told again when it takes bytes. */
static void wait_for_stdin(struct streams *s)
{
    if (s->opts.tty)
        loop_change(s->loop, &s->out[LOG_STDOUT].source, EPOLLIN | EPOLLOUT);
    else if (!s->stdin_source.watched)
        (void)loop_watch(s->loop, &s->stdin_source, s->stdin_fd, EPOLLOUT, stdin_ready, s, NULL);
}

static size_t client_input(void *arg, const char *bytes, size_t n)
{
    struct streams *s = arg;
    size_t done = 0;

    while (done < n && s->stdin_fd >= 0) {
        ssize_t w = write(s->stdin_fd, bytes + done, n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EAGAIN) {
            wait_for_stdin(s);
            return done;
        }
        if (w < 0) {
            close_stdin(s); /* EPIPE: the process reads no more */
            break;
        }
        done += (size_t)w;
    }
    return n; /* without a reader input is dropped, so that no client waits for it */
}

static void client_input_end(void *arg)
{
    close_stdin(arg);
}

static void client_room(void *arg)
{
    struct streams *s = arg;

    if (!s->paused || s->finished)
        return;
    s->paused = false;
    listen_for(s, EPOLLIN);
    attach_input_wanted(&s->clients);
}

static void client_left(void *arg)
{
    struct streams *s = arg;

    if (s->opts.first_holds && s->clients.n == 0)
        close_stdin(s); /* as Docker's StdinOnce */
    s->on->left(s->arg);
}

static const struct attach_events client_events = {
    .input = client_input,
    .input_end = client_input_end,
    .room = client_room,
    .left = client_left,
};

int streams_attach(struct streams *s, struct zl_error *err)
{
    int fd = attach_add(&s->clients, s->opts.first_holds && s->attached == 0, err);

    if (fd >= 0)
        s->attached++;
    if (fd >= 0 && s->finished)
        attach_finish(&s->clients, &s->exit);
    return fd;
}

void streams_let_go(struct streams *s)
{
    s->opts.first_holds = false;
    if (attach_let_go(&s->clients))
        client_room(s);
}

int streams_input(struct streams *s, const char *bytes, size_t n, size_t *ret_taken,
                  struct zl_error *err)
{
    size_t done = 0;

    if (!s->opts.stdin_open)
        return zl_fail(err, ZL_ERR_CONFLICT, "stdin: it was made without one");
    while (done < n && s->stdin_fd >= 0) {
        ssize_t w = write(s->stdin_fd, bytes + done, n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EAGAIN) {
            *ret_taken = done;
            return 0;
        }
        if (w < 0) {
            close_stdin(s); /* EPIPE: the process reads no more */
            break;
        }
        done += (size_t)w;
    }
    *ret_taken = n;
    return 0;
}

int streams_input_end(struct streams *s, struct zl_error *err)
{
    if (s->opts.tty)
        return zl_fail(err, ZL_ERR_CONFLICT,
                       "stdin: a terminal's end-of-file is a character (^D) that is written to it");
    close_stdin(s);
    return 0;
}

unsigned streams_clients(const struct streams *s)
{
    return s->clients.n;
}

/* --- making and ending --- */

/* A pipe whose end `ours` does not block. */
static int make_pipe(int *ret_ours, int *ret_theirs, bool we_read, struct zl_error *err)
{
    int p[2];

    if (pipe2(p, O_CLOEXEC) < 0)
        return zl_fail_errno(err, "make a pipe");
    *ret_ours = p[we_read ? 0 : 1];
    *ret_theirs = p[we_read ? 1 : 0];
    if (fcntl(*ret_ours, F_SETFL, O_NONBLOCK | (we_read ? O_RDONLY : O_WRONLY)) < 0)
        return zl_fail_errno(err, "make a pipe non-blocking");
    return 0;
}

static int make_ends(struct streams *s, struct zl_error *err)
{
    if (s->opts.tty) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->console) < 0)
            return zl_fail_errno(err, "make a console socket");
        s->out[LOG_STDERR].ended = true;
        return 0;
    }
    if (s->opts.stdin_open && make_pipe(&s->stdin_fd, &s->child[0], false, err) < 0)
        return -1;
    if (make_pipe(&s->out[LOG_STDOUT].fd, &s->child[1], true, err) < 0)
        return -1;
    return make_pipe(&s->out[LOG_STDERR].fd, &s->child[2], true, err);
}

int streams_open(struct loop *loop, const struct streams_opts *opts,
                 const struct streams_events *on, void *arg, struct streams **ret,
                 struct zl_error *err)
{
    autostreams struct streams *s = calloc(1, sizeof *s);
    if (!s)
        return zl_fail_errno(err, "make streams");
    s->loop = loop;
    s->on = on;
    s->arg = arg;
    s->opts = *opts;
    s->child[0] = s->child[1] = s->child[2] = -1;
    s->console[0] = s->console[1] = s->stdin_fd = -1;
    for (int i = 0; i < LOG_STREAMS; i++)
        s->out[i] = (struct output){ .owner = s, .stream = (enum log_stream)i, .fd = -1 };
    zl_buf_init(&s->capture, CAPTURE_ROOM);
    attach_init(&s->clients, loop, &client_events, s);
    if (make_ends(s, err) < 0)
        return -1;
    *ret = zl_take_ptr(s);
    return 0;
}

static void close_fd(int *fd)
{
    zl_closep(fd);
    *fd = -1;
}

static void close_child_ends(struct streams *s)
{
    for (int i = 0; i < 3; i++)
        close_fd(&s->child[i]);
    close_fd(&s->console[0]);
    close_fd(&s->console[1]);
}

void streams_free(struct streams *s)
{
    if (!s)
        return;
    attach_done(&s->clients);
    loop_disarm(s->loop, &s->hold_timer);
    loop_unwatch(s->loop, &s->stdin_source);
    for (int i = 0; i < LOG_STREAMS; i++) {
        loop_unwatch(s->loop, &s->out[i].source);
        close_fd(&s->out[i].fd);
    }
    if (!s->opts.tty)
        close_fd(&s->stdin_fd);
    close_child_ends(s);
    zl_buf_done(&s->capture);
    free(s);
}

void streams_child_ends(const struct streams *s, int ret_stdio[3], int *ret_console)
{
    memcpy(ret_stdio, s->child, sizeof s->child);
    *ret_console = s->console[1];
}

/* The master that the process made in its own devpts. It was sent before exec, so it is there. */
static int receive_master(struct streams *s, struct zl_error *err)
{
    char name[64]; /* the sender may add the terminal's name, as runc's protocol does */
    int master = zl_fd_receive(s->console[0], MSG_DONTWAIT, name, sizeof name);

    if (master < 0)
        return zl_fail(err, ZL_ERR_PROTOCOL, "the terminal's master did not arrive");
    s->out[LOG_STDOUT].fd = master;
    if (fcntl(s->out[LOG_STDOUT].fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
        return zl_fail_errno(err, "make the terminal's master non-blocking");
    s->stdin_fd = s->opts.stdin_open ? s->out[LOG_STDOUT].fd : -1;
    return 0;
}

int streams_started(struct streams *s, struct zl_error *err)
{
    if (s->opts.tty && receive_master(s, err) < 0)
        return -1;
    close_child_ends(s);
    return watch_output(s, err);
}

int streams_resize(struct streams *s, uint16_t rows, uint16_t cols, struct zl_error *err)
{
    struct winsize size = { .ws_row = rows, .ws_col = cols };

    if (!s->opts.tty)
        return zl_fail(err, ZL_ERR_CONFLICT, "resize: it has no terminal");
    if (s->out[LOG_STDOUT].fd < 0)
        return zl_fail(err, ZL_ERR_CONFLICT, "resize: it has not started");
    if (ioctl(s->out[LOG_STDOUT].fd, TIOCSWINSZ, &size) < 0)
        return zl_fail_errno(err, "resize the terminal");
    return 0;
}

bool streams_drain(struct streams *s)
{
    size_t total = 0;

    for (int i = 0; i < LOG_STREAMS; i++) {
        struct output *o = &s->out[i];
        size_t n = 1;
        while (!o->ended && o->fd >= 0 && n > 0 && total < DRAIN_MAX) {
            n = read_output(o);
            total += n;
        }
    }
    return all_ended(s);
}

void streams_finish(struct streams *s, const struct mon_exit *exit)
{
    if (s->finished)
        return;
    s->finished = true;
    s->exit = *exit;
    loop_disarm(s->loop, &s->hold_timer);
    for (int i = 0; i < LOG_STREAMS; i++)
        end_output(&s->out[i]);
    close_stdin(s);
    s->stdin_fd = -1;
    attach_finish(&s->clients, exit);
}

void streams_cut(struct streams *s)
{
    attach_done(&s->clients);
    s->attached = 0; /* the next one is the first again */
}
