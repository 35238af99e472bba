// SPDX-License-Identifier: Apache-2.0
/* Whether all is as wished, once the faults have stopped. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

struct search {
    struct world *w;
    const struct wish *wish;
    const struct spec_service *service;
    const struct service_wish *mine;
    bool strict; /* it has to be entirely well */
    uint32_t found, containers;
    char *why;
    size_t size;
    bool fine;
};

static bool ZL_PRINTF(2, 3) not_yet(struct search *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(s->why, s->size, fmt, ap);
    va_end(ap);
    s->fine = false;
    return false;
}

/* ---- services ----------------------------------------------------------------------------- */

static bool can_be_well(const struct wish *d, const char *service, int depth)
{
    struct service_wish *mine;
    const struct spec_service *s = wish_service(d, service, &mine);
    if (!s || mine->stopped || !image_named(s->image.name)->good || depth > DOC_SERVICES)
        return false;
    for (size_t i = 0; i < s->n_depends; i++) {
        const struct spec_service *on = wish_service(d, s->depends[i].service, NULL);
        if (!can_be_well(d, on->name, depth + 1) || (on->rtype == SPEC_SERVICE && !on->replicas))
            return false;
    }
    return true;
}

/* A slot may stay down only where the document says so. */
static bool may_end(const struct spec_service *s)
{
    return s->restart.kind == SPEC_RESTART_NO || s->restart.kind == SPEC_RESTART_ON_FAILURE ||
           s->on_panic != SPEC_PANIC_RESTART;
}

/* What the service's image means, as it is stored. */
static const char *settled(const struct search *s)
{
    const struct stored_deployment *d = store_deployment(&s->w->store, s->wish->name);
    for (size_t i = 0; d && i < d->row.n_services; i++)
        if (strcmp(d->row.services[i].name, s->service->name) == 0)
            return d->row.services[i].digest;
    return "";
}

static bool look_at_replica(void *arg, const struct view_container *v)
{
    struct search *s = arg;
    const struct container *c = world_container(s->w, v->id);
    if (v->label.owner != OWNER_REPLICA || strcmp(v->label.service, s->service->name) != 0)
        return true;
    s->found++;
    s->containers += c != NULL;
    /* Where a service cannot be well, one that is ready in slot n+1 stands in for those that are
     * not: also under a new agent, which does not know that a rollout has failed. */
    uint32_t last = s->service->replicas + (!s->strict && v->state == INST_UP);
    if (s->mine->stopped || v->label.index > last)
        return not_yet(s, "%s is still there", v->name);
    if (v->state == INST_STOPPING || v->state == INST_REMOVING)
        return not_yet(s, "%s is still %s", v->name, inst_state_name(v->state));
    if (!s->strict)
        return true;
    if (v->ended && may_end(s->service))
        return true;
    if (v->state != INST_UP || v->health != HEALTH_HEALTHY ||
        v->label.spec_hash != wish_hash(s->w, s->wish->name, s->service))
        return not_yet(s, "%s is %s, %s%s%s", v->name, inst_state_name(v->state),
                       health_state_name(v->health), v->ended ? ", ended: " : "", v->why);
    if (!c || c->state != C_RUNNING)
        return not_yet(s, "%s does not run in truth", v->name);
    if (strcmp(c->digest, settled(s)) != 0)
        return not_yet(s, "%s is of %s, not of %s", v->name, c->digest, settled(s));
    return true;
}

static bool look_at_status(void *arg, const struct view_service *v)
{
    struct search *s = arg;
    if (v->service->name != s->service->name && strcmp(v->service->name, s->service->name) != 0)
        return true;
    if (strcmp(v->status, "failed") == 0) {
        s->strict = false; /* by a fault, and until the next deploy */
        if (!v->why[0])
            return not_yet(s, "%s failed without a reason", s->service->name);
    }
    return true;
}

static bool service_converged(struct search *s, const struct wish *d, size_t index)
{
    s->wish = d;
    s->service = &d->spec->services[index];
    s->mine = &d->services[index];
    s->found = s->containers = 0;
    if (s->service->rtype != SPEC_SERVICE)
        return true;
    s->strict = can_be_well(d, s->service->name, 0);
    core_each_service(s->w->core, d->name, look_at_status, s);
    core_each_container(s->w->core, d->name, look_at_replica, s);
    if (s->fine && s->strict && s->found != s->service->replicas)
        return not_yet(s, "%s has %u of %u replicas", s->service->name, s->found,
                       s->service->replicas);
    return s->fine;
}

/* ---- deployments -------------------------------------------------------------------------- */

static bool look_at_deployment(void *arg, const struct view_deployment *v)
{
    struct search *s = arg;
    const struct wish *d = wish_find(s->w->checks, v->row->name);
    if (!d)
        return not_yet(s, "deployment %s is still there", v->row->name);
    if (v->status == DEP_DEPLOYING || v->status == DEP_STOPPING)
        return not_yet(s, "deployment %s is still %s", v->row->name,
                       deployment_status_name(v->status));
    if (v->ready != (v->status == DEP_RUNNING) && v->status != DEP_RUNNING)
        return not_yet(s, "deployment %s is ready, but %s", v->row->name,
                       deployment_status_name(v->status));
    if (v->status == DEP_FAILED && !v->message[0])
        return not_yet(s, "deployment %s failed without a reason", v->row->name);
    return true;
}

static bool look_at_absent(void *arg, const struct view_service *v)
{
    struct search *s = arg;
    const struct wish *d = wish_find(s->w->checks, v->deployment);
    const struct spec_service *known = wish_service(d, v->service->name, NULL);
    if (known && known->rtype == v->service->rtype)
        return true;
    return not_yet(s, "%s is not in the document any more, but still there", v->service->name);
}

static bool deployments_converged(struct search *s)
{
    core_each_deployment(s->w->core, look_at_deployment, s);
    for (size_t i = 0; i < WISHES_MAX && s->fine; i++) {
        const struct wish *d = &s->w->checks->wishes[i];
        if (!d->used)
            continue;
        if (d->removing)
            return not_yet(s, "deployment %s is still stored", d->name);
        if (!store_deployment(&s->w->store, d->name))
            return not_yet(s, "deployment %s is not stored", d->name);
        for (size_t k = 0; k < d->spec->n_services; k++)
            if (!service_converged(s, d, k))
                return false;
    }
    if (s->fine)
        core_each_service(s->w->core, NULL, look_at_absent, s);
    return s->fine;
}

/* ---- the rest ----------------------------------------------------------------------------- */

static bool executions_converged(struct search *s)
{
    for (size_t i = 0; i < ROWS_MAX; i++) {
        const struct stored_execution *x = &s->w->store.executions[i];
        if (!x->used)
            continue;
        const struct wish *d = wish_find(s->w->checks, x->deployment);
        if (!d)
            return not_yet(s, "an execution of the removed %s is stored", x->deployment);
        bool waits = x->row.status == EXEC_PENDING && !can_be_well(d, x->job, 0);
        if (!waits && (x->row.status == EXEC_PENDING || x->row.status == EXEC_RUNNING))
            return not_yet(s, "execution of %s is still %s", x->job,
                           execution_status_name(x->row.status));
    }
    return true;
}

static bool standalones_converged(struct search *s)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(s->w->store.standalones); i++) {
        const struct stored_standalone *a = &s->w->store.standalones[i];
        if (!a->used)
            continue;
        const struct container *c = world_container(s->w, a->row.id);
        if (a->row.remove_wanted)
            return not_yet(s, "%s is not removed", a->name);
        if (a->row.exited)
            continue;
        if (a->row.stop_wanted || !c || c->state != C_RUNNING)
            return not_yet(s, "%s neither runs nor ended", a->name);
    }
    return true;
}

static bool count_known(void *arg, const struct view_container *v)
{
    struct search *s = arg;
    struct container *c = world_container(s->w, v->id);
    if (c)
        s->containers++;
    return true;
}

/* Whatever exists is known to core, and is on nobody's way out. */
static bool nothing_left_over(struct search *s)
{
    s->containers = 0;
    core_each_container(s->w->core, NULL, count_known, s);
    if (s->containers != s->w->n_containers)
        return not_yet(s, "%zu containers exist, core knows %u of them", s->w->n_containers,
                       s->containers);
    for (size_t i = 0; i < s->w->n_containers; i++) {
        const struct container *c = &s->w->containers[i];
        if (c->unwanted && c->owner != OWNER_STANDALONE)
            return not_yet(s, "%s-%u is on its way out", c->service, c->index);
    }
    return true;
}

bool check_converged(struct world *w, char *why, size_t size)
{
    struct search s = { .w = w, .why = why, .size = size, .fine = true };
    why[0] = '\0';
    if (!w->core)
        return not_yet(&s, "the agent is dead");
    if (world_has_requests(w))
        return not_yet(&s, "requests are under way");
    return deployments_converged(&s) && executions_converged(&s) && standalones_converged(&s) &&
           nothing_left_over(&s);
}
