// SPDX-License-Identifier: Apache-2.0
/*
 * User and time namespaces.
 *
 * A container with a user namespace is made by a process between us and it. What only we may do
 * comes before that namespace: cgroups, a lower oom_score_adj, higher hard limits, joining
 * namespaces of the host. Then the namespace is joined, or clone3(2) makes it together with the
 * others, so that it owns them; CLONE_PARENT makes the child ours. It waits until its maps are
 * written from outside, and becomes the namespace's root when the root file system is bound: until
 * then it is still known to the host's files as who we are, and its path need not be open to all.
 *
 * What is bound is opened by us, before: the container's root may not get there, and ids can be
 * mapped on mounts (idmap) by the owner of the file system only.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/signals.h"
#include "sandbox/carry/userns.h"
#include "sandbox/kernel.h"

/* ---- the child ---- */

int child_user_ns(struct child *k)
{
    if (!(k->plan->namespaces & CLONE_NEWUSER))
        return 0;
    if (child_meet_parent(k, STEP_USER_NS, true) < 0)
        return -1;
    /* a parent without rights could not have written the maps of one that nobody may look at */
    if (!(k->plan->namespaces & CLONE_NEWPID) && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return child_fail(k, STEP_USER_NS, NULL, NULL);
    return 0;
}

int child_become_root(struct child *k)
{
    if (!(k->process->flags & PLAN_USER_NS))
        return 0;
    if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
        return child_fail(k, STEP_USER, NULL, NULL);
    return 0;
}

/* Only a process that has its memory for itself can change over; its offsets come before. */
int child_time_ns(struct child *k)
{
    const char *offsets = plan_text(k->base, k->plan->time_offsets);
    int fd;

    if (!(k->plan->namespaces & CLONE_NEWTIME))
        return 0;
    if (unshare(CLONE_NEWTIME) < 0 ||
        (offsets && child_write_file("/proc/self/timens_offsets", offsets) < 0))
        return child_fail(k, STEP_TIME_NS, NULL, NULL);
    fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
        return child_fail(k, STEP_TIME_NS, NULL, NULL);
    k->last_ns = 0; /* a trace begins anew: the clock has jumped */
    (void)close(fd);
    return 0;
}

/* ---- the process between ---- */

/* The soft limits stay: what the child opens on its way is not the container's affair. */
static void raise_limits(const struct child *k)
{
    const struct plan_rlimit *v = plan_table(k->base, k->process->rlimits);
    struct rlimit now;

    for (uint32_t i = 0; i < k->process->rlimits.n; i++)
        if (getrlimit((int)v[i].resource, &now) == 0 && v[i].hard > now.rlim_max) {
            now.rlim_max = v[i].hard;
            (void)setrlimit((int)v[i].resource, &now); /* else the child goes as high as it may */
        }
}

/* EPERM: it belongs to the user namespace that is entered; then it is the child's turn. */
static int join_early(struct child *k)
{
    const struct plan_join *j = plan_table(k->base, k->plan->joins);

    for (uint32_t i = 0; i < k->plan->joins.n; i++) {
        if (j[i].ns == CLONE_NEWUSER || k->joins[i] < 0)
            continue;
        if (setns(k->joins[i], (int)j[i].ns) == 0)
            k->joined |= j[i].ns;
        else if (errno != EPERM)
            return child_fail(k, STEP_NS_JOIN, plan_text(k->base, j[i].path), NULL);
    }
    return 0;
}

/* EINVAL: we are in it. */
static int join_user(struct child *k, int fd)
{
    if (setns(fd, CLONE_NEWUSER) < 0 && errno != EINVAL)
        return child_fail(k, STEP_USER_NS, NULL, NULL);
    k->joined |= CLONE_NEWUSER;
    return 0;
}

static int join_user_of_plan(struct child *k)
{
    const struct plan_join *j = plan_table(k->base, k->plan->joins);

    for (uint32_t i = 0; i < k->plan->joins.n; i++)
        if (j[i].ns == CLONE_NEWUSER) {
            /* a namespace of another type would fail with EINVAL as well */
            if (ioctl(k->joins[i], NS_GET_NSTYPE) == CLONE_NEWUSER)
                return join_user(k, k->joins[i]);
            errno = EINVAL;
            return child_fail(k, STEP_NS_JOIN, plan_text(k->base, j[i].path), NULL);
        }
    return 0;
}

int userns_enter(struct child *k, int pid_ns_fd)
{
    char text[12];
    int pid_later;

    if (k->process->flags & PLAN_HAS_OOM_ADJ && child_set_oom_adj(k->process, text) < 0)
        return child_fail(k, STEP_OOM_ADJ, text, NULL);
    raise_limits(k);
    if (k->plan && join_early(k) < 0)
        return -1;
    pid_later = pid_ns_fd >= 0 && setns(pid_ns_fd, CLONE_NEWPID) < 0;
    if (pid_later && errno != EPERM)
        return child_fail(k, STEP_NS_JOIN, "pid", NULL);
    if (k->process->flags & PLAN_USER_NS &&
        (k->plan ? join_user_of_plan(k) : join_user(k, k->init_fd)) < 0)
        return -1;
    if (pid_later && setns(pid_ns_fd, CLONE_NEWPID) < 0)
        return child_fail(k, STEP_NS_JOIN, "pid", NULL);
    return 0;
}

/* ---- maps, from outside ---- */

enum { MAPS_TEXT_MAX = 16384 };

static int write_map(const void *base, struct plan_tab map, pid_t pid, const char *file,
                     struct zl_error *err)
{
    const struct plan_id_map *m = plan_table(base, map);
    zl_autobuf struct zl_buf text = ZL_BUF(MAPS_TEXT_MAX);
    char path[48];

    for (uint32_t i = 0; i < map.n; i++)
        zl_buf_addf(&text, "%u %u %u\n", m[i].container, m[i].host, m[i].size);
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    return zl_buf_check(&text, file, err) < 0 ? -1 : zl_write_file(AT_FDCWD, path, text.data, err);
}

static _Noreturn void helper_child(char **argv)
{
    zl_signals_to_default();
    (void)execvp(argv[0], argv);
    _exit(errno == ENOENT ? 127 : 126);
}

static int helper_failed(const char *name, int status, struct zl_error *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return zl_fail(err, ZL_ERR_CONFIGURATION,
                       "map ids of the user namespace: %s is not installed (Debian: uidmap)", name);
    return zl_fail(err, ZL_ERR_CONFIGURATION,
                   "map ids of the user namespace: %s refused (exit status %d): /etc/subuid and "
                   "/etc/subgid must grant them to this user",
                   name, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* newuidmap(1), newgidmap(1): NAME PID container host size … */
static int run_helper(const char *name, const void *base, struct plan_tab map, pid_t pid,
                      struct zl_error *err)
{
    enum { DIGITS = 12 };
    const struct plan_id_map *m = plan_table(base, map);
    size_t n = 2 + 3 * (size_t)map.n;
    zl_autofree char **argv = calloc(n + 1, sizeof *argv);
    zl_autofree char *digits = calloc(n, DIGITS);
    char program[16];
    int status = 0;
    pid_t helper;

    if (!argv || !digits)
        return zl_fail_errno(err, "map ids of the user namespace");
    (void)snprintf(program, sizeof program, "%s", name);
    argv[0] = program;
    for (size_t i = 1; i < n; i++) {
        const struct plan_id_map *row = &m[(i - 2) / 3];
        uint32_t v = i == 1             ? (uint32_t)pid
                     : (i - 2) % 3 == 0 ? row->container
                     : (i - 2) % 3 == 1 ? row->host
                                        : row->size;
        argv[i] = digits + i * DIGITS;
        (void)snprintf(argv[i], DIGITS, "%u", v);
    }
    helper = fork();
    if (helper == 0)
        helper_child(argv);
    if (helper < 0)
        return zl_fail_errno(err, "run %s", name);
    while (waitpid(helper, &status, 0) < 0)
        if (errno != EINTR)
            return zl_fail_errno(err, "wait for %s", name);
    return status ? helper_failed(name, status, err) : 0;
}

int userns_write_maps(const struct plan *p, pid_t pid, struct zl_error *err)
{
    char path[48];

    if (p->flags & PLAN_MAP_BY_HELPER)
        return run_helper("newuidmap", p, p->uid_map, pid, err) < 0
                   ? -1
                   : run_helper("newgidmap", p, p->gid_map, pid, err);
    (void)snprintf(path, sizeof path, "/proc/%d/setgroups", (int)pid);
    /* else an ordinary user could drop groups by which files are closed to it */
    if (p->process.flags & PLAN_NO_SETGROUPS && zl_write_file(AT_FDCWD, path, "deny", err) < 0)
        return -1;
    return write_map(p, p->uid_map, pid, "uid_map", err) < 0
               ? -1
               : write_map(p, p->gid_map, pid, "gid_map", err);
}

/* ---- what is bound ---- */

/* Lives until it is killed, or whoever made it ended. */
static _Noreturn void hold(int maker)
{
    struct pollfd ended = { .fd = maker, .events = POLLIN };

    while (poll(&ended, 1, -1) != 1)
        ;
    _exit(0);
}

static int map_and_open(const struct plan *p, const struct plan_mount *m, pid_t pid,
                        struct zl_error *err)
{
    char path[48];
    int fd;

    if (write_map(p, m->uid_map, pid, "uid_map", err) < 0 ||
        write_map(p, m->gid_map, pid, "gid_map", err) < 0)
        return -1;
    (void)snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? zl_fail_errno(err, "open '%s'", path) : fd;
}

/* A user namespace with these maps, for mount_setattr(2); nobody lives in it in the end. */
static int make_user_ns(const struct plan *p, const struct plan_mount *m, struct zl_error *err)
{
    struct carry_proc holder = { .pidfd = -1 };
    zl_autoclose int we = k_pidfd_open(getpid());
    int fd;

    if (we < 0)
        return zl_fail_errno(err, "make a user namespace");
    holder.pid = spawn_fork(CLONE_NEWUSER, -1, &holder.pidfd);
    if (holder.pid < 0)
        return zl_fail_errno(err, "make a user namespace");
    if (holder.pid == 0)
        hold(we);
    fd = map_and_open(p, m, holder.pid, err);
    spawn_end(&holder);
    return fd;
}

static int map_ids(const struct plan *p, const struct plan_mount *m, int tree, struct zl_error *err)
{
    zl_autoclose int ns = make_user_ns(p, m, err);
    struct k_mount_attr a = { .attr_set = K_ATTR_IDMAP, .userns_fd = (uint64_t)ns };
    unsigned flags = K_AT_EMPTY_PATH | (m->idmap_recursive ? K_AT_RECURSIVE : 0);

    if (ns < 0)
        return -1;
    if (k_mount_setattr(tree, "", flags, &a) == 0)
        return 0;
    if (errno == EINVAL)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "its file system cannot map ids");
    return zl_fail_errno(err, "set its maps of ids");
}

static int prepare_tree(const struct plan *p, const struct plan_mount *m, int tree,
                        struct zl_error *err)
{
    struct k_mount_attr a = { .propagation = p->root_propagation_before & ~(uint64_t)MS_REC };

    /* as it would be in the container's own copy of the mounts */
    if (a.propagation && k_mount_setattr(tree, "", K_AT_EMPTY_PATH | K_AT_RECURSIVE, &a) < 0)
        return zl_fail_errno(err, "set its propagation");
    return m->uid_map.n ? map_ids(p, m, tree, err) : 0;
}

static int open_source(const struct plan *p, const struct plan_mount *m, int *ret,
                       struct zl_error *err)
{
    zl_autoclose int tree =
        k_open_tree(AT_FDCWD, plan_text(p, m->source),
                    K_OPEN_TREE_CLONE | K_OPEN_TREE_CLOEXEC | (m->recursive ? K_AT_RECURSIVE : 0));

    if (tree < 0 && errno == EPERM && !m->uid_map.n)
        return 0; /* we are no root: the child does it, which is in its own namespace */
    if (tree < 0)
        return zl_fail_errno(err, "open it");
    if (prepare_tree(p, m, tree, err) < 0)
        return -1;
    *ret = zl_take_fd(&tree);
    return 0;
}

bool userns_wants_trees(const struct plan *p)
{
    const struct plan_mount *m = plan_table(p, p->mounts);

    if (p->process.flags & PLAN_USER_NS)
        return p->mounts.n;
    for (uint32_t i = 0; i < p->mounts.n; i++)
        if (m[i].uid_map.n)
            return true;
    return false;
}

int userns_open_trees(const struct plan *p, int *trees, struct zl_error *err)
{
    const struct plan_mount *m = plan_table(p, p->mounts);
    bool all = p->process.flags & PLAN_USER_NS;

    for (uint32_t i = 0; i < p->mounts.n; i++)
        if (m[i].kind == PLAN_MOUNT_BIND && (all || m[i].uid_map.n) &&
            open_source(p, &m[i], &trees[i], err) < 0)
            return zl_wrap(err, "mount '%s' on '%s'", plan_text(p, m[i].source),
                           plan_text(p, m[i].target));
    return 0;
}
