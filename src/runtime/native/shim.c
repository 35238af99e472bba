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
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/helper.h"
#include "runtime/native/inner.h"

enum { SHIM_FD = 3, REFILL_US = 1000 };

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
static void reap_later(struct shim_pool *p, pid_t pid)
{
    struct shim_child *c = calloc(1, sizeof *c);
    if (!c)
        return;
    c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    c->ended = c->pidfd >= 0 ? event_new(p->base, c->pidfd, EV_READ, reap, c) : NULL;
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

static int load_program(struct zl_error *err)
{
    zl_autofree char *path = NULL;
    if (zl_helper_path("zlayer-shim", &path, err) < 0)
        return -1;
    zl_autoclose int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return zl_fail_errno(err, "open '%s'", path);
    zl_autoclose int memory = memfd_create("zlayer-shim", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0)
        return zl_fail_errno(err, "hold '%s' in memory", path);
    if (copy_into(memory, file, path, err) < 0)
        return -1;
    if (fcntl(memory, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return zl_fail_errno(err, "seal '%s' in memory", path);
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

/* Signals as a new process expects them, a session of its own (no terminal's signals reach it), no
 * standard streams of ours (it outlives us), and the socket as descriptor 3. */
static int spawn(const struct shim_pool *p, int socket, pid_t *ret_pid)
{
    char name[] = "zlayer-shim", program[32];
    char *const argv[] = { name, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int rc;

    (void)snprintf(program, sizeof program, "/proc/self/fd/%d", p->program_fd);
    (void)sigemptyset(&none);
    /* Not sigfillset(): it leaves out the two that glibc keeps for its threads, and posix_spawn(3)
     * would have them ignored in the monitor and so in every container. */
    (void)memset(&all, 0xff, sizeof all);
    if ((rc = posix_spawn_file_actions_init(&files)) != 0)
        return rc;
    if ((rc = posix_spawnattr_init(&attr)) != 0) {
        (void)posix_spawn_file_actions_destroy(&files);
        return rc;
    }
    (void)posix_spawnattr_setsigmask(&attr, &none); /* these four only store their arguments */
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETSID);
    for (int fd = 0; rc == 0 && fd < 3; fd++)
        rc = posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, socket, SHIM_FD);
    if (rc == 0)
        rc = posix_spawn_file_actions_addchdir_np(&files, "/");
    if (rc == 0)
        rc = posix_spawn(ret_pid, program, &files, &attr, argv, p->env);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}

static int start_one(struct shim_pool *p, struct zl_error *err)
{
    int pair[2];
    pid_t pid = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return zl_fail_errno(err, "make a socket to a monitor");
    zl_autoclose int ours = pair[0], theirs = pair[1];
    /* adddup2 onto itself clears close-on-exec, but 0 to 2 are opened over first. */
    if (theirs < SHIM_FD) {
        int above = fcntl(theirs, F_DUPFD_CLOEXEC, SHIM_FD);
        if (above < 0)
            return zl_fail_errno(err, "make a socket to a monitor");
        (void)close(theirs);
        theirs = above;
    }
    errno = spawn(p, theirs, &pid);
    if (errno)
        return zl_fail_errno(err, "start zlayer-shim");
    reap_later(p, pid);
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
    p->spare = -1;
    p->program_fd = load_program(err);
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
    (void)evtimer_add(p->refill, &later); /* without memory there is no spare one next time */
    return taken;
}
