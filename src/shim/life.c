// SPDX-License-Identifier: Apache-2.0
/*
 * A monitor's life as a process. It starts with one connected seqpacket socket as descriptor 3 and
 * does nothing until a request comes on it, so the agent may keep a spare one. Whoever started it
 * is free to die afterwards.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/stdfds.h"
#include "sandbox/kernel.h"
#include "shim/shim.h"

enum { CONTROL_FD = 3 };

/* Every child that ended: the first process, an exec, or an orphan of the container that came to us
 * as its subreaper. */
static void children_ready(void *arg, uint32_t events)
{
    struct shim *s = arg;
    struct signalfd_siginfo seen;

    (void)events;
    while (read(s->children_fd, &seen, sizeof seen) == (ssize_t)sizeof seen)
        ; /* one signal may stand for several children */
    for (;;) {
        siginfo_t child = { 0 };
        if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG) < 0 || child.si_pid == 0)
            return;
        int signal = child.si_code == CLD_EXITED ? 0 : child.si_status;
        int code = signal ? 128 + signal : child.si_status;
        if (!container_reaped(s, child.si_pid, code, signal))
            (void)exec_reaped(s, child.si_pid, code, signal); /* else an orphan */
    }
}

/* A spare monitor whose agent has gone is of no use; one that holds a container stays. */
static void connection_closed(void *arg, unsigned left)
{
    struct shim *s = arg;

    if (left == 0 && s->phase == MON_PHASE_NEW)
        loop_stop(&s->loop);
    else
        container_may_be_unwanted(s);
}

static const struct server_events server_events = { .closed = connection_closed };

/*
 * All signals are blocked and SIGCHLD is read from a descriptor: a monitor ends when it is told so,
 * and carry/ gives the container's processes a clean mask.
 */
static int watch_children(struct shim *s, struct zl_error *err)
{
    sigset_t all, child;

    (void)sigfillset(&all);
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
        return zl_fail_errno(err, "block signals");
    s->children_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->children_fd < 0)
        return zl_fail_errno(err, "watch children");
    return loop_watch(&s->loop, &s->children, s->children_fd, EPOLLIN, children_ready, s, err);
}

/* What cannot be done now is told when a container wants it. */
static void enter_network(struct shim *s)
{
    s->host_network_fd = openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (s->host_network_fd < 0)
        return;
    s->in_network = carry_enter_network(NULL) == 0;
    /* A sysfs of a new network is compared with those of all containers; one that is there already
     * and is the newest is found first. */
    if (s->in_network)
        s->sysfs_fd = k_superblock("sysfs");
    if (!s->in_network) /* perhaps in one without lo */
        (void)setns(s->host_network_fd, CLONE_NEWNET);
}

static int set_up(struct shim *s, struct zl_error *err)
{
    if (zl_fill_standard_fds(err) < 0)
        return -1;
    if (fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0)
        return zl_fail_errno(err, "use descriptor %d as the control connection", CONTROL_FD);
    if (zl_close_others(CONTROL_FD + 1, s->kept_fds, s->n_kept_fds) < 0)
        return zl_fail_errno(err, "close what was inherited");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return zl_fail_errno(err, "become a subreaper");
    /* Run from a memfd it would be called after a descriptor's number. Cosmetic: may fail. */
    (void)prctl(PR_SET_NAME, s->guest ? s->guest->process_name : "zlayer-shim", 0, 0, 0);
    if (loop_init(&s->loop, err) < 0 || watch_children(s, err) < 0 ||
        server_new(&s->loop, shim_rows, shim_n_rows, &server_events, s, &s->server, err) < 0)
        return -1;
    if (!s->guest)
        enter_network(s);
    return server_adopt(s->server, CONTROL_FD, err);
}

static void tear_down(struct shim *s)
{
    exec_done_all(s);
    container_done(s);
    server_free(s->server);
    loop_unwatch(&s->loop, &s->children);
    zl_closep(&s->children_fd);
    loop_done(&s->loop);
}

int shim_live(struct shim *s, struct zl_error *err)
{
    if (set_up(s, err) < 0 || loop_run(&s->loop, err) < 0)
        return -1;
    tear_down(s);
    return 0;
}
