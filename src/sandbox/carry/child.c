// SPDX-License-Identifier: Apache-2.0
/*
 * The way from clone to exec, as a table of steps. Their order is what the kernel demands: cgroups
 * first, so that everything after is charged to the container; sysctls and oom_score_adj while the
 * host's /proc is in reach; devices before /dev may become read-only; masks last, over everything
 * that was mounted; capabilities after all that needs them; seccomp at the very end.
 */
#include "sandbox/carry/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "base/signals.h"
#include "base/weaken.h"
#include "sandbox/carry/spawn.h"
#include "sandbox/kernel.h"

/* ---- reports and small tools ---- */

static void copy_text(char out[OBJECT_MAX], const char *text)
{
    size_t n = 0;

    for (; text && text[n] && n < OBJECT_MAX - 1; n++)
        out[n] = text[n];
    out[n] = '\0';
}

int child_fail(struct child *k, enum step step, const char *object, const char *source)
{
    struct report *r = &k->shared->report;

    r->errnum = errno;
    r->step = (int32_t)step;
    copy_text(r->object, object);
    copy_text(r->source, source);
    return -1;
}

/* Adds the time since the last call to this step. */
static void mark(struct child *k, enum step step)
{
    struct timespec now;

    if (!k->tracing)
        return;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    if (k->last_ns)
        k->shared->spent_ns[step] += ns - k->last_ns;
    k->last_ns = ns;
}

const char *child_fd_path(int fd, char out[FD_PATH_SIZE])
{
    static const char folder[] = "/proc/self/fd/";
    char digits[12];
    size_t n = 0, at = sizeof folder - 1;

    memcpy(out, folder, at);
    do
        digits[n++] = (char)('0' + fd % 10);
    while (fd /= 10);
    while (n)
        out[at++] = digits[--n];
    out[at] = '\0';
    return out;
}

int child_write_file(const char *path, const char *text)
{
    size_t n = strlen(text);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return -1;
    rc = write(fd, text, n) == (ssize_t)n ? 0 : -1;
    (void)close(fd); /* a control file: write() told all */
    return rc;
}

/* ---- steps ---- */

int child_join_tasks(const struct child *k)
{
    for (size_t i = 0; i < k->n_tasks; i++) {
        errno = EIO; /* of a write that is short */
        if (write(k->tasks[i], "0", 1) != 1)
            return -1;
    }
    return 0;
}

static int join_cgroups(struct child *k)
{
    return child_join_tasks(k) < 0 ? child_fail(k, STEP_CGROUP_JOIN, NULL, NULL) : 0;
}

static int join_namespaces(struct child *k)
{
    const struct plan_join *j = plan_table(k->base, k->plan->joins);

    for (uint32_t i = 0; i < k->plan->joins.n; i++)
        if (k->joins[i] >= 0 && !(k->joined & j[i].ns) && setns(k->joins[i], (int)j[i].ns) < 0)
            return child_fail(k, STEP_NS_JOIN, plan_text(k->base, j[i].path), NULL);
    return 0;
}

/* Not by clone: the new namespace's root is the cgroup that its maker is in. */
static int make_cgroup_ns(struct child *k)
{
    if (k->plan->namespaces & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0)
        return child_fail(k, STEP_CGROUP_NS, NULL, NULL);
    return 0;
}

static int begin_session(struct child *k)
{
    (void)umask(0); /* modes of devices and folders are meant as they are written */
    if (setsid() < 0)
        return child_fail(k, STEP_SESSION, NULL, NULL);
    k->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    return k->null_fd < 0 ? child_fail(k, STEP_STDIO, "/dev/null", NULL) : 0;
}

static int raise_loopback(struct child *k)
{
    if (k->namespaces & CLONE_NEWNET && spawn_loopback_up() < 0)
        return child_fail(k, STEP_LOOPBACK, NULL, NULL);
    return 0;
}

static int set_names(struct child *k)
{
    const char *host = plan_text(k->base, k->plan->hostname);
    const char *domain = plan_text(k->base, k->plan->domainname);

    if (host && sethostname(host, strlen(host)) < 0)
        return child_fail(k, STEP_HOSTNAME, host, NULL);
    if (domain && setdomainname(domain, strlen(domain)) < 0)
        return child_fail(k, STEP_DOMAINNAME, domain, NULL);
    return 0;
}

static int set_sysctls(struct child *k)
{
    static const char folder[] = "/proc/sys/";
    const struct plan_file *f = plan_table(k->base, k->plan->sysctls);
    char path[256];

    memcpy(path, folder, sizeof folder);
    for (uint32_t i = 0; i < k->plan->sysctls.n; i++) {
        const char *name = plan_text(k->base, f[i].path);
        size_t n = strlen(name);
        errno = ENAMETOOLONG;
        if (n >= sizeof path - sizeof folder)
            return child_fail(k, STEP_SYSCTL, name, NULL);
        memcpy(path + sizeof folder - 1, name, n + 1);
        if (child_write_file(path, plan_text(k->base, f[i].value)) < 0)
            return child_fail(k, STEP_SYSCTL, name, NULL);
    }
    return 0;
}

int child_set_oom_adj(const struct plan_process *process, char out[12])
{
    enum { SIZE = 12 };
    size_t at = SIZE;
    int32_t v = process->oom_score_adj;
    uint32_t left = v < 0 ? 0 - (uint32_t)v : (uint32_t)v;

    out[--at] = '\0';
    do
        out[--at] = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0)
        out[--at] = '-';
    memmove(out, out + at, SIZE - at);
    return child_write_file("/proc/self/oom_score_adj", out);
}

static int set_oom_adj(struct child *k)
{
    char text[12];

    /* in a user namespace it is too late: userns.c */
    if (!(k->process->flags & PLAN_HAS_OOM_ADJ) || k->process->flags & PLAN_USER_NS)
        return 0;
    return child_set_oom_adj(k->process, text) < 0 ? child_fail(k, STEP_OOM_ADJ, text, NULL) : 0;
}

int child_meet_parent(struct child *k, enum step step, bool wait)
{
    char word = (char)step;
    ssize_t n;

    if (send(k->sync, &word, 1, MSG_NOSIGNAL) != 1)
        return child_fail(k, step, NULL, NULL);
    if (!wait)
        return 0;
    do
        n = recv(k->sync, &word, 1, 0);
    while (n < 0 && errno == EINTR);
    if (n == 1)
        return 0;
    errno = n == 0 ? EPIPE : errno;
    return child_fail(k, step, NULL, NULL);
}

static int wait_for_hooks(struct child *k)
{
    return k->sync >= 0 && k->how->before_pivot ? child_meet_parent(k, STEP_HOOKS, true) : 0;
}

/* A link of /proc in the path, or one put there by a hostile image, must not lead to a descriptor
 * of ours: resolved within the root, magic links refused. */
static int enter_cwd(struct child *k)
{
    const char *path = plan_text(k->base, k->process->cwd);
    int fd;

    if (zl_weaken(CWD))
        return chdir(path) < 0 ? child_fail(k, STEP_CWD, path, NULL) : 0;
    k->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    fd = k->root_fd < 0 ? -1 : child_target(k, path, true);
    if (fd < 0 || fchdir(fd) < 0)
        return child_fail(k, STEP_CWD, path, NULL);
    return 0;
}

/* Without no_new_privs a filter wants CAP_SYS_ADMIN: before capabilities go. */
static int early_seccomp(struct child *k)
{
    return k->process->flags & PLAN_NO_NEW_PRIVS ? 0 : child_seccomp(k);
}

static int load_filter(struct child *k)
{
    if (!zl_weaken(SETID) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return child_fail(k, STEP_NO_NEW_PRIVS, NULL, NULL);
    return child_seccomp(k);
}

/* Whoever opens the gate is not our parent, who alone can hand the listener on. */
static int seccomp_before_gate(struct child *k)
{
    const uint32_t both = PLAN_NO_NEW_PRIVS | PLAN_SECCOMP_LISTENER;

    return (k->process->flags & both) == both ? load_filter(k) : 0;
}

static int late_seccomp(struct child *k)
{
    const uint32_t both = PLAN_NO_NEW_PRIVS | PLAN_SECCOMP_LISTENER;

    return (k->process->flags & both) == PLAN_NO_NEW_PRIVS ? load_filter(k) : 0;
}

static int find_before_gate(struct child *k)
{
    return k->how->gate < 0 ? 0 : child_find(k);
}

static int wait_at_gate(struct child *k)
{
    struct pollfd gate = { .fd = k->how->gate, .events = POLLIN };
    int n;

    (void)umask(k->process->flags & PLAN_HAS_UMASK ? k->process->umask : 0022);
    if (k->how->gate < 0)
        return 0;
    if (child_meet_parent(k, STEP_GATE, false) < 0)
        return -1;
    do
        n = poll(&gate, 1, -1);
    while (n < 0 && errno == EINTR);
    return n == 1 && gate.revents & POLLIN ? 0 : child_fail(k, STEP_GATE, NULL, NULL);
}

static int enter_container(struct child *k)
{
    if (k->enter && setns(k->init_fd, (int)k->enter) < 0)
        return child_fail(k, STEP_NS_JOIN, NULL, NULL);
    if (k->chroot_fd >= 0 && (fchdir(k->chroot_fd) < 0 || chroot(".") < 0))
        return child_fail(k, STEP_PIVOT, NULL, NULL);
    k->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (k->root_fd < 0)
        return child_fail(k, STEP_NS_JOIN, "/", NULL);
    return child_become_root(k);
}

/* ---- the way ---- */

struct way {
    enum step step; /* whose time it is in a trace */
    int (*run)(struct child *k);
};

/* clang-format off */
static const struct way into_new_container[] = {
    { STEP_CGROUP_JOIN,  join_cgroups },
    { STEP_USER_NS,      child_user_ns },
    { STEP_NS_JOIN,      join_namespaces },
    { STEP_TIME_NS,      child_time_ns },
    { STEP_CGROUP_NS,    make_cgroup_ns },
    { STEP_SESSION,      begin_session },
    { STEP_LOOPBACK,     raise_loopback },
    { STEP_HOSTNAME,     set_names },
    { STEP_SYSCTL,       set_sysctls },
    { STEP_OOM_ADJ,      set_oom_adj },
    { STEP_LABEL,        child_open_label },
    { STEP_ROOT,         child_root },
    { STEP_MOUNT,        child_mounts },
    { STEP_DEVICE,       child_devices },
    { STEP_LINK,         child_links },
    { STEP_TERMINAL,     child_terminal },
    { STEP_LATE_MOUNT,   child_late_mounts },
    { STEP_READONLY,     child_readonly },
    { STEP_MASK,         child_mask },
    { STEP_HOOKS,        wait_for_hooks },
    { STEP_PIVOT,        child_pivot },
    { 0 },
};

static const struct way into_running_container[] = {
    { STEP_CGROUP_JOIN,  join_cgroups },
    { STEP_SESSION,      begin_session },
    { STEP_OOM_ADJ,      set_oom_adj },
    { STEP_LABEL,        child_open_label },
    { STEP_NS_JOIN,      enter_container },
    { STEP_TERMINAL,     child_terminal },
    { 0 },
};

static const struct way to_rights[] = {
    { STEP_KEYRING,      child_keyring },
    { STEP_RLIMIT,       child_rlimits },
    { STEP_SCHEDULER,    child_scheduling },
    { STEP_CWD,          enter_cwd },
    { STEP_LABEL,        child_label },
    { STEP_STDIO,        child_stdio },
    { STEP_BOUNDING,     child_bounding },
    { STEP_SECCOMP,      early_seccomp },
    { STEP_USER,         child_user },
    { STEP_CAPABILITIES, child_capabilities },
    { 0 },
};

static const struct way to_exec[] = {
    { STEP_FIND,         find_before_gate },
    { STEP_SECCOMP,      seccomp_before_gate },
    { STEP_GATE,         wait_at_gate },
    { STEP_SECCOMP,      late_seccomp },
    { 0 },
};
/* clang-format on */

static int walk(struct child *k, const struct way *w)
{
    for (; w->run; w++) {
        if (w->run(k) < 0)
            return -1;
        mark(k, w->step);
    }
    return 0;
}

/* Whoever opened the gate is not our parent: it reads the report from a pipe. */
static void tell_gate(struct child *k)
{
    if (k->how->gate >= 0 && k->how->report >= 0)
        (void)!write(k->how->report, &k->shared->report, sizeof k->shared->report);
}

static int hide(const struct child *k)
{
    return k->dumpable || zl_weaken(DUMPABLE) ? 0 : prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int go_to_rights(struct child *k)
{
    if (walk(k, k->plan ? into_new_container : into_running_container) < 0)
        return -1;
    return zl_weaken(LABEL) && (set_oom_adj(k) < 0 || child_open_label(k) < 0) ? -1
                                                                               : walk(k, to_rights);
}

int child_go_ahead(struct child *k)
{
    k->root_fd = k->null_fd = k->slave_fd = k->mask_fd = k->dir_fd = -1;
    return hide(k) < 0 ? child_fail(k, STEP_SESSION, NULL, NULL) : go_to_rights(k);
}

/* A session and its terminal are of who executes the command. */
static int follow_ahead(struct child *k)
{
    if (k->process->flags & PLAN_SECCOMP_LISTENER && !(k->process->flags & PLAN_NO_NEW_PRIVS))
        child_await_listener(k);
    if (setsid() < 0)
        return child_fail(k, STEP_SESSION, NULL, NULL);
    if (k->process->flags & PLAN_TERMINAL && ioctl(0, TIOCSCTTY, 0) < 0)
        return child_fail(k, STEP_TERMINAL, "the controlling terminal", NULL);
    return 0;
}

static int run(struct child *k)
{
    mark(k, STEP_NONE);
    if (k->sync >= 0 && !k->ahead)
        (void)close(k->parents_end);
    if (hide(k) < 0)
        return child_fail(k, STEP_SESSION, NULL, NULL);
    if ((k->ahead ? follow_ahead(k) : go_to_rights(k)) < 0 || walk(k, to_exec) < 0)
        return -1;
    zl_signals_to_default(); /* our own table: CLONE_SIGHAND is not set */
    k->shared->executing = 1;
    return k->init_argv ? child_exec_init(k) : child_exec(k);
}

__attribute__((no_sanitize("address"))) /* as its callers in spawn.c */
_Noreturn void
child_run(struct child *k)
{
    k->root_fd = k->null_fd = k->slave_fd = k->mask_fd = k->dir_fd = -1;
    k->dir = NULL;
    (void)run(k); /* comes back only when it failed */
    tell_gate(k);
    _exit(127);
}
