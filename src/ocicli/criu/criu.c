// SPDX-License-Identifier: Apache-2.0
#include "ocicli/criu/criu.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/launch.h"
#include "ocicli/criu/protobuf.h"

enum { MESSAGE_MAX = 65536, ANSWER_MAX = 4096, LOG_TAIL = 65536, SOCKET_AT = 3 };

/* rpc.proto, criu_req, criu_resp, criu_notify; criu_req_type */
enum { REQ_TYPE = 1, REQ_OPTS = 2, REQ_NOTIFY_SUCCESS = 3 };
enum { RESP_TYPE = 1, RESP_SUCCESS = 2, RESP_NOTIFY = 5, RESP_ERRNO = 7, RESP_ERRMSG = 9 };
enum { NOTIFY_SCRIPT = 1, NOTIFY_PID = 2 };
enum { TYPE_DUMP = 1, TYPE_RESTORE = 2, TYPE_PRE_DUMP = 4, TYPE_NOTIFY = 6 };

static const struct {
    int type;
    const char *what, *log;
} works[CRIU_WORKS] = {
    [CRIU_DUMP] = { TYPE_DUMP, "save the container", "dump.log" },
    [CRIU_PRE_DUMP] = { TYPE_PRE_DUMP, "save the container's memory", "dump.log" },
    [CRIU_RESTORE] = { TYPE_RESTORE, "restore the container", "restore.log" },
};

/* ---- its program ---- */

static bool is_program(const char *path)
{
    return path[0] && access(path, X_OK) == 0;
}

/* As execvp(3) would, but before anything was made. */
static int find_program(const char *name, char out[PATH_MAX], struct zl_error *err)
{
    const char *path = getenv("PATH");
    int n = strchr(name, '/') ? snprintf(out, PATH_MAX, "%s", name) : 0;

    if (n > 0 && n < PATH_MAX && is_program(out))
        return 0;
    for (; n == 0 && path && *path; path += strcspn(path, ":"), path += *path == ':') {
        size_t len = strcspn(path, ":");
        int m = snprintf(out, PATH_MAX, "%.*s/%s", (int)len, path, name);
        if (len && m > 0 && m < PATH_MAX && is_program(out))
            return 0;
    }
    return zl_fail(err, ZL_ERR_UNSUPPORTED,
                   "checkpoint and restore need criu, and there is no program '%s'%s", name,
                   n ? "" : " in $PATH; --criu FILE names another");
}

struct running {
    struct carry_proc p;
    int sock;
};

/* In the container's cgroups. Async-signal-safe calls only. */
struct birth {
    const char *program;
    const struct criu_call *call;
    int sock;
};

static void be_criu(void *arg, int failed)
{
    extern char **environ;
    char name[] = "criu", verb[] = "swrk", fd[] = "3";
    char *const argv[] = { name, verb, fd, NULL };
    const struct birth *b = arg;
    sigset_t none;

    sigemptyset(&none);
    if (failed || dup2(b->sock, SOCKET_AT) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        _exit(126);
    for (size_t i = 0; i < b->call->n_inherit; i++)
        if (fcntl(b->call->inherit[i], F_SETFD, 0) < 0)
            _exit(126);
    (void)execve(b->program, argv, environ);
    _exit(127);
}

static int start_beside(const char *program, int sock, struct carry_proc *ret, struct zl_error *err)
{
    char name[] = "criu", verb[] = "swrk", fd[] = "3";
    char *argv[] = { name, verb, fd, NULL };
    struct zl_launch how = {
        .program = program, .argv = argv, .fds = { 0, 1, 2, sock }, .n_fds = SOCKET_AT + 1
    };
    struct zl_child child;

    if (zl_launch(&how, &child, err) < 0)
        return -1;
    *ret = (struct carry_proc){ .pid = child.pid, .pidfd = child.pidfd };
    return 0;
}

static int start(const struct criu_call *call, struct running *ret, struct zl_error *err)
{
    char program[PATH_MAX];
    int pair[2];

    if (find_program(call->cli->criu ? call->cli->criu : "criu", program, err) < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return zl_fail_errno(err, "ask criu");
    zl_autoclose int ours = pair[0];
    zl_autoclose int low = pair[1];
    zl_autoclose int its = zl_dup_above(low, SOCKET_AT + 1, err); /* dup2 must make another */
    struct birth b = { .program = program, .call = call, .sock = its };
    if (its < 0 || (call->within ? carry_fork(call->within, be_criu, &b, &ret->p, err)
                                 : start_beside(program, its, &ret->p, err)) < 0)
        return -1;
    ret->sock = zl_take_fd(&ours);
    return 0;
}

/* It ends when its socket does. */
static void finish(struct running *r)
{
    siginfo_t info;

    zl_closep(&r->sock);
    while (waitid(P_PID, (id_t)r->p.pid, &info, WEXITED) < 0 && errno == EINTR)
        ;
    zl_closep(&r->p.pidfd);
}

/* ---- the conversation ---- */

struct answer {
    int type;
    bool success;
    pid_t pid;
    int errnum;
    char what[64], message[512];
    int fd; /* -1: none */
};

static void copy_text(char *out, size_t size, const struct pb_field *f)
{
    size_t n = f->n < size - 1 ? f->n : size - 1;

    if (f->bytes && n)
        memcpy(out, f->bytes, n);
    out[f->bytes ? n : 0] = '\0';
}

static int read_notify(const struct pb_field *message, struct answer *a)
{
    const char *at = message->bytes, *end = at ? at + message->n : at;
    struct pb_field f;
    int rc;

    while ((rc = pb_next(&at, end, &f)) == 1) {
        if (f.number == NOTIFY_SCRIPT)
            copy_text(a->what, sizeof a->what, &f);
        else if (f.number == NOTIFY_PID)
            a->pid = (pid_t)f.value;
    }
    return rc;
}

static int read_answer(const char *bytes, size_t n, struct answer *a)
{
    const char *at = bytes, *end = bytes + n;
    struct pb_field f;
    int rc;

    while ((rc = pb_next(&at, end, &f)) == 1) {
        if (f.number == RESP_TYPE)
            a->type = (int)f.value;
        else if (f.number == RESP_SUCCESS)
            a->success = f.value != 0;
        else if (f.number == RESP_ERRNO)
            a->errnum = (int)f.value;
        else if (f.number == RESP_ERRMSG)
            copy_text(a->message, sizeof a->message, &f);
        else if (f.number == RESP_NOTIFY && read_notify(&f, a) < 0)
            return -1;
    }
    return rc;
}

static int descriptor_of(struct msghdr *m)
{
    int fd = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
            c->cmsg_len == CMSG_LEN(sizeof fd))
            memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

/* a->fd is the caller's. */
static int hear(int sock, struct answer *a, struct zl_error *err)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    char text[ANSWER_MAX];
    struct iovec data = { text, sizeof text };
    struct msghdr m = { .msg_iov = &data,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = sizeof control.space };
    ssize_t n;

    do
        n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != ECONNRESET)
        return zl_fail_errno(err, "hear from criu");
    if (n <= 0)
        return zl_fail(err, ZL_ERR_PROTOCOL, "criu ended without an answer");
    *a = (struct answer){ .fd = descriptor_of(&m) };
    if (m.msg_flags & MSG_TRUNC || read_answer(text, (size_t)n, a) < 0) {
        zl_closep(&a->fd);
        return zl_fail(err, ZL_ERR_PROTOCOL, "criu says what is none of its messages");
    }
    return 0;
}

static int say(int sock, const struct zl_buf *message, struct zl_error *err)
{
    if (zl_buf_check(message, "request for criu", err) < 0)
        return -1;
    return send(sock, message->data, message->len, MSG_NOSIGNAL) == (ssize_t)message->len
               ? 0
               : zl_fail_errno(err, "ask criu");
}

static int ask(const struct criu_call *call, int sock, struct zl_error *err)
{
    zl_autobuf struct zl_buf request = ZL_BUF(MESSAGE_MAX);

    pb_number(&request, REQ_TYPE, works[call->work].type);
    pb_message(&request, REQ_OPTS, call->opts);
    return say(sock, &request, err);
}

/* What we think of a notification: criu waits for it. */
static int reply(int sock, bool success, struct zl_error *err)
{
    zl_autobuf struct zl_buf request = ZL_BUF(64);

    pb_number(&request, REQ_TYPE, TYPE_NOTIFY);
    pb_number(&request, REQ_NOTIFY_SUCCESS, success);
    return say(sock, &request, err);
}

/* ---- what it complains of ---- */

/* The last line of its log that is an error, without the time before it. */
static void last_complaint(const struct criu_call *call, char *out, size_t size)
{
    zl_autoclose int fd = openat(call->dirs->work, works[call->work].log, O_RDONLY | O_CLOEXEC);
    zl_autobuf struct zl_buf text = ZL_BUF(LOG_TAIL);
    off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    const char *last = NULL;

    out[0] = '\0';
    if (end < 0 || lseek(fd, end > LOG_TAIL ? end - LOG_TAIL : 0, SEEK_SET) < 0 ||
        zl_read_fd(fd, &text, "log", NULL) < 0)
        return;
    for (const char *at = text.data; (at = strstr(at, "Error ("));)
        last = at++;
    if (last)
        (void)snprintf(out, size, "%.*s; ", (int)strcspn(last, "\n"), last);
}

static int complain(const struct criu_call *call, struct answer *a, struct zl_error *err)
{
    char complaint[512];

    last_complaint(call, complaint, sizeof complaint);
    a->message[strcspn(a->message, "\n")] = '\0';
    return zl_fail(err, ZL_ERR_SYSTEM, "%s: criu could not%s%s%s%s: %ssee '%s/%s'",
                   works[call->work].what, a->message[0] ? ": " : "", a->message,
                   a->errnum ? ": " : "", a->errnum ? strerror(a->errnum) : "", complaint,
                   call->dirs->work_path, works[call->work].log);
}

/* 0: more is to be heard, 1: done. why: what a notification of ours failed with. */
static int follow(const struct criu_call *call, int sock, struct zl_error *why,
                  struct zl_error *err)
{
    struct answer a = { .fd = -1 };

    if (hear(sock, &a, err) < 0)
        return -1;
    zl_autoclose int fd = a.fd;
    if (a.type == TYPE_NOTIFY) {
        bool fine = call->told(call->arg, a.what, a.pid, fd, why) == 0;
        return reply(sock, fine, err);
    }
    if (why->msg[0]) { /* why criu gave up */
        *err = *why;
        return -1;
    }
    return a.success ? 1 : complain(call, &a, err);
}

int criu_run(const struct criu_call *call, struct zl_error *err)
{
    struct running r = { .p = { .pidfd = -1 }, .sock = -1 };
    struct zl_error why = { 0 };
    int rc;

    if (start(call, &r, err) < 0)
        return -1;
    rc = ask(call, r.sock, err);
    while (rc == 0)
        rc = follow(call, r.sock, &why, err);
    finish(&r);
    return rc < 0 ? -1 : 0;
}

/* ---- folders ---- */

static int open_folder(const char *option, const char *path, bool make, struct zl_error *err)
{
    int fd = make ? zl_mkdir_p(AT_FDCWD, path, 0700, err) : zl_open_dir(AT_FDCWD, path, err);

    return fd < 0 ? zl_wrap(err, "%s '%s'", option, path) : fd;
}

int criu_dirs_open(const struct criu_options *o, bool make, struct criu_dirs *ret,
                   struct zl_error *err)
{
    const char *images = o->image_path ? o->image_path : "checkpoint";

    ret->images = open_folder("--image-path", images, make, err);
    if (ret->images < 0)
        return -1;
    ret->work_path = o->work_path ? o->work_path : images;
    ret->work = open_folder("--work-path", ret->work_path, true, err);
    return ret->work < 0 ? -1 : 0;
}

void criu_dirs_done(struct criu_dirs *d)
{
    zl_closep(&d->images);
    zl_closep(&d->work);
}
