// SPDX-License-Identifier: Apache-2.0
#include "fetch/crew/crew.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/msg.h"
#include "base/weaken.h"
#include "fetch/crew/hand.h"

enum { PIPE_SIZE = 1 << 20 }; /* what the kernel gives without a capability (pipe(7)) */

/* ---- the foreman ----------------------------------------------------------------------------- */

int crew_start(struct crew *ret, struct zl_error *err)
{
    const uint64_t apart = CLONE_NEWPID | CLONE_NEWIPC | (zl_weaken(CALLS) ? 0 : CLONE_NEWNET);
    struct clone_args how = { .flags = apart, .exit_signal = SIGCHLD };
    int pair[2];
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for a signal that there is */
    json_object_seed(0);            /* of those who read documents: none of them can open a file */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return zl_fail_errno(err, "make a socket");
    long pid = syscall(SYS_clone3, &how, sizeof how);
    if (pid == 0)
        hand_foreman(pair[1]);
    *ret = (struct crew)CREW_NONE;
    ret->foreman = pair[0];
    ret->pid = (int)pid;
    zl_closep(&pair[1]);
    if (pid >= 0)
        return 0;
    zl_closep(&pair[0]);
    *ret = (struct crew)CREW_NONE;
    return zl_fail_errno(err, "fork a process with namespaces of its own");
}

void crew_end(struct crew *c)
{
    zl_closep(&c->foreman);
    if (c->pid > 0)
        (void)waitpid(c->pid, NULL, 0); /* ours, and waited for once */
    *c = (struct crew)CREW_NONE;
}

static int tell(const struct crew *c, enum hand_order order, const void *body, size_t n,
                const int *fds, size_t n_fds, struct zl_error *err)
{
    struct zl_msg m = { .head = { .version = 1, .type = (uint16_t)order, .length = (uint32_t)n },
                        .body = body,
                        .n_fds = (int)n_fds };
    memcpy(m.fds, fds, n_fds * sizeof *fds);
    return zl_msg_send(c->foreman, &m, err) < 0 ? zl_wrap(err, "ask for a process that does it")
                                                : 0;
}

int crew_hold(const struct crew *c, const int *fds, size_t n, struct zl_error *err)
{
    return tell(c, HAND_HOLD, NULL, 0, fds, n, err);
}

/* ---- one hand -------------------------------------------------------------------------------- */

/* From now on it says nothing any more, or takes nothing. */
static uint64_t give_up_at(const struct crew_job *j)
{
    uint64_t silent = zl_mono_ms() + j->silence_ms;
    return silent < j->until_ms ? silent : j->until_ms;
}

/* The hand's word, and its end: it holds the socket as long as it lives. */
static int hear(int answer, uint64_t until_ms, struct hand_answer *ret, struct zl_error *err)
{
    struct hand_answer last;
    bool any = false;
    ssize_t n;
    do {
        if (zl_await(answer, POLLIN, until_ms, err) < 0)
            return zl_wrap(err, "wait for the process that does it");
        n = read(answer, &last, sizeof last);
        if (n == (ssize_t)sizeof last) {
            *ret = last;
            any = true;
        }
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        return zl_fail_errno(err, "hear the process that does it");
    if (!any)
        return zl_fail(err, ZL_ERR_SYSTEM, "the process that was to do it has died");
    ret->msg[sizeof ret->msg - 1] = '\0';
    ret->layer.diff_id[DIGEST_SIZE - 1] = '\0';
    if (ret->kind == ZL_OK)
        return 0;
    (void)zl_fail(err, ret->kind < ZL_ERR_KINDS ? (enum zl_err_kind)ret->kind : ZL_ERR_INTERNAL,
                  "%s", ret->msg);
    if (err)
        err->errnum = ret->errnum;
    return -1;
}

/* Sends fds, the first of which is for the answer, and a socket to hear it. */
static int begin(const struct crew *c, enum hand_order order, const char *text, int *fds,
                 size_t n_fds, struct zl_error *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return zl_fail_errno(err, "make a socket");
    fds[0] = pair[1];
    int rc = tell(c, order, text, text ? strlen(text) + 1 : 0, fds, n_fds, err);
    (void)close(pair[1]);
    if (rc == 0)
        return pair[0];
    (void)close(pair[0]);
    return -1;
}

/* One that reads from a pipe, the last of fds. */
static int begin_job(const struct crew *c, enum hand_order order, const char *body, int *fds,
                     size_t n_fds, struct crew_job *ret, struct zl_error *err)
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) < 0)
        return zl_fail_errno(err, "make a pipe");
    (void)fcntl(pair[1], F_SETPIPE_SZ, PIPE_SIZE);        /* a smaller one takes longer, no more */
    (void)fcntl(pair[1], F_SETFL, O_WRONLY | O_NONBLOCK); /* cannot fail for a pipe */
    fds[n_fds - 1] = pair[0];
    *ret =
        (struct crew_job){ .pipe = pair[1], .silence_ms = c->silence_ms, .until_ms = UINT64_MAX };
    ret->answer = begin(c, order, body, fds, n_fds, err);
    (void)close(pair[0]);
    if (ret->answer >= 0)
        return 0;
    zl_closep(&ret->pipe);
    *ret = (struct crew_job)CREW_NO_JOB;
    return -1;
}

int crew_unpack(const struct crew *c, int root, int notes, struct crew_job *ret,
                struct zl_error *err)
{
    int fds[] = { -1, root, notes, -1 };
    return begin_job(c, HAND_UNPACK, NULL, fds, ZL_ARRAY_LEN(fds), ret, err);
}

int crew_decompress(const struct crew *c, int out, struct crew_job *ret, struct zl_error *err)
{
    int fds[] = { -1, out, -1 };
    return begin_job(c, HAND_DECOMPRESS, NULL, fds, ZL_ARRAY_LEN(fds), ret, err);
}

int crew_list(const struct crew *c, int archive, int list, struct zl_error *err)
{
    struct hand_answer a;
    int fds[] = { -1, list, archive };
    zl_autoclose int answer = begin(c, HAND_LIST, NULL, fds, ZL_ARRAY_LEN(fds), err);
    return answer < 0 ? -1 : hear(answer, zl_mono_ms() + c->silence_ms, &a, err);
}

int crew_feed(struct crew_job *j, const void *bytes, size_t n, struct zl_error *err)
{
    const char *at = bytes;
    while (n > 0) {
        ssize_t w = write(j->pipe, at, n);
        if (w > 0) {
            at += w;
            n -= (size_t)w;
        } else if (errno == EPIPE) {
            return 0;
        } else if (errno != EAGAIN && errno != EINTR) {
            return zl_fail_errno(err, "write to the process that does it");
        } else if (zl_await(j->pipe, POLLOUT, give_up_at(j), err) < 0) {
            j->until_ms = 0;
            return zl_wrap(err, "wait for the process that does it");
        }
    }
    return 1;
}

int crew_finish(struct crew_job *j, struct unpacked *ret, struct zl_error *err)
{
    struct hand_answer a;
    uint64_t until_ms = give_up_at(j);
    zl_closep(&j->pipe);
    zl_autoclose int answer = j->answer;
    *j = (struct crew_job)CREW_NO_JOB;
    if (hear(answer, until_ms, &a, err) < 0)
        return -1;
    if (a.layer.packing > PACKED_ZSTD)
        return zl_fail(err, ZL_ERR_PROTOCOL, "the process that unpacks talks nonsense");
    *ret = a.layer;
    return 0;
}

static int begin_reading(const struct crew *c, enum reading_kind kind, const char *what,
                         struct crew_job *job, struct zl_error *err)
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) < 0)
        return zl_fail_errno(err, "make a pipe");
    int fds[] = { -1, pair[1], -1 };
    int rc =
        begin_job(c, (enum hand_order)(HAND_INDEX + kind), what, fds, ZL_ARRAY_LEN(fds), job, err);
    (void)close(pair[1]);
    job->until_ms = zl_mono_ms() + c->document_ms;
    if (rc == 0)
        return pair[0];
    (void)close(pair[0]);
    return -1;
}

/* The document goes first, whole: a hand says nothing before its end. Who ends earlier says why. */
static int exchange(struct crew_job *job, int found_fd, const struct zl_buf *text,
                    struct zl_buf *found, struct zl_error *err)
{
    if (crew_feed(job, text->data, text->len, err) < 0)
        return -1;
    zl_closep(&job->pipe);
    zl_buf_reset(found);
    return zl_read_until(found_fd, found, job->until_ms, "what was read", err);
}

int crew_read(const struct crew *c, enum reading_kind kind, const struct zl_buf *text,
              const char *what, struct zl_buf *found, struct zl_error *err)
{
    struct crew_job job = CREW_NO_JOB;
    struct hand_answer a = { .kind = ZL_OK };
    zl_autoclose int found_fd = begin_reading(c, kind, what, &job, err);
    int rc = found_fd < 0 ? -1 : exchange(&job, found_fd, text, found, err);
    if (rc == 0) /* else it says more than there can be, and nobody waits for its end */
        rc = hear(job.answer, job.until_ms, &a, err);
    zl_closep(&job.pipe);
    zl_closep(&job.answer);
    return rc < 0 && a.kind == ZL_OK ? zl_wrap(err, "%s", what) : rc; /* it names it itself */
}

int crew_settle(const struct crew *c, int root, int notes, const int *below, size_t n_below,
                struct zl_error *err)
{
    struct hand_answer a;
    int fds[ZL_MSG_FDS] = { -1, root, notes };
    if (n_below > ZL_MSG_FDS - 3)
        return zl_fail(err, ZL_ERR_INVALID, "%zu layers are too many", n_below);
    if (n_below)
        memcpy(fds + 3, below, n_below * sizeof *below);
    zl_autoclose int answer = begin(c, HAND_SETTLE, NULL, fds, 3 + n_below, err);
    return answer < 0 ? -1 : hear(answer, zl_mono_ms() + c->silence_ms, &a, err);
}

static int on_tree(const struct crew *c, enum hand_order order, int dir_fd, const char *name,
                   struct hand_answer *a, struct zl_error *err)
{
    int fds[] = { -1, dir_fd };
    if (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return 0;
    zl_autoclose int answer = begin(c, order, name, fds, ZL_ARRAY_LEN(fds), err);
    return answer < 0 ? -1 : hear(answer, zl_mono_ms() + c->silence_ms, a, err);
}

int crew_remove(const struct crew *c, int dir_fd, const char *name, uint64_t *bytes,
                struct zl_error *err)
{
    struct hand_answer a = { 0 };
    if (on_tree(c, HAND_REMOVE, dir_fd, name, &a, err) < 0)
        return zl_wrap(err, "remove '%s'", name);
    if (bytes)
        *bytes = a.bytes;
    return 0;
}

uint64_t crew_measure(const struct crew *c, int dir_fd, const char *name)
{
    struct hand_answer a = { 0 };
    return on_tree(c, HAND_MEASURE, dir_fd, name, &a, NULL) < 0 ? 0 : a.bytes;
}
