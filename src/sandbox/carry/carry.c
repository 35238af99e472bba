// SPDX-License-Identifier: Apache-2.0
/* One container's life, from a plan, but for its processes: start.c, exec.c, live.c. */
#include "sandbox/carry/carry.h"

#include <sched.h>
#include <signal.h>
#include <string.h>

#include "sandbox/carry/inner.h"
#include "sandbox/carry/spawn.h"

int carry_new(const struct plan *plan, const int *fds, size_t n_fds, struct carry **ret,
              struct zl_error *err)
{
    const struct plan_cgroup *pc = plan_table(plan, plan->cgroups);
    const char *trace = getenv("ZLAYER_TRACE");
    autocarry struct carry *c = calloc(1, sizeof *c);

    if (!c)
        return zl_fail_errno(err, "carry out a plan");
    if (n_fds != plan->n_fds)
        return zl_fail(err, ZL_ERR_PROTOCOL, "carry out a plan: it wants %u descriptors, not %zu",
                       plan->n_fds, n_fds);
    c->plan = plan;
    c->oom_fd = -1;
    c->tracing = trace && strcmp(trace, "start") == 0;
    c->fds = calloc(n_fds + 1, sizeof *c->fds);
    c->cgroups = calloc(plan->cgroups.n + 1, sizeof *c->cgroups);
    for (uint32_t i = 0; c->cgroups && i < plan->cgroups.n; i++) /* before anything gives up */
        cgroup_init(&c->cgroups[i], plan, &pc[i]);
    if (!c->fds || !c->cgroups)
        return zl_fail_errno(err, "carry out a plan");
    if (n_fds)
        memcpy(c->fds, fds, n_fds * sizeof *fds);
    *ret = zl_take_ptr(c);
    return 0;
}

void carry_free(struct carry *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; c->cgroups && i < c->plan->cgroups.n; i++)
        cgroup_done(&c->cgroups[i]);
    zl_closep(&c->oom_fd);
    free(c->cgroups);
    free(c->fds);
    free(c);
}

/* ---- before the start ---- */

int carry_enter_network(struct zl_error *err)
{
    if (unshare(CLONE_NEWNET) < 0)
        return zl_fail_errno(err, "make a network namespace");
    if (spawn_loopback_up() < 0)
        return zl_fail_errno(err, "bring up the loopback interface");
    return 0;
}

static int make_cgroups(struct carry *c, struct zl_error *err)
{
    for (uint32_t i = 0; i < c->plan->cgroups.n; i++)
        if (!cgroup_is_late(&c->cgroups[i]) && cgroup_make(&c->cgroups[i], err) < 0)
            return -1;
    return 0;
}

/* Another container's network, which is held by a descriptor: who asks for sockets means that one.
 */
static int join_netns(const struct carry *c, struct zl_error *err)
{
    const struct plan_join *j = plan_table(c->plan, c->plan->joins);

    for (uint32_t i = 0; i < c->plan->joins.n; i++)
        if (j[i].ns == CLONE_NEWNET && j[i].fd && setns(c->fds[j[i].fd - 1], CLONE_NEWNET) < 0)
            return zl_fail_errno(err, "join network namespace '%s'", plan_text(c->plan, j[i].path));
    return 0;
}

int carry_prepare(struct carry *c, enum carry_network network, struct zl_error *err)
{
    c->own_netns = network != CARRY_NET_CHILD && c->plan->namespaces & CLONE_NEWNET;
    bool make = c->own_netns && network == CARRY_NET_OWN;

    if (make_cgroups(c, err) < 0 || (make && carry_enter_network(err) < 0) ||
        (network != CARRY_NET_CHILD && join_netns(c, err) < 0)) {
        for (uint32_t i = 0; i < c->plan->cgroups.n; i++)
            if (c->cgroups[i].ours)
                (void)cgroup_remove(&c->cgroups[i], NULL); /* the first failure is the story */
        return -1;
    }
    return 0;
}

int carry_limit(struct carry *c, struct zl_error *err)
{
    for (uint32_t i = 0; i < c->plan->cgroups.n; i++)
        if (!cgroup_is_late(&c->cgroups[i]) && cgroup_limit(&c->cgroups[i], err) < 0)
            return -1;
    return 0;
}

/* ---- its processes, and the end ---- */

int carry_kill_all(struct carry *c, int signal, struct zl_error *err)
{
    if (!c->plan->cgroups.n)
        return zl_fail(err, ZL_ERR_UNSUPPORTED,
                       "signal all processes: the container has no cgroup to find them in");
    if (cgroup_signal(&c->cgroups[0], signal, err) < 0)
        return -1;
    if (signal == SIGKILL)
        carry_thaw(c);
    return 0;
}

bool carry_is_empty(struct carry *c)
{
    return !c->plan->cgroups.n || cgroup_empty(&c->cgroups[0]) == 1;
}

struct cgroup *carry_cgroup(struct carry *c, const char *controller)
{
    struct cgroup *v2 = NULL;

    for (uint32_t i = 0; i < c->plan->cgroups.n; i++) {
        if (c->cgroups[i].plan->kind == PLAN_CGROUP_V2)
            v2 = &c->cgroups[i];
        else if (cgroup_is_of(&c->cgroups[i], controller))
            return &c->cgroups[i];
    }
    return v2;
}

int carry_oom_kills(struct carry *c, uint64_t *ret_kills, uint64_t *ret_peak, struct zl_error *err)
{
    struct cgroup *m = carry_cgroup(c, "memory");
    bool v2 = m && m->plan->kind == PLAN_CGROUP_V2;
    uint64_t kills;

    if (!m)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "count OOM kills: no memory cgroup is joined");
    if (!cgroup_number(m, v2 ? "memory.events" : "memory.oom_control", "oom_kill", &kills))
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "count OOM kills: '%s/%s' does not tell", m->mount,
                       m->path);
    *ret_peak = 0;
    if (kills)
        (void)cgroup_number(m, v2 ? "memory.peak" : "memory.max_usage_in_bytes", NULL, ret_peak);
    *ret_kills = kills;
    return 0;
}

int carry_oom_fd(struct carry *c)
{
    struct cgroup *m = carry_cgroup(c, "memory");

    if (c->oom_fd < 0 && m)
        c->oom_fd = cgroup_watch_oom(m);
    return c->oom_fd;
}

int carry_remove(struct carry *c, struct zl_error *err)
{
    int rc = 0;

    carry_thaw(c);
    for (uint32_t i = 0; i < c->plan->cgroups.n; i++)
        if (cgroup_remove(&c->cgroups[i], rc == 0 ? err : NULL) < 0)
            rc = -1; /* the others go nevertheless */
    return rc;
}
