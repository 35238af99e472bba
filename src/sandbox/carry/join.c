// SPDX-License-Identifier: Apache-2.0
#include "sandbox/carry/join.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

int join_begin(struct join *j, const struct carry *c, struct zl_error *err)
{
    j->n_namespaces = j->n_below = 0;
    j->pid_namespace = -1;
    if (c->plan->cgroups.n > JOIN_TASKS_MAX || c->plan->joins.n > JOIN_NAMESPACES_MAX)
        return zl_fail(err, ZL_ERR_PROTOCOL, "carry out a plan: too many cgroups or namespaces");
    return 0;
}

void join_end(struct join *j)
{
    for (size_t i = 0; i < j->n_namespaces; i++)
        zl_closep(&j->namespaces[i]);
    zl_closep(&j->pid_namespace);
    for (size_t i = 0; i < j->n_below; i++)
        zl_closep(&j->below[i]);
}

/* ---- cgroups ---- */

static const char *below_path(const struct carry_start *how, const struct cgroup *cg)
{
    for (size_t i = 0; how && i < how->n_subs; i++)
        if (!how->subs[i].controller || cgroup_is_of(cg, how->subs[i].controller))
            return how->subs[i].path;
    return NULL;
}

static int check_below(const struct carry *c, const struct carry_start *how, struct zl_error *err)
{
    for (size_t i = 0; i < how->n_subs; i++) {
        const char *controller = how->subs[i].controller;
        uint32_t k = 0;
        while (controller && k < c->plan->cgroups.n && !cgroup_is_of(&c->cgroups[k], controller))
            k++;
        if (controller && k == c->plan->cgroups.n)
            return zl_fail(err, ZL_ERR_INVALID,
                           "join cgroup '%s:%s': the container is in no hierarchy of this name",
                           controller, how->subs[i].path);
    }
    return 0;
}

/* What joins it: its own, or of one below. */
static int join_fd(struct join *j, struct cgroup *cg, const struct carry_start *how,
                   struct zl_error *err)
{
    const char *path = below_path(how, cg);
    int fd;

    if (!path)
        return cg->plan->kind == PLAN_CGROUP_V2 ? cg->dir_fd : cg->tasks_fd;
    fd = cgroup_open_below(cg, path, err);
    if (fd >= 0)
        j->below[j->n_below++] = fd;
    return fd;
}

/* A late one is there only when the first process is, or an update was before it. 1 it is, 0 it is
 * not yet; -1. */
static int is_there(struct cgroup *cg, const struct spawn *s, struct zl_error *err)
{
    if (!cgroup_is_late(cg))
        return 1;
    if (s->child.plan && !cg->wanted)
        return 0;
    if (cgroup_dir(cg) >= 0)
        return 1;
    return errno == ENOENT ? 0 : zl_fail_errno(err, "open cgroup '%s/%s'", cg->mount, cg->path);
}

int join_open_cgroups(struct join *j, struct carry *c, struct spawn *s, struct zl_error *err)
{
    const struct carry_start *how = s->child.plan ? NULL : s->child.how; /* first: none is below */

    s->cgroup_fd = -1;
    s->child.tasks = j->tasks;
    if (how && check_below(c, how, err) < 0)
        return -1;
    for (uint32_t i = 0; i < c->plan->cgroups.n; i++) {
        struct cgroup *cg = &c->cgroups[i];
        int there = is_there(cg, s, err);
        if (there == 0)
            continue;
        int fd = there < 0 || cgroup_open_join(cg, err) < 0 ? -1 : join_fd(j, cg, how, err);
        if (fd < 0)
            return -1;
        if (cg->plan->kind == PLAN_CGROUP_V2)
            s->cgroup_fd = fd;
        else
            j->tasks[s->child.n_tasks++] = fd;
    }
    return 0;
}

/* ---- namespaces ---- */

int join_open_namespaces(struct join *j, const struct carry *c, struct spawn *s,
                         struct zl_error *err)
{
    const struct plan_join *row = plan_table(c->plan, c->plan->joins);

    s->child.joins = j->namespaces;
    for (uint32_t i = 0; i < c->plan->joins.n; i++) {
        const char *path = plan_text(c->plan, row[i].path);
        bool pid = row[i].ns == CLONE_NEWPID;
        int fd = row[i].fd ? fcntl(c->fds[row[i].fd - 1], F_DUPFD_CLOEXEC, 3)
                           : open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return zl_fail_errno(err, "open namespace '%s'", path);
        if (pid)
            j->pid_namespace = s->pid_ns_fd = fd;
        j->namespaces[i] = pid ? -1 : fd;
        j->n_namespaces = i + 1;
    }
    return 0;
}
