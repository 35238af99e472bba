// SPDX-License-Identifier: Apache-2.0
/*
 * The host is found by its socket, in a folder named after the program that it is, so that an
 * upgrade finds none and starts its own; or it is started. Its death costs the questions that are
 * open: they are asked once more of its successor.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/helper.h"
#include "base/launch.h"
#include "runtime/wasm/inner.h"

enum { CONTROL_FD = 3 };

struct wasm_question {
    struct wasm_question *next, **link;
    struct wasm_host *h;
    uint64_t op;
    enum mon_wasm_type type;
    struct mon_wasm_module module;
    int bytes_fd;
    bool again; /* it was asked of a host that died */
    wasm_answer_fn answered;
    void *arg;
};

struct wasm_host {
    struct event_base *base;
    char *folder, *cache_dir, *cgroup_parent, *program;
    struct mon_client *mon; /* NULL: not connected */
    struct event *readable;
    int pidfd; /* of one that we started; to be reaped */
    struct event *ended;
    uint64_t last_op;
    struct wasm_question *questions;
};

/* ---- questions ---------------------------------------------------------------------------- */

void wasm_host_drop(struct wasm_question *q)
{
    if (!q)
        return;
    *q->link = q->next;
    if (q->next)
        q->next->link = q->link;
    zl_closep(&q->bytes_fd);
    free(q);
}

static void answer(struct wasm_question *q, const struct mon_message *m, struct zl_error *why)
{
    const struct wasm_question copy = *q;
    wasm_host_drop(q);
    copy.answered(copy.arg, m, why);
}

static int send_question(struct wasm_question *q, struct zl_error *err)
{
    struct wasm_host *h = q->h;
    q->op = ++h->last_op;
    if (q->type == MON_WASM_PREPARE)
        return mon_client_send_wasm_prepare(h->mon, q->op, &q->module, q->bytes_fd, err);
    return mon_client_send_wasm_take(h->mon, q->op, &q->module, err);
}

/* ---- the connection ----------------------------------------------------------------------- */

static void disconnect(struct wasm_host *h)
{
    if (h->readable)
        event_free(h->readable);
    h->readable = NULL;
    mon_client_free(h->mon);
    h->mon = NULL;
}

static void reap(int fd, short what, void *arg)
{
    struct wasm_host *h = arg;
    siginfo_t info;
    (void)fd;
    (void)what;
    (void)waitid(P_PIDFD, (id_t)h->pidfd, &info, WEXITED | WNOHANG);
    event_free(h->ended);
    h->ended = NULL;
    (void)close(zl_take_fd(&h->pidfd));
}

/* Without memory it stays a zombie until we end: harmless. */
static void reap_later(struct wasm_host *h, int pidfd)
{
    if (h->ended)
        event_free(h->ended);
    zl_closep(&h->pidfd);
    h->pidfd = pidfd;
    h->ended = event_new(h->base, pidfd, EV_READ, reap, h);
    if (h->ended)
        (void)event_add(h->ended, NULL);
}

static int launch(struct wasm_host *h, struct zl_error *err)
{
    char name[] = "zlayer-wasm", verb[] = "host";
    char *const argv[] = { name, verb, h->folder, h->cache_dir, h->cgroup_parent, NULL };
    struct zl_child child;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return zl_fail_errno(err, "make a socket to zlayer-wasm");
    zl_autoclose int ours = pair[0], theirs = pair[1];
    const struct zl_launch l = {
        .program = h->program,
        .argv = argv,
        .cwd = "/",
        .fds = { -1, -1, 2, theirs },
        .n_fds = CONTROL_FD + 1,
        .session = true,
    };
    if (zl_launch(&l, &child, err) < 0)
        return zl_wrap(err, "start zlayer-wasm");
    reap_later(h, child.pidfd);
    return mon_client_adopt(zl_take_fd(&ours), &h->mon, err);
}

static void receive(int fd, short what, void *arg);

static int connect_host(struct wasm_host *h, struct zl_error *err)
{
    struct zl_error why = { 0 };
    zl_autoclose int folder = zl_mkdir_p(AT_FDCWD, h->folder, 0700, err);
    if (folder < 0)
        return -1;
    if (mon_client_open_now(folder, &h->mon, &why) < 0 && launch(h, err) < 0)
        return -1;
    h->readable = event_new(h->base, mon_client_fd(h->mon), EV_READ | EV_PERSIST, receive, h);
    if (!h->readable || event_add(h->readable, NULL) < 0 ||
        mon_client_send_hello(h->mon, ++h->last_op, false, NULL, err) < 0) {
        disconnect(h);
        return zl_fail(err, ZL_ERR_SYSTEM, "talk to zlayer-wasm: out of memory, or it ended");
    }
    return 0;
}

static struct wasm_question *asked_before(const struct wasm_host *h, uint64_t op)
{
    struct wasm_question *q = h->questions;
    while (q && q->op > op)
        q = q->next;
    return q;
}

/* Each question once more, of a new host; what cannot be asked is answered with why not. */
static void ask_again(struct wasm_host *h)
{
    struct zl_error err = { 0 };
    uint64_t before = h->last_op;
    int rc = h->questions ? connect_host(h, &err) : 0;

    for (struct wasm_question *q; (q = asked_before(h, before));) {
        struct zl_error why = err;
        if (rc == 0 && q->again)
            (void)zl_fail(&why, ZL_ERR_UNREACHABLE, "zlayer-wasm ends as soon as it is asked");
        else if (rc == 0 && send_question(q, &why) == 0) {
            q->again = true;
            continue;
        }
        answer(q, NULL, &why);
    }
}

static struct wasm_question *find(const struct wasm_host *h, uint64_t op)
{
    for (struct wasm_question *q = h->questions; q; q = q->next)
        if (q->op == op)
            return q;
    return NULL;
}

static void receive(int fd, short what, void *arg)
{
    struct wasm_host *h = arg;
    struct mon_message m;
    struct zl_error err = { 0 };
    int got = 1;
    (void)fd;
    (void)what;

    while (h->mon && (got = mon_client_recv(h->mon, &m, &err)) > 0) {
        struct wasm_question *q = find(h, m.op);
        if (!q)
            zl_closep(&m.fd); /* of a question that was dropped, or our hello's */
        else if (m.err.kind == ZL_OK)
            answer(q, &m, NULL);
        else
            answer(q, NULL, &m.err);
    }
    if (h->mon && (got == 0 || err.errnum != EAGAIN)) {
        disconnect(h);
        ask_again(h);
    }
}

/* Asks, connected or not. A host that has died but has not been heard of yet is as good as one that
 * dies with the question: receive() hears it next, and asks its successor. */
static int ask(struct wasm_host *h, struct wasm_question *q, struct zl_error *err)
{
    bool was_there = h->mon != NULL;
    if (!was_there && connect_host(h, err) < 0)
        return -1;
    if (send_question(q, err) == 0)
        return 0;
    return was_there && (err->errnum == EPIPE || err->errnum == ECONNRESET) ? 0 : -1;
}

struct wasm_question *wasm_host_ask(struct wasm_host *h, enum mon_wasm_type type,
                                    const struct mon_wasm_module *module, int bytes_fd,
                                    wasm_answer_fn answered, void *arg, struct zl_error *err)
{
    struct wasm_question *q = calloc(1, sizeof *q);
    if (!q) {
        (void)zl_fail_errno(err, "ask zlayer-wasm");
        return NULL;
    }
    *q = (struct wasm_question){ .h = h,
                                 .type = type,
                                 .module = *module,
                                 .bytes_fd =
                                     bytes_fd >= 0 ? fcntl(bytes_fd, F_DUPFD_CLOEXEC, 3) : -1,
                                 .answered = answered,
                                 .arg = arg,
                                 .next = h->questions,
                                 .link = &h->questions };
    if (q->next)
        q->next->link = &q->next;
    h->questions = q;
    if (ask(h, q, err) < 0) {
        wasm_host_drop(q);
        return NULL;
    }
    return q;
}

/* ---- construction ------------------------------------------------------------------------- */

/* Changes with every build that is installed. */
static int program_id(const char *path, char out[17], struct zl_error *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return zl_fail_errno(err, "find '%s'", path);
    char what[96];
    int n = snprintf(what, sizeof what, "%ju %jd %jd %ld", (uintmax_t)st.st_ino,
                     (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    (void)snprintf(out, 17, "%016" PRIx64, zl_hash_bytes(ZL_HASH_START, what, (size_t)n));
    return 0;
}

int wasm_host_new(struct event_base *base, const char *run_dir, const char *cache_dir,
                  const char *cgroup_parent, struct wasm_host **ret, struct zl_error *err)
{
    char id[17];
    struct wasm_host *h = calloc(1, sizeof *h);
    if (!h)
        return zl_fail_errno(err, "set up WebAssembly");
    h->base = base;
    h->pidfd = -1;
    h->cache_dir = strdup(cache_dir);
    h->cgroup_parent = strdup(cgroup_parent);
    int rc = zl_helper_path("zlayer-wasm", &h->program, err);
    if (rc < 0)
        (void)zl_wrap(err, "WebAssembly is not part of this build (meson option wasm)");
    rc = rc < 0 ? rc : program_id(h->program, id, err);
    if (rc == 0 && (!h->cache_dir || !h->cgroup_parent ||
                    asprintf(&h->folder, "%s/wasm/%s", run_dir, id) < 0)) {
        h->folder = NULL;
        rc = zl_fail_errno(err, "set up WebAssembly");
    }
    if (rc < 0) {
        wasm_host_free(h);
        return -1;
    }
    *ret = h;
    return 0;
}

void wasm_host_free(struct wasm_host *h)
{
    if (!h)
        return;
    while (h->questions)
        wasm_host_drop(h->questions);
    disconnect(h);
    if (h->ended)
        event_free(h->ended);
    zl_closep(&h->pidfd);
    free(h->folder);
    free(h->cache_dir);
    free(h->cgroup_parent);
    free(h->program);
    free(h);
}
