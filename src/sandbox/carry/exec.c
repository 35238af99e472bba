// SPDX-License-Identifier: Apache-2.0
/* Further processes in a container: exec, and a copy of ourselves. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>

#include "base/weaken.h"
#include "sandbox/carry/join.h"
#include "sandbox/kernel.h"

/* exec: born in the PID namespace of init, which is this one's, or another. */
static bool other_pid_ns(const struct carry *c)
{
    return c->plan->namespaces & CLONE_NEWPID || c->plan->joins.n;
}

static int spawn_on_cpus(struct spawn *s, const struct plan_exec *x, struct carry_proc *ret,
                         struct zl_error *err)
{
    struct scheduling cpus;
    int rc;

    if (scheduling_begin(&cpus, x) < 0)
        return zl_fail_errno(err, "set the initial CPU affinity");
    rc = spawn_run(s, ret, err);
    scheduling_end(&cpus);
    return rc;
}

/* v2: a cgroup that hands controllers down takes no process. Who did that, inside the container,
 * is below: there the further process is born, next to the first. */
static int spawn_in_cgroup(struct carry *c, int init, struct spawn *s, const struct plan_exec *x,
                           struct carry_proc *ret, struct zl_error *err)
{
    struct cgroup *v2 = carry_cgroup(c, "");
    struct zl_error why = { 0 };
    zl_autoclose int fd = -1;

    if (spawn_on_cpus(s, x, ret, &why) == 0)
        return 0;
    if (why.errnum == EBUSY && v2 && s->cgroup_fd == v2->dir_fd)
        fd = cgroup_open_of(v2, init, NULL); /* the first failure is the story */
    if (fd >= 0) {
        s->cgroup_fd = fd;
        return spawn_on_cpus(s, x, ret, err);
    }
    if (err)
        *err = why;
    return -1;
}

/* In a mount namespace where others live the container's root is its first process's. */
static int open_root(const struct carry *c, int init, int *ret, struct zl_error *err)
{
    char path[32];

    *ret = -1;
    if (!c->plan->root_mount)
        return 0;
    (void)snprintf(path, sizeof path, "/proc/%d/root", (int)carry_pid_of(init));
    *ret = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *ret < 0 ? zl_fail_errno(err, "open the container's root") : 0;
}

/*
 * A container with CAP_SYS_PTRACE sees into every process of its PID namespace, dumpable or not:
 * who joins it must have no right left when it is born there.
 */
static bool must_go_ahead(const struct carry *c, const struct plan_exec *x)
{
    bool traces = c->plan->process.caps[PLAN_CAP_BOUNDING] >> CAP_SYS_PTRACE & 1;

    return traces && !zl_weaken(AHEAD) && other_pid_ns(c) && !(x->process.flags & PLAN_USER_NS);
}

/*
 * A filter that is loaded with rights (without no_new_privs) has to be loaded by who goes ahead,
 * whom it would bind as well: it may deny clone(2), or ask somebody who is told of the process
 * first.
 */
static bool filter_is_in_the_way(const struct plan_exec *x)
{
    const struct plan_process *p = &x->process;

    return p->seccomp.n && !(p->flags & PLAN_NO_NEW_PRIVS) &&
           (p->flags & PLAN_SECCOMP_LISTENER || !filter_allows_birth(x, p));
}

int carry_exec(struct carry *c, int init, const struct plan_exec *x, const struct carry_start *how,
               struct carry_proc *ret, struct zl_error *err)
{
    struct join join;
    zl_autofree char **argv = carry_pointers(x, x->process.argv, err);
    zl_autofree char **envp = carry_pointers(x, x->process.env, err);
    struct spawn s = {
        .child = { .base = x,
                   .process = &x->process,
                   .argv = argv,
                   .envp = envp,
                   .how = how,
                   .init_fd = init,
                   .enter = plan_namespaces(c->plan) & ~(uint32_t)(CLONE_NEWUSER | CLONE_NEWPID),
                   .tracing = c->tracing },
        .pid_ns_fd = other_pid_ns(c) ? init : -1,
        .between = x->process.flags & PLAN_USER_NS || must_go_ahead(c, x),
        .ahead = must_go_ahead(c, x),
        .unbound = must_go_ahead(c, x) && filter_is_in_the_way(x),
    };
    int rc;

    if (!argv || !envp || join_begin(&join, c, err) < 0 ||
        open_root(c, init, &s.child.chroot_fd, err) < 0)
        return -1;
    zl_autoclose int root = s.child.chroot_fd;
    /* also the proof that whatever was looked up by its number meanwhile was its own */
    if (k_pidfd_send_signal(init, 0) < 0)
        return zl_fail_errno(err, "find the container's first process");
    rc = join_open_cgroups(&join, c, &s, err) < 0 ? -1 : spawn_in_cgroup(c, init, &s, x, ret, err);
    join_end(&join);
    return rc;
}

int carry_fork(struct carry *c, void (*child)(void *arg, int failed), void *arg,
               struct carry_proc *ret, struct zl_error *err)
{
    struct join join;
    int pidfd = -1;
    struct spawn s = { .cgroup_fd = -1 };

    if (join_begin(&join, c, err) < 0 || join_open_cgroups(&join, c, &s, err) < 0)
        return -1;
    pid_t pid = spawn_fork(0, s.cgroup_fd, &pidfd);
    if (pid < 0)
        return zl_fail_errno(err, "fork into the container's cgroups");
    if (pid == 0) {
        child(arg, child_join_tasks(&s.child) < 0 ? errno : 0);
        _exit(127); /* it does not return */
    }
    *ret = (struct carry_proc){ .pid = pid, .pidfd = pidfd };
    return 0;
}
