// SPDX-License-Identifier: Apache-2.0
/*
 * Starting monitors. zlayer-shim is read once into a sealed memfd, so that replacing the file by an
 * upgrade changes nothing for a running agent, and no container can ever write the program that
 * watches it. One spare monitor is always ready; the next is started when the loop is idle again,
 * so no container waits for an exec.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/helper.h"
#include "base/launch.h"
#include "base/weaken.h"
#include "runtime/native/inner.h"

enum { SHIM_FD = 3, REFILL_US = 25000 }; /* by then what was taken it for has started */

/* What a monitor may know of our environment: not the secrets that may be in it. */
static const char *const passed_on[] = {
    "ZLAYER_RUNTIME_DIR", "ZLAYER_ROOT_DIR", "ZLAYER_TRACE", "ASAN_OPTIONS", "UBSAN_OPTIONS",
};

struct shim_child { /* a monitor that we started: to be reaped when it ends */
    struct shim_child *next, **link;
    int pidfd;
    struct event *ended;
};

struct shim_pool {
    struct event_base *base;
    int program_fd;
    int init_fd; /* zlayer-init; -1: nobody has wanted it yet */
    char *env[ZL_ARRAY_LEN(passed_on) + 1];
    int spare; /* our end of the socket to it; -1: none */
    struct event *refill;
    struct shim_child *children;
};

static void child_free(struct shim_child *c)
{
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    if (c->ended)
        event_free(c->ended);
    zl_closep(&c->pidfd);
    free(c);
}

static void reap(int fd, short what, void *arg)
{
    struct shim_child *c = arg;
    siginfo_t info;
    (void)fd;
    (void)what;
    /* P_PIDFD: never anybody else's child, for we may be a library in a foreign process. */
    (void)waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG);
    child_free(c);
}

/* Without memory or descriptors it stays a zombie until we end: harmless, so no error. */
static void reap_later(struct shim_pool *p, int pidfd)
{
    struct shim_child *c = calloc(1, sizeof *c);
    if (!c) {
        (void)close(pidfd);
        return;
    }
    c->pidfd = pidfd;
    c->ended = event_new(p->base, c->pidfd, EV_READ, reap, c);
    c->next = p->children;
    c->link = &p->children;
    if (c->next)
        c->next->link = &c->next;
    p->children = c;
    if (!c->ended || event_add(c->ended, NULL) < 0)
        child_free(c);
}

static int copy_into(int to, int from, const char *path, struct zl_error *err)
{
    struct stat st;
    if (fstat(from, &st) < 0)
        return zl_fail_errno(err, "read '%s'", path);
    for (off_t left = st.st_size; left > 0;) {
        ssize_t n = sendfile(to, from, NULL, (size_t)left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return zl_fail_errno(err, "read '%s'", path);
        if (n == 0)
            return zl_fail(err, ZL_ERR_SYSTEM, "read '%s': it became shorter meanwhile", path);
        left -= n;
    }
    return 0;
}

static int load_program(const char *name, struct zl_error *err)
{
    zl_autofree char *path = NULL;
    if (zl_helper_path(name, &path, err) < 0)
        return -1;
    zl_autoclose int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return zl_fail_errno(err, "open '%s'", path);
    zl_autoclose int memory = zl_memory_file(name, NULL, 0, err);
    if (memory < 0 || copy_into(memory, file, path, err) < 0)
        return -1;
    if (!zl_weaken(MONITOR) && zl_seal(memory, name, err) < 0)
        return -1;
    return zl_take_fd(&memory);
}

static int copy_environment(struct shim_pool *p, struct zl_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < ZL_ARRAY_LEN(passed_on); i++) {
        const char *value = getenv(passed_on[i]);
        if (!value)
            continue;
        if (asprintf(&p->env[n], "%s=%s", passed_on[i], value) < 0) {
            p->env[n] = NULL;
            return zl_fail_errno(err, "prepare the environment of monitors");
        }
        n++;
    }
    return 0;
}

/*
 * A session of its own and no standard streams of ours: it outlives us. But for who asked for
 * traces, which a monitor writes to its standard error.
 */
static int start_one(struct shim_pool *p, struct zl_error *err)
{
    char name[] = "zlayer-shim", program[32];
    char *const argv[] = { name, NULL };
    struct zl_child child;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return zl_fail_errno(err, "make a socket to a monitor");
    zl_autoclose int ours = pair[0], theirs = pair[1];
    (void)snprintf(program, sizeof program, "/proc/self/fd/%d", p->program_fd);
    struct zl_launch s = {
        .program = program,
        .argv = argv,
        .env = p->env,
        .cwd = "/",
        .fds = { -1, -1, getenv("ZLAYER_TRACE") ? STDERR_FILENO : -1, theirs },
        .n_fds = SHIM_FD + 1,
        .session = true,
    };
    if (zl_launch(&s, &child, err) < 0)
        return zl_wrap(err, "start zlayer-shim");
    reap_later(p, child.pidfd);
    return zl_take_fd(&ours);
}

static void refill(int fd, short what, void *arg)
{
    struct shim_pool *p = arg;
    (void)fd;
    (void)what;
    if (p->spare < 0)
        p->spare = start_one(p, NULL); /* shim_pool_take() tries again and tells */
}

int shim_pool_new(struct event_base *base, struct shim_pool **ret, struct zl_error *err)
{
    struct shim_pool *p = calloc(1, sizeof *p);
    if (!p)
        return zl_fail_errno(err, "set up monitors");
    p->base = base;
    p->spare = p->init_fd = -1;
    p->program_fd = load_program("zlayer-shim", err);
    p->refill = p->program_fd >= 0 ? evtimer_new(base, refill, p) : NULL;
    if (p->program_fd < 0 || copy_environment(p, err) < 0) {
        shim_pool_free(p);
        return zl_wrap(err, "set up monitors");
    }
    if (!p->refill) {
        shim_pool_free(p);
        return zl_fail(err, ZL_ERR_SYSTEM, "set up monitors: out of memory");
    }
    refill(-1, 0, p);
    *ret = p;
    return 0;
}

void shim_pool_free(struct shim_pool *p)
{
    if (!p)
        return;
    zl_closep(&p->spare);
    while (p->children)
        child_free(p->children);
    if (p->refill)
        event_free(p->refill);
    for (size_t i = 0; p->env[i]; i++)
        free(p->env[i]);
    zl_closep(&p->program_fd);
    zl_closep(&p->init_fd);
    free(p);
}

/* A spare one may have been killed, by whoever. */
static bool has_ended(int socket)
{
    struct pollfd p = { .fd = socket, .events = POLLRDHUP };
    return poll(&p, 1, 0) != 0;
}

int shim_pool_take(struct shim_pool *p, struct zl_error *err)
{
    const struct timeval later = { 0, REFILL_US };
    int taken = zl_take_fd(&p->spare);
    if (taken >= 0 && has_ended(taken)) {
        (void)close(taken);
        taken = -1;
    }
    if (taken < 0)
        taken = start_one(p, err);
    if (!evtimer_pending(p->refill, NULL))
        (void)evtimer_add(p->refill, &later); /* without memory there is no spare one next time */
    return taken;
}

int shim_pool_init(struct shim_pool *p, struct zl_error *err)
{
    if (p->init_fd < 0)
        p->init_fd = load_program("zlayer-init", err);
    return p->init_fd < 0 ? -1 : zl_dup_above(p->init_fd, 3, err);
}
