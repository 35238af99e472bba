// SPDX-License-Identifier: Apache-2.0
/*
 * What runs is never read from the store: it is found. A found container is adopted when its label
 * names somebody who wants it; whatever nobody wants is stopped and removed, but not before all
 * have been seen (restore_end), so that the better of two is kept whatever order they come in.
 */
#include "core/restore.h"

#include <stdio.h>
#include <string.h>

#include "core/attempts.h"
#include "core/dependency.h"
#include "core/deployment.h"
#include "core/execution.h"
#include "core/instance.h"
#include "core/model/deployment.h"
#include "core/model/execution.h"
#include "core/model/instance.h"
#include "core/model/machine.h"
#include "core/model/service.h"
#include "core/model/slot.h"
#include "core/model/standalone.h"
#include "core/rollout.h"
#include "core/schedule.h"
#include "core/slot.h"
#include "core/standalone.h"
#include "core/touch.h"

static void load_crons(struct core *c, const struct stored_rows *rows)
{
    for (size_t k = 0; k < rows->n_crons; k++) {
        const struct deployment *d = deployment_find(c, rows->crons[k].deployment);
        const struct service *s = d ? service_find(d, rows->crons[k].cron) : NULL;
        if (s && s->schedule)
            schedule_load(c, s->schedule, &rows->crons[k]);
    }
}

int core_restore(struct core *c, const struct stored_rows *rows, struct core_now now,
                 struct zl_error *err)
{
    c->now = now;
    c->restoring = true;
    for (size_t k = 0; k < rows->n_deployments; k++)
        if (!deployment_load(c, &rows->deployments[k]))
            return zl_fail(err, ZL_ERR_SYSTEM, "restore '%s': no memory",
                           rows->deployments[k].name);
    load_crons(c, rows);
    for (size_t k = 0; k < rows->n_executions; k++) {
        const struct row_execution *row = &rows->executions[k];
        struct deployment *d = deployment_find(c, row->deployment);
        if (d && !execution_load(c, d, row))
            return zl_fail(err, ZL_ERR_SYSTEM, "restore job '%s': no memory", row->job);
    }
    for (size_t k = 0; k < rows->n_standalones; k++)
        if (!standalone_load(c, &rows->standalones[k]))
            return zl_fail(err, ZL_ERR_SYSTEM, "restore '%s': no memory",
                           rows->standalones[k].name);
    return 0;
}

/* clang-format off */
static const enum inst_state state_of[] = {
    [FOUND_CREATED] = INST_CREATING,
    [FOUND_RUNNING] = INST_UP,
    [FOUND_EXITED]  = INST_EXITED,
    [FOUND_DEBRIS]  = INST_EXITED,
};
/* clang-format on */

/* Of two containers that claim the same slot, the one with the higher rank stays. */
static int rank(const struct instance *i)
{
    bool present = i->label.spec_hash == i->slot->service->target.hash;
    return (i->state == INST_UP ? 4 : 0) + (i->state == INST_CREATING ? 2 : 0) + (present ? 1 : 0);
}

static bool claim_slot(struct core *c, struct service *s, struct instance *i)
{
    struct slot *slot = slot_find(s, i->label.index);
    if (!slot)
        slot = slot_new(c, s, i->label.index);
    if (!slot)
        return false;
    i->slot = slot;
    if (slot->inst) {
        if (rank(slot->inst) >= rank(i)) {
            i->slot = NULL;
            return false;
        }
        slot->inst->slot = NULL;
    }
    version_copy(&slot->version, &s->target);
    slot_adopt(c, slot, i);
    slot->surge = slot->index == s->desired + 1 && !slot_outdated(slot);
    return true;
}

/* False: nobody wants it. */
static bool place_replica(struct core *c, struct instance *i, const struct event *ev)
{
    const struct deployment *d = deployment_find(c, i->label.deployment);
    struct service *s = d ? service_find(d, i->label.service) : NULL;
    if (!s || service_is_job(s) || i->label.index == 0 || ev->found.state == FOUND_DEBRIS)
        return false;
    if (i->label.spec_hash != s->target.hash && i->state != INST_UP)
        return false;
    version_set(&i->version, s->target.spec, s->target.service);
    i->version.hash = i->label.spec_hash;
    if (ev->found.image_digest)
        (void)snprintf(i->version.digest, sizeof i->version.digest, "%s", ev->found.image_digest);
    return claim_slot(c, s, i);
}

static bool place_execution(struct core *c, struct instance *i, const struct event *ev)
{
    struct execution *x = execution_find(c, i->label.execution);
    if (!x || execution_terminal(x) || x->inst ||
        strcmp(x->deployment->name, i->label.deployment) != 0)
        return false;
    if (ev->found.state == FOUND_DEBRIS) {
        x->left_debris = true;
        return false;
    }
    version_set(&i->version, x->version.spec, x->version.service);
    if (ev->found.image_digest)
        (void)snprintf(i->version.digest, sizeof i->version.digest, "%s", ev->found.image_digest);
    execution_adopt(c, x, i);
    return true;
}

static bool place_standalone(struct core *c, struct instance *i, const struct event *ev)
{
    struct standalone *a = standalone_find(c, i->id);
    if (!a || a->inst || (a->exited && i->state != INST_EXITED))
        return false;
    if (ev->found.state == FOUND_DEBRIS) {
        i->has_exit = true;
        i->exit = (struct inst_exit){ .code = 255, .lost = true, .wall_ms = c->now.wall_ms };
    }
    if (a->exited)
        i->has_exit = false; /* known already, and told */
    version_set(&i->version, a->spec, &a->spec->services[0]);
    standalone_adopt(c, a, i);
    return true;
}

void restore_found(struct core *c, const struct event *ev)
{
    static bool (*const place[])(struct core *, struct instance *, const struct event *) = {
        [OWNER_REPLICA] = place_replica,
        [OWNER_EXECUTION] = place_execution,
        [OWNER_STANDALONE] = place_standalone,
    };
    if (instance_find(c, ev->found.id))
        return;
    struct instance *i = instance_new(c, ev->found.id, &ev->found.label, NULL, NULL);
    if (!i)
        return; /* it stays until the next restart of the agent finds it again */
    if (ev->found.state == FOUND_EXITED) {
        i->has_exit = true;
        i->exit = ev->found.exit;
    }
    if (ev->found.created_wall_ms)
        i->created_ms = ev->found.created_wall_ms;
    instance_adopt(c, i, state_of[ev->found.state], ev->found.pid, ev->found.started_wall_ms);
    if (c->restoring)
        (void)place[i->label.owner](c, i, ev);
    else
        instance_disown(c, i);
}

void restore_exit(struct core *c, struct instance *i, const struct inst_exit *exit)
{
    i->has_exit = true;
    i->exit = *exit;
    instance_adopt(c, i, INST_EXITED, 0, i->started_ms);
}

static void settle_deployment(struct core *c, struct deployment *d, bool rebooted)
{
    struct service *s;
    struct execution *x;
    TAILQ_FOREACH (x, &d->executions, link)
        execution_settle_restored(c, x, rebooted);
    TAILQ_FOREACH (s, &d->services, link) {
        if (rollout_has_begun(s))
            dependency_skip(c, s); /* it had what it needs when it started */
        if (rebooted)
            attempts_forget_all(s); /* nothing of the host is as it was when they failed */
    }
}

/* Whether an end that was found says something about its replica: not when it was wanted no more.
 */
static bool counts(const struct instance *i)
{
    const struct service *s = i->slot->service;
    return !service_unwanted(s) && i->slot->index <= s->desired;
}

static void settle_instance(struct core *c, struct instance *i)
{
    bool replica = i->owner && i->label.owner == OWNER_REPLICA;
    if (replica && i->state == INST_EXITED && !counts(i))
        slot_leave(c, i->slot, &(struct stop_how){ 0 });
    else
        instance_settle_restored(c, i);
}

void restore_end(struct core *c, bool rebooted)
{
    struct deployment *d;
    struct standalone *a;
    struct instance *i, *next;
    if (!c->restoring)
        return;
    c->restoring = false;
    touch_all(c);
    TAILQ_FOREACH (d, &c->deployments, link)
        settle_deployment(c, d, rebooted);
    for (i = TAILQ_FIRST(&c->instances); i; i = next) {
        next = TAILQ_NEXT(i, link);
        settle_instance(c, i);
    }
    TAILQ_FOREACH (a, &c->standalones, link)
        standalone_settle_restored(c, a);
}
