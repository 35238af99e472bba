// SPDX-License-Identifier: Apache-2.0
/*
 * clone3(2) in two manners. For a new container in a PID namespace of its own, the child borrows
 * our memory and we stand still until it executed its command (CLONE_VM|CLONE_VFORK): no page
 * tables are copied and its errors lie in memory. Where somebody else may already be looking (exec
 * into a running container, a PID namespace that is shared), or where the child shall wait at a
 * gate, it is a copy that does not share memory, and a seqpacket socket tells how far it came.
 */
#include "sandbox/carry/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "base/weaken.h"
#include "sandbox/carry/clone.h"
#include "sandbox/carry/userns.h"
#include "sandbox/kernel.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

/* A copy needs no stack of its own and returns twice, so it is a plain system call. */
pid_t spawn_fork(uint64_t namespaces, int cgroup_fd, int *ret_pidfd)
{
    struct clone3_args a = {
        .flags = namespaces | CLONE_PIDFD | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uintptr_t)ret_pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
    };
    return (pid_t)syscall(K_SYS_clone3, &a, sizeof a);
}

/* Stands on a stack that AddressSanitizer does not know and calls what never returns, which it
 * would take for a reason to repair its picture of the wrong stack. */
__attribute__((no_sanitize("address"))) static void child_entry(void *k)
{
    child_run(k);
}

int spawn_loopback_up(void)
{
    struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc;

    if (fd < 0)
        return -1;
    rc = ioctl(fd, SIOCSIFFLAGS, &lo);
    (void)close(fd);
    return rc;
}

/* ---- what the parent does ---- */

static int reap(struct carry_proc *p)
{
    siginfo_t info = { 0 };
    int rc;

    do
        rc = waitid(P_PID, (id_t)p->pid, &info, WEXITED);
    while (rc < 0 && errno != ECHILD); /* a child of ours: there is no other answer */
    if (p->pidfd >= 0)
        (void)close(p->pidfd);
    *p = (struct carry_proc){ .pidfd = -1 };
    return info.si_code == CLD_EXITED ? 0 : info.si_status;
}

/* It is ending anyway, or stuck. Not reaped yet, so its number is its own still. */
static void put_down(const struct carry_proc *p)
{
    if (k_pidfd_send_signal(p->pidfd, SIGKILL) < 0)
        (void)kill(p->pid, SIGKILL);
}

void spawn_end(struct carry_proc *p)
{
    put_down(p);
    (void)reap(p);
}

static int failed(const struct shared *shared, struct carry_proc *p, struct zl_error *err)
{
    put_down(p);
    int signal = reap(p);
    if (shared->report.step != STEP_NONE)
        return step_error(&shared->report, err);
    return zl_fail(err, ZL_ERR_SYSTEM, "start a process of the container: signal %d ended it",
                   signal);
}

/* Of a child that is neither in our memory nor at its socket any more: it executes its command, or
 * something ended it before, its own seccomp filter perhaps. */
static int check_executing(const struct shared *shared, struct carry_proc *p, struct zl_error *err)
{
    return shared->report.step == STEP_NONE && shared->executing ? 0 : failed(shared, p, err);
}

/* 1 when the child has a filter, 0 when it ended before. It tells through memory: child_seccomp().
 */
static int wait_for_listener(struct spawn *s, const struct carry_proc *p)
{
    struct pollfd ended = { .fd = p->pidfd, .events = POLLIN };

    while (!__atomic_load_n(&s->child.shared->listener, __ATOMIC_ACQUIRE))
        if (poll(&ended, 1, 1) == 1)
            return 0;
    return 1;
}

static int take_listener(struct spawn *s, struct carry_proc *p, struct zl_error *err)
{
    const struct carry_start *how = s->child.how;
    zl_autoclose int fd = -1;
    int rc;

    if (!wait_for_listener(s, p))
        return failed(s->child.shared, p, err);
    fd = k_pidfd_getfd(p->pidfd, s->child.shared->listener - 1);
    if (fd < 0)
        (void)zl_fail_errno(err, "take the listener of the seccomp filter");
    rc = fd < 0 ? -1 : how->on_listener(how->on_listener_arg, p, fd, err);
    __atomic_store_n(&s->child.shared->taken, 1, __ATOMIC_RELEASE);
    if (rc < 0)
        spawn_end(p);
    return rc;
}

/* The child, whose own report tells more if there is one, cannot be spoken with: what, and errno.
 */
static int lost(struct spawn *s, struct carry_proc *p, const char *what, struct zl_error *err)
{
    if (s->child.shared->report.step != STEP_NONE)
        return failed(s->child.shared, p, err);
    (void)zl_fail_errno(err, "%s", what);
    spawn_end(p);
    return -1;
}

/* What the child waits for. */
static int answer(struct spawn *s, int sync, char word, struct carry_proc *p, struct zl_error *err)
{
    const struct carry_start *how = s->child.how;
    int rc = word == STEP_USER_NS ? userns_write_maps(s->child.plan, p->pid, err)
                                  : how->before_pivot(how->before_pivot_arg, p, err);

    if (rc < 0 && s->child.shared->report.step != STEP_NONE)
        return failed(s->child.shared, p, err); /* it was gone, and the hook could not join it */
    if (rc < 0) {
        spawn_end(p);
        return -1;
    }
    return send(sync, &word, 1, MSG_NOSIGNAL) == 1
               ? 0
               : lost(s, p, "send a process of the container its answer", err);
}

/* Hears how far the child came; end-of-file is the exec (close-on-exec) or the child's end. */
static int follow(struct spawn *s, int sync, struct carry_proc *p, struct zl_error *err)
{
    for (;;) {
        char word = 0;
        ssize_t n = recv(sync, &word, 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return lost(s, p, "hear from a process of the container", err);
        if (n == 0)
            return check_executing(s->child.shared, p, err);
        if (word == STEP_GATE)
            return 0;
        if ((word == STEP_SECCOMP ? take_listener(s, p, err) : answer(s, sync, word, p, err)) < 0)
            return -1;
    }
}

/* Signals are blocked around clone, so none can run a handler of ours in the child. */
static long clone_quietly(struct clone3_args *a, struct child *k)
{
    sigset_t all, before;
    long pid;

    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid = clone3_call(a, child_entry, k);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

/*
 * The PID namespace of our next children, not of ourselves (setns(2)); put back afterwards. Root of
 * a user namespace may enter one of his own, but not return to the host's: then a process between
 * us does it.
 */
static int lend_pid_ns(struct spawn *s, int *ret_own, struct zl_error *err)
{
    *ret_own = -1;
    if (s->pid_ns_fd < 0 || s->between)
        return 0;
    *ret_own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    if (*ret_own < 0)
        return zl_fail_errno(err, "open the own PID namespace");
    if (setns(*ret_own, CLONE_NEWPID) == 0)
        return setns(s->pid_ns_fd, CLONE_NEWPID) == 0
                   ? 0
                   : zl_fail_errno(err, "join the PID namespace");
    if (errno != EPERM)
        return zl_fail_errno(err, "join the own PID namespace");
    zl_closep(ret_own);
    *ret_own = -1;
    s->between = true;
    return 0;
}

/* Joins the container, and is no more than its processes then; who is born to us now is in its PID
 * namespace. */
static int go_ahead(struct spawn *s)
{
    struct child *k = &s->child;

    k->ahead = true;
    if (setns(s->pid_ns_fd, CLONE_NEWPID) < 0)
        return child_fail(k, STEP_NS_JOIN, NULL, NULL);
    return child_go_ahead(k);
}

static int join_first(struct spawn *s)
{
    struct child *k = &s->child;

    if (child_join_tasks(k) < 0)
        return child_fail(k, STEP_CGROUP_JOIN, NULL, NULL);
    k->n_tasks = 0; /* what is born to us is in them as well */
    return userns_enter(k, s->pid_ns_fd);
}

/* The process between has the child's filter already, which may know of no clone3(2), whose
 * arguments no filter can look into. */
static bool has_filter(const struct spawn *s)
{
    const struct plan_process *p = s->child.process;

    return s->ahead && p->seccomp.n && !(p->flags & PLAN_NO_NEW_PRIVS);
}

/* The child, as a child of our parent. Its pid; -1 and errno. */
static long give_birth(struct spawn *s, struct clone3_args *a)
{
    struct child *k = &s->child;
    long pid;

    if (has_filter(s) && !s->unbound) {
        pid = syscall(SYS_clone, CLONE_PARENT, NULL, NULL, NULL, NULL);
        if (pid == 0)
            child_run(k);
        return pid;
    }
    a->flags = (a->flags & ~(uint64_t)(CLONE_PIDFD | CLONE_INTO_CGROUP)) | CLONE_PARENT;
    a->exit_signal = 0; /* clone3(2): our own */
    a->pidfd = a->cgroup = 0;
    pid = clone3_call(a, child_entry, k);
    errno = pid < 0 ? (int)-pid : 0;
    return pid < 0 ? -1 : pid;
}

/* Its parent suspends its filter before there is one. */
static int wait_until_unbound(struct spawn *s)
{
    char word;
    ssize_t n;

    if (!s->unbound)
        return 0;
    (void)close(s->child.parents_end); /* else its end would not show */
    do
        n = recv(s->child.sync, &word, 1, 0);
    while (n < 0 && errno == EINTR);
    return n == 1 ? 0 : -1;
}

/* In the process between. Does not return. */
static _Noreturn void between(struct spawn *s, struct clone3_args *a)
{
    struct child *k = &s->child;
    long pid;

    if (wait_until_unbound(s) < 0 || (s->ahead ? go_ahead(s) : join_first(s)) < 0)
        _exit(127);
    pid = give_birth(s, a);
    if (pid < 0)
        (void)child_fail(k, STEP_USER_NS, NULL, NULL);
    else
        k->shared->pid = (int32_t)pid;
    _exit(0);
}

/*
 * What the process between loads binds nobody but the child: we trace it, and who is traced so is
 * asked nothing by its filter (ptrace(2), PTRACE_O_SUSPEND_SECCOMP); the child is not traced. -1
 * with the report filled.
 */
static int unbind(struct spawn *s, pid_t pid)
{
    char word = STEP_UNBIND;

    if (!s->unbound)
        return 0;
    if (syscall(SYS_ptrace, K_PTRACE_SEIZE, pid, NULL, K_PTRACE_O_SUSPEND_SECCOMP) == 0 &&
        send(s->child.parents_end, &word, 1, MSG_NOSIGNAL) == 1)
        return 0;
    return child_fail(&s->child, STEP_UNBIND, NULL, NULL);
}

/* The child's pid, or -errno. A report tells more, if there is one. */
static long clone_by_another(struct spawn *s, struct clone3_args *a)
{
    struct carry_proc p = { .pidfd = -1 };
    sigset_t all, before;

    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    p.pid = spawn_fork(0, s->cgroup_fd, &p.pidfd);
    if (p.pid == 0)
        between(s, a);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (p.pid < 0)
        return -errno;
    if (unbind(s, p.pid) < 0)
        put_down(&p);
    (void)reap(&p);
    if (s->child.shared->pid)
        return s->child.shared->pid;
    return s->child.shared->report.errnum ? -s->child.shared->report.errnum : -ECHILD;
}

/* A copy that others will see is born so that they cannot trace it, not even before its first
 * instruction; we are as we were when it is there. */
static long clone_hidden(struct spawn *s, struct clone3_args *a)
{
    bool wanted = !s->child.dumpable && !zl_weaken(DUMPABLE);
    int before = wanted ? prctl(PR_GET_DUMPABLE) : 0;
    bool hide = before == 1;
    long pid;

    if (before < 0)
        return -errno;
    if (hide && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    pid = s->between ? clone_by_another(s, a) : clone_quietly(a, &s->child);
    if (hide)
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return pid;
}

static int not_cloned(const struct spawn *s, struct zl_error *err)
{
    const struct report *r = &s->child.shared->report;
    int why = errno;

    if (r->step == STEP_NONE)
        return zl_fail_errno(err, "clone a process of the container");
    (void)step_error(r, err);
    if (r->step == STEP_UNBIND)
        return zl_wrap(err, "the container has CAP_SYS_PTRACE: who joins it would be in its hands "
                            "(safe with noNewPrivileges, or a filter that allows clone)");
    if (r->step == STEP_USER_NS && s->namespaces & CLONE_NEWUSER &&
        (why == EPERM || why == ENOSPC || why == EUSERS))
        return zl_wrap(err, "this host does not let us make a user namespace (sysctls "
                            "user.max_user_namespaces, kernel.unprivileged_userns_clone, "
                            "kernel.apparmor_restrict_unprivileged_userns)");
    return -1;
}

/* A child that nobody will hear of: not reaped by us, it would keep its PID namespace from ending.
 * -1. */
static int unborn(long pid, int pidfd)
{
    struct carry_proc p = { .pid = (pid_t)pid, .pidfd = pidfd };

    if (pid > 0)
        spawn_end(&p);
    return -1;
}

static int clone_child(struct spawn *s, void *stack, struct carry_proc *p, struct zl_error *err)
{
    zl_autoclose int own_pid_ns = -1;
    int pidfd = -1;
    struct clone3_args a = {
        .flags = s->namespaces | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)stack,
        .stack_size = STACK_SIZE,
    };
    long pid;

    if (s->share_memory)
        a.flags |= CLONE_VM | CLONE_VFORK;
    if (s->cgroup_fd >= 0) {
        a.flags |= CLONE_INTO_CGROUP;
        a.cgroup = (uint64_t)s->cgroup_fd;
    }
    if (lend_pid_ns(s, &own_pid_ns, err) < 0)
        return -1;
    pid = clone_hidden(s, &a);
    if (own_pid_ns >= 0 && setns(own_pid_ns, CLONE_NEWPID) < 0) {
        (void)zl_fail_errno(err, "return to the own PID namespace");
        return unborn(pid, pidfd);
    }
    if (pid < 0) {
        errno = (int)-pid;
        return not_cloned(s, err);
    }
    if (s->between) /* not reaped before we do it: the number is its own */
        pidfd = k_pidfd_open((pid_t)pid);
    if (pidfd < 0) {
        (void)zl_fail_errno(err, "open a process of the container");
        return unborn(pid, pidfd);
    }
    *p = (struct carry_proc){ .pid = (pid_t)pid, .pidfd = pidfd };
    return 0;
}

/* A copy of us: hears from it by a socket. */
static int run_copy(struct spawn *s, void *stack, struct carry_proc *p, struct zl_error *err)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return zl_fail_errno(err, "make a socket pair");
    zl_autoclose int ours = pair[0];
    zl_autoclose int theirs = pair[1];
    s->child.sync = theirs;
    s->child.parents_end = ours;
    if (clone_child(s, stack, p, err) < 0)
        return -1;
    (void)close(zl_take_fd(&theirs)); /* so that the child's end is the only one */
    return follow(s, ours, p, err);
}

static int run_shared(struct spawn *s, void *stack, struct carry_proc *p, struct zl_error *err)
{
    s->child.sync = -1;
    if (clone_child(s, stack, p, err) < 0)
        return -1;
    return check_executing(s->child.shared, p, err);
}

static int check_listener(const struct spawn *s, struct zl_error *err)
{
    if (s->child.process->flags & PLAN_SECCOMP_LISTENER && !s->child.how->on_listener)
        return zl_fail(
            err, ZL_ERR_UNSUPPORTED,
            "start a process: its seccomp filter asks a listener, and nobody hands it on");
    return 0;
}

/* With CLONE_VM the child wrote into AddressSanitizer's picture of our memory, and never returned
 * from its frames: what is mapped at this place next would be taken for a stack. */
static void forget_stack(void *map, size_t n)
{
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(map, n);
#else
    (void)map;
    (void)n;
#endif
}

/* One mapping: the shared report below, the child's stack above. The report of one with a gate lies
 * in a file, since who opens the gate is not we, and the child may not be able to tell him. */
static void *map_memory(const struct carry_start *how, struct zl_error *err)
{
    void *map = mmap(NULL, CARRY_OUTCOME_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    _Static_assert(sizeof(struct shared) <= CARRY_OUTCOME_SIZE, "the report grew");
    if (map == MAP_FAILED) {
        (void)zl_fail_errno(err, "map a stack for a process of the container");
        return NULL;
    }
    if (how->gate < 0 || how->outcome < 0 ||
        mmap(map, CARRY_OUTCOME_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, how->outcome,
             0) != MAP_FAILED)
        return map;
    (void)zl_fail_errno(err, "map the outcome of the container's start");
    (void)munmap(map, CARRY_OUTCOME_SIZE + STACK_SIZE);
    return NULL;
}

int spawn_run(struct spawn *s, struct carry_proc *ret, struct zl_error *err)
{
    struct carry_proc p = { .pidfd = -1 };
    void *map;
    int rc;

    if (check_listener(s, err) < 0)
        return -1;
    map = map_memory(s->child.how, err);
    if (!map)
        return -1;
    s->child.shared = map;
    s->child.namespaces = s->namespaces;
    rc = (s->share_memory ? run_shared : run_copy)(s, (char *)map + CARRY_OUTCOME_SIZE, &p, err);
    if (s->child.tracing)
        step_print_trace(s->child.shared);
    forget_stack(map, CARRY_OUTCOME_SIZE + STACK_SIZE);
    (void)munmap(map, CARRY_OUTCOME_SIZE + STACK_SIZE);
    if (rc < 0)
        return -1;
    *ret = p;
    return 0;
}
