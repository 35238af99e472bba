// SPDX-License-Identifier: Apache-2.0
/*
 * exec, attach and copies: the runtime says where the stream is, and the library talks to the
 * monitor or the helper itself. Its own loop stands still meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "lib/inner.h"
#include "monitor/client.h"
#include "monitor/filestream.h"
#include "monitor/frame.h"

enum { CONNECT_MS = 10000, OP_STREAM = 2 };

struct stream {
    struct mon_client *monitor;
    int fd;
    zlayer_output_fn fn;
    void *arg;
    const char *input; /* what the monitor has not taken yet */
    size_t input_n;
    bool sending; /* its end was not told yet */
    bool left;    /* fn wants no more */
    bool ended;
    struct mon_exit exit;
    struct mon_frame_reader frames;
};

static int stream_open(struct stream *s, const struct rt_stream_where *where, bool exec,
                       struct zl_error *err)
{
    uint64_t deadline = zl_mono_ms() + CONNECT_MS;
    struct mon_message m;

    mon_frame_reader_init(&s->frames);
    if (mon_client_connect(where->socket, where->token, deadline, &s->monitor, NULL, err) < 0)
        return -1;
    int rc = exec ? mon_client_send_exec_start(s->monitor, OP_STREAM, 0, err)
                  : mon_client_send_attach(s->monitor, OP_STREAM, err);
    if (rc < 0 || mon_client_await(s->monitor, OP_STREAM, deadline, &m, err) < 0)
        return -1;
    s->fd = m.fd;
    return fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0
               ? zl_fail_errno(err, "make the stream non-blocking")
               : 0;
}

static void stream_close(struct stream *s)
{
    zl_closep(&s->fd);
    mon_client_free(s->monitor);
}

static int take_frame(void *arg, const struct mon_frame *f, struct zl_error *err)
{
    struct stream *s = arg;
    (void)err;
    if (f->stream == MON_STREAM_STDOUT || f->stream == MON_STREAM_STDERR)
        s->left = s->fn &&
                  s->fn(s->arg, f->stream == MON_STREAM_STDERR ? 2 : 1, f->bytes, f->length) != 0;
    s->ended = f->stream == MON_STREAM_EXIT;
    if (s->ended)
        s->exit = f->exit;
    return !s->ended && !s->left;
}

static void send_input(struct stream *s)
{
    ssize_t n = s->input_n ? send(s->fd, s->input, s->input_n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) /* nobody reads it any more; the exit is still to come */
        n = (ssize_t)s->input_n;
    s->input += n;
    s->input_n -= (size_t)n;
    if (s->input_n == 0) {
        s->sending = false;
        (void)shutdown(s->fd, SHUT_WR); /* a monitor that is gone shows on reading */
    }
}

static int stream_run(struct stream *s, struct zl_error *err)
{
    for (;;) {
        struct pollfd p = { s->fd, (short)(POLLIN | (s->sending ? POLLOUT : 0)), 0 };
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            return zl_fail_errno(err, "wait for output");
        if (p.revents & POLLOUT)
            send_input(s);
        int rc = p.revents & ~POLLOUT ? mon_frames_take(&s->frames, s->fd, take_frame, s, err) : 1;
        if (rc <= 0)
            return rc;
    }
}

/* ---- exec, attach ---- */

static int where_of(zlayer_container *c, struct rt_request *rq, struct rt_stream_where *ret,
                    struct zl_error *err)
{
    struct rt_answer a;
    rq->id = c->id;
    if (lib_ask(c->owner, rq, &a) < 0) {
        *err = a.err;
        return -1;
    }
    *ret = a.where;
    return 0;
}

static int exec(zlayer_container *c, const struct zlayer_exec *x, struct stream *s,
                struct zl_error *err)
{
    static const char *const nothing[] = { NULL };
    struct rt_stream_where where;
    struct rt_request rq = {
        .kind = RT_EXEC,
        .exec = { .argv = x->argv,
                  .env = x->env ? x->env : nothing,
                  .user = x->user,
                  .cwd = x->cwd,
                  .tty = x->tty,
                  .stdin_open = x->input != NULL,
                  .rows = x->rows,
                  .cols = x->cols },
    };
    if (!x->argv || !x->argv[0])
        return zl_fail(err, ZL_ERR_INVALID, "exec: there is no command to execute");
    if (where_of(c, &rq, &where, err) < 0 || stream_open(s, &where, true, err) < 0 ||
        stream_run(s, err) < 0)
        return -1;
    return s->ended || s->left
               ? 0
               : zl_fail(err, ZL_ERR_UNREACHABLE, "exec: the monitor of the container died");
}

int zlayer_container_exec(zlayer_container *c, const struct zlayer_exec *options,
                          zlayer_output_fn fn, void *arg, struct zlayer_exit *ret,
                          struct zlayer_error *err)
{
    struct zlayer_exec x = { 0 };
    struct zl_error why = { 0 };
    /* an older caller's struct is shorter: the rest are zeros */
    (void)memcpy(&x, options, options->size < sizeof x ? options->size : sizeof x);
    struct stream s = { .fd = -1,
                        .fn = fn,
                        .arg = arg,
                        .input = x.input,
                        .input_n = x.input ? x.input_size : 0,
                        .sending = x.input != NULL };
    int rc = exec(c, &x, &s, &why);
    stream_close(&s);
    if (rc < 0)
        return lib_fail(err, &why);
    if (s.ended)
        *ret = (struct zlayer_exit){ .code = s.exit.code,
                                     .signal = s.exit.signal,
                                     .oom = s.exit.oom != 0,
                                     .finished_ms = s.exit.finished_wall_ns / 1000000 };
    return 0;
}

int zlayer_container_attach(zlayer_container *c, zlayer_output_fn fn, void *arg,
                            struct zlayer_error *err)
{
    struct rt_request rq = { .kind = RT_ATTACH };
    struct stream s = { .fd = -1, .fn = fn, .arg = arg };
    struct rt_stream_where where;
    struct zl_error why = { 0 };
    int rc = where_of(c, &rq, &where, &why);
    if (rc == 0)
        rc = stream_open(&s, &where, false, &why);
    if (rc == 0)
        rc = stream_run(&s, &why);
    stream_close(&s);
    return rc < 0 ? lib_fail(err, &why) : 0;
}

/* ---- copies ---- */

static int copy(zlayer_container *c, struct rt_request *rq, int in, int out,
                struct zlayer_error *err)
{
    struct rt_stream_where where;
    struct zl_error why = { 0 };
    rq->kind = RT_ARCHIVE;
    if (where_of(c, rq, &where, &why) < 0 || filestream_run(where.socket, in, out, NULL, &why) < 0)
        return lib_fail(err, &why);
    return 0;
}

int zlayer_container_copy_in(zlayer_container *c, const char *path, int tar_fd, unsigned flags,
                             struct zlayer_error *err)
{
    struct rt_request rq = { .archive = { .op = "put",
                                          .path = path,
                                          .keep_owner = flags & ZLAYER_COPY_OWNERS,
                                          .same_types = flags & ZLAYER_COPY_SAME_TYPES } };
    return copy(c, &rq, tar_fd, -1, err);
}

int zlayer_container_copy_out(zlayer_container *c, const char *path, int tar_fd,
                              struct zlayer_error *err)
{
    struct rt_request rq = { .archive = { .op = "get", .path = path } };
    return copy(c, &rq, -1, tar_fd, err);
}
