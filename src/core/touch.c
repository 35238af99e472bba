// SPDX-License-Identifier: Apache-2.0
#include "core/touch.h"

#include "core/model/deployment.h"
#include "core/model/execution.h"
#include "core/model/instance.h"
#include "core/model/machine.h"
#include "core/model/schedule.h"
#include "core/model/service.h"
#include "core/model/slot.h"
#include "core/model/standalone.h"

void touch_deployment(struct core *c, struct deployment *d)
{
    c->changed = true;
    if (d->touched)
        return;
    d->touched = true;
    TAILQ_INSERT_TAIL(&c->touched_deployments, d, touched_link);
}

void touch_standalone(struct core *c, struct standalone *a)
{
    c->changed = true;
    if (a->touched)
        return;
    a->touched = true;
    TAILQ_INSERT_TAIL(&c->touched_standalones, a, touched_link);
}

/* A deployment that is being removed waits for what nobody owns, too, and so do its slots. */
static struct deployment *deployment_of(const struct core *c, const struct instance *i)
{
    if (!i->owner)
        return deployment_find(c, i->label.deployment);
    return i->label.owner == OWNER_REPLICA ? i->slot->service->deployment
                                           : i->execution->deployment;
}

void touch_instance(struct core *c, struct instance *i)
{
    struct deployment *d;
    c->changed = true;
    if (!i->touched) {
        i->touched = true;
        TAILQ_INSERT_TAIL(&c->touched_instances, i, touched_link);
    }
    if (i->label.owner != OWNER_STANDALONE) {
        if ((d = deployment_of(c, i)))
            touch_deployment(c, d);
    } else if (i->owner) {
        touch_standalone(c, i->standalone);
    }
}

void touch_all(struct core *c)
{
    struct deployment *d;
    struct standalone *a;
    struct instance *i;
    TAILQ_FOREACH (d, &c->deployments, link)
        touch_deployment(c, d);
    TAILQ_FOREACH (a, &c->standalones, link)
        touch_standalone(c, a);
    TAILQ_FOREACH (i, &c->instances, link)
        touch_instance(c, i);
}

/* The first whose deadline has come, taken out; NULL: none. */
static struct timer *take_due(struct timers *t, uint64_t now)
{
    struct timer *x = timers_first(t);
    if (!x || x->at > now)
        return NULL;
    (void)timers_set(t, x, NEVER); /* taking out needs no memory */
    return x;
}

void touch_due(struct core *c)
{
    struct timer *x;
    while ((x = take_due(&c->instance_timers, c->now.mono_ms)))
        touch_instance(c, zl_container_of(x, struct instance, timer));
    while ((x = take_due(&c->deployment_timers, c->now.mono_ms)))
        touch_deployment(c, zl_container_of(x, struct deployment, timer));
    uint64_t wall = c->now.wall_ms > 0 ? (uint64_t)c->now.wall_ms : 0;
    while ((x = take_due(&c->schedule_timers, wall))) {
        struct schedule *h = zl_container_of(x, struct schedule, timer);
        h->armed = false;
        touch_deployment(c, h->service->deployment);
    }
}

void untouch_deployment(struct core *c, struct deployment *d)
{
    if (d->touched)
        TAILQ_REMOVE(&c->touched_deployments, d, touched_link);
    d->touched = false;
    (void)timers_set(&c->deployment_timers, &d->timer, NEVER);
}

void untouch_standalone(struct core *c, struct standalone *a)
{
    if (a->touched)
        TAILQ_REMOVE(&c->touched_standalones, a, touched_link);
    a->touched = false;
}

void untouch_instance(struct core *c, struct instance *i)
{
    if (i->touched)
        TAILQ_REMOVE(&c->touched_instances, i, touched_link);
    i->touched = false;
    (void)timers_set(&c->instance_timers, &i->timer, NEVER);
}
