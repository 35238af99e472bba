// SPDX-License-Identifier: Apache-2.0
#include "cli/container/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cli/container/detach.h"
#include "cli/output.h"
#include "cmdline/term.h"
#include "monitor/client.h"
#include "monitor/frame.h"

enum { CONNECT_MS = 10000, INPUT_SIZE = 16384 };

/* Ops of our requests. What became of a signal does not matter. */
enum { OP_STREAM = 2, OP_SIZE, OP_SIGNAL, OP_DETACH };
enum { SIZE_AGAIN_MS = 5 };

static const int proxied[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

struct stream {
    const struct stream_options *o;
    struct mon_client *monitor;
    int fd; /* of the streams */
    int signals;
    bool tty;
    bool reading; /* our stdin has more */
    struct detach detach;
    bool left;
    char input[INPUT_SIZE + DETACH_KEYS_MAX];
    size_t input_at, input_n; /* of input, what the monitor has not taken yet */
    bool size_due;            /* the terminal did not exist yet when we told its size */
    bool ended;
    struct mon_exit exit;
    struct mon_frame_reader frames;
};

/* ---- down: what the process writes --------------------------------------------------------- */

static int put_frame(void *arg, const struct mon_frame *f, struct zl_error *err)
{
    struct stream *s = arg;
    static const char *const names[] = { "", "standard output", "standard error" };
    switch (f->stream) {
    case MON_STREAM_STDOUT:
    case MON_STREAM_STDERR:
        return zl_write_all(f->stream, f->bytes, f->length, names[f->stream], err) < 0 ? -1 : 1;
    case MON_STREAM_EXIT:
        s->ended = true;
        s->exit = f->exit;
        return 0;
    default:
        return 1; /* of a newer monitor */
    }
}

/* ---- up: what we were given ---------------------------------------------------------------- */

static void end_input(struct stream *s)
{
    s->reading = false;
    if (s->input_n == 0)
        (void)shutdown(s->fd, SHUT_WR); /* a monitor that is gone shows on reading */
}

static void send_input(struct stream *s)
{
    ssize_t n = send(s->fd, s->input + s->input_at, s->input_n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) { /* nobody reads it any more; the exit is still to come */
        s->input_n = 0;
        s->reading = false;
        return;
    }
    s->input_at += (size_t)n;
    s->input_n -= (size_t)n;
    if (s->input_n == 0 && !s->reading)
        (void)shutdown(s->fd, SHUT_WR);
}

static void read_input(struct stream *s)
{
    ssize_t n = read(0, s->input, INPUT_SIZE);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        end_input(s);
        return;
    }
    s->input_at = 0;
    s->input_n = (size_t)n;
    if (s->tty)
        s->left = detach_filter(&s->detach, s->input, &s->input_n);
    if (s->input_n > 0)
        send_input(s);
}

/* ---- signals ------------------------------------------------------------------------------- */

static void send_size(struct stream *s)
{
    uint16_t rows, cols;
    s->size_due = false;
    if (s->tty && (term_size(0, &rows, &cols) || term_size(1, &rows, &cols)))
        (void)mon_client_send_resize(s->monitor, OP_SIZE, 0, rows, cols, NULL);
}

static void on_signal(struct stream *s)
{
    struct signalfd_siginfo info;
    if (read(s->signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGWINCH)
        send_size(s);
    else
        (void)mon_client_send_signal(s->monitor, OP_SIGNAL, 0, (int)info.ssi_signo, NULL);
}

static int open_signals(const struct stream_options *o, sigset_t *before, struct zl_error *err)
{
    sigset_t set;
    (void)sigemptyset(&set);
    if (o->tty || o->as_made)
        (void)sigaddset(&set, SIGWINCH);
    for (size_t i = 0; (o->sig_proxy || o->tty || o->as_made) && i < ZL_ARRAY_LEN(proxied); i++)
        (void)sigaddset(&set, proxied[i]);
    if (sigprocmask(SIG_BLOCK, &set, before) < 0)
        return zl_fail_errno(err, "block signals");
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd >= 0 ? fd : zl_fail_errno(err, "watch signals");
}

/* Answers to what we sent on the way. */
static void drain_monitor(struct stream *s)
{
    struct mon_message m;
    while (mon_client_recv(s->monitor, &m, NULL) > 0) {
        s->size_due = s->size_due || (m.op == OP_SIZE && m.err.kind == ZL_ERR_CONFLICT);
        zl_closep(&m.fd);
    }
}

/* ---- the loop ------------------------------------------------------------------------------ */

enum { P_STREAM, P_SIGNALS, P_MONITOR, P_STDIN, P_COUNT };

static int turn(struct stream *s, struct zl_error *err)
{
    bool want_input = s->reading && s->input_n == 0;
    struct pollfd p[P_COUNT] = {
        [P_STREAM] = { .fd = s->fd, .events = (short)(POLLIN | (s->input_n ? POLLOUT : 0)) },
        [P_SIGNALS] = { .fd = s->signals, .events = POLLIN },
        [P_MONITOR] = { .fd = mon_client_fd(s->monitor), .events = POLLIN },
        [P_STDIN] = { .fd = want_input ? 0 : -1, .events = POLLIN },
    };
    int n = poll(p, P_COUNT, s->size_due ? SIZE_AGAIN_MS : -1);
    if (n < 0)
        return errno == EINTR ? 1 : zl_fail_errno(err, "wait for the container");
    if (n == 0)
        send_size(s);
    if (p[P_SIGNALS].revents)
        on_signal(s);
    if (p[P_STDIN].revents)
        read_input(s);
    if (s->left)
        return 0;
    if (p[P_STREAM].revents & POLLOUT)
        send_input(s);
    int rc =
        p[P_STREAM].revents & ~POLLOUT ? mon_frames_take(&s->frames, s->fd, put_frame, s, err) : 1;
    if (p[P_MONITOR].revents & POLLIN)
        drain_monitor(s);
    if (p[P_MONITOR].revents & (POLLHUP | POLLERR) && !(p[P_STREAM].revents & POLLIN))
        return 0;
    return rc;
}

static int connect_stream(struct stream *s, const json_t *where, struct zl_error *err)
{
    uint64_t deadline = zl_mono_ms() + CONNECT_MS;
    struct mon_message m;
    struct mon_state state;
    if (mon_client_connect(jstr(where, "socket"), jstr(where, "token"), deadline, &s->monitor,
                           &state, err) < 0)
        return -1;
    s->tty = s->o->as_made ? state.create_flags & MON_CREATE_TTY : s->o->tty;
    s->reading = s->o->as_made ? state.create_flags & MON_CREATE_STDIN : s->o->stdin_open;
    s->reading = s->reading && !s->o->no_stdin;
    int rc = s->o->exec ? mon_client_send_exec_start(s->monitor, OP_STREAM, 0, err)
                        : mon_client_send_attach(s->monitor, OP_STREAM, err);
    if (rc < 0 || mon_client_await(s->monitor, OP_STREAM, deadline, &m, err) < 0)
        return -1;
    s->fd = m.fd;
    send_size(s);
    if (fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0)
        return zl_fail_errno(err, "make the stream non-blocking");
    return 0;
}

/* It goes on without us: what would end by our leaving shall not. */
static int leave(struct stream *s, struct zl_error *err)
{
    struct mon_message m;
    uint64_t deadline = zl_mono_ms() + CONNECT_MS;
    s->left = true;
    if (mon_client_send_detach(s->monitor, OP_DETACH, 0, err) < 0 ||
        mon_client_await(s->monitor, OP_DETACH, deadline, &m, err) < 0)
        return zl_wrap(err, "detach");
    return 0;
}

static int run(struct stream *s, const json_t *where, struct zl_error *err)
{
    if (connect_stream(s, where, err) < 0)
        return -1;
    if (s->o->leave)
        return leave(s, err);
    if (s->tty && isatty(0) && term_raw(0, err) < 0)
        return -1;
    int rc;
    do {
        rc = turn(s, err);
    } while (rc > 0);
    term_restore();
    return rc == 0 && s->left ? leave(s, err) : rc;
}

int stream_run(const json_t *where, const struct stream_options *o, enum stream_end *ret_end,
               struct mon_exit *ret_exit, struct zl_error *err)
{
    sigset_t before;
    zl_autofree struct stream *s = calloc(1, sizeof *s);
    if (!s)
        return zl_fail_errno(err, "attach");
    s->o = o;
    s->fd = -1;
    mon_frame_reader_init(&s->frames);
    if (detach_init(&s->detach, o->detach_keys, err) < 0)
        return -1;
    s->signals = open_signals(o, &before, err);
    int rc = s->signals < 0 ? -1 : run(s, where, err);
    if (s->signals >= 0)
        (void)sigprocmask(SIG_SETMASK, &before, NULL); /* cannot fail with these arguments */
    zl_closep(&s->signals);
    zl_closep(&s->fd);
    mon_client_free(s->monitor);
    /* A first process that never ran ends its streams too; why, only the agent knows. */
    bool ran = o->exec || s->exit.started_wall_ns != 0;
    *ret_end = s->left ? STREAM_LEFT : s->ended && ran ? STREAM_EXITED : STREAM_CUT;
    *ret_exit = s->exit;
    return rc < 0 ? -1 : 0;
}
