// SPDX-License-Identifier: Apache-2.0
#include "core/service.h"

#include <string.h>

#include "core/attempts.h"
#include "core/dependency.h"
#include "core/emit.h"
#include "core/execution.h"
#include "core/health.h"
#include "core/job.h"
#include "core/model/deployment.h"
#include "core/model/instance.h"
#include "core/model/machine.h"
#include "core/model/schedule.h"
#include "core/model/service.h"
#include "core/model/slot.h"
#include "core/pin.h"
#include "core/renewal.h"
#include "core/rollout.h"
#include "core/schedule.h"
#include "core/slot.h"
#include "core/touch.h"

/* ---- life of the object ------------------------------------------------------------------- */

static void free_service(struct grave *g)
{
    struct service *s = (struct service *)g;
    version_clear(&s->target);
    schedule_free(s->schedule);
    attempts_free(s);
    free(s->waived);
    free(s->name);
    free(s);
}

static void set_desired(struct core *c, struct service *s, const struct spec_service *service)
{
    c->n_objects -= s->desired;
    s->desired = service->rtype == SPEC_SERVICE ? service->replicas : 0;
    c->n_objects += s->desired;
}

struct service *service_new(struct core *c, struct deployment *d, const struct spec *spec,
                            const struct spec_service *service)
{
    struct service *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->grave.free = free_service;
    s->deployment = d;
    TAILQ_INIT(&s->slots);
    TAILQ_INIT(&s->runs);
    version_set(&s->target, spec, service);
    s->name = strdup(service->name);
    if (!s->name || !dependency_wait(c, s, service->n_depends) ||
        (service->rtype == SPEC_CRON && !(s->schedule = schedule_new(c, s)))) {
        free_service(&s->grave);
        return NULL;
    }
    set_desired(c, s, service);
    s->created_ms = c->now.wall_ms;
    c->n_objects++;
    TAILQ_INSERT_TAIL(&d->services, s, link);
    return s;
}

void service_bury(struct core *c, struct service *s)
{
    TAILQ_REMOVE(&s->deployment->services, s, link);
    struct service *heir = service_find(s->deployment, s->name);
    execution_hand_over(s, heir && service_is_job(heir) ? heir : NULL);
    if (s->schedule) {
        schedule_rest(c, s->schedule);
        emit_store(c, EFF_DEL_CRON)->cron = s->schedule->row;
    }
    c->n_objects -= 1 + s->desired;
    core_bury(c, &s->grave);
}

/* ---- a new document ----------------------------------------------------------------------- */

static bool same_dependencies(const struct spec_service *a, const struct spec_service *b)
{
    if (a->n_depends != b->n_depends)
        return false;
    for (size_t k = 0; k < a->n_depends; k++)
        if (strcmp(a->depends[k].service, b->depends[k].service) != 0 ||
            a->depends[k].condition != b->depends[k].condition)
            return false;
    return true;
}

static bool same_health(const struct spec_service *a, const struct spec_service *b)
{
    const struct spec_health *x = &a->health, *y = &b->health;
    bool same_url = strcmp(x->url ? x->url : "", y->url ? y->url : "") == 0;
    bool same_command = strcmp(x->command ? x->command : "", y->command ? y->command : "") == 0;
    return x->written == y->written && x->check == y->check && x->port == y->port && same_url &&
           same_command && x->expect_status == y->expect_status &&
           x->interval_ms == y->interval_ms && x->timeout_ms == y->timeout_ms &&
           x->retries == y->retries;
}

/* The containers stay, what is said about them changes. */
static void retarget_live(struct core *c, struct slot *slot, const struct version *target)
{
    struct instance *i = slot->inst;
    version_copy(&slot->version, target);
    if (!i || i->label.spec_hash != target->hash)
        return;
    bool health_changed = !same_health(i->version.service, target->service);
    version_copy(&i->version, target);
    if (health_changed && i->state == INST_UP)
        health_reconfigure(c, i);
}

bool service_retarget(struct core *c, struct service *s, const struct spec *spec,
                      const struct spec_service *service)
{
    bool rolled = pin_is_renewed_by(s, service);
    bool waits = rolled || s->gave_up || s->stopped || s->absent || !rollout_has_begun(s) ||
                 !same_dependencies(s->target.service, service);
    struct slot *slot;
    if (waits && !dependency_wait(c, s, service->n_depends))
        return false;
    const struct schedule_change change = {
        .other_times = s->schedule && !schedule_is_same(s->schedule, service),
        .rested = s->stopped || s->absent,
    };
    pin_retarget(s, spec, service);
    renewal_retarget(s);
    bool rescaled = s->desired != service->replicas;
    set_desired(c, s, service);
    s->absent = s->stopped = s->shutdown = s->rollout_failed = false;
    s->pulled = s->pulled && !rolled;
    if (s->schedule)
        schedule_retarget(c, s->schedule, &change);
    TAILQ_FOREACH (slot, &s->slots, link) {
        slot->surge = slot->surge && !rescaled;
        if (slot->version.hash == s->target.hash)
            retarget_live(c, slot, &s->target);
        if (rolled || slot_ended(slot) || slot->guarded)
            slot_renew(c, slot);
        if (waits && slot->inst && slot->inst->state < INST_CREATING)
            slot_leave(c, slot, &(struct stop_how){ 0 }); /* not made yet: waits as well */
    }
    touch_deployment(c, s->deployment);
    return true;
}

bool service_restart(struct core *c, struct service *s)
{
    struct slot *slot;
    bool waits = s->stopped || s->shutdown || s->gave_up;
    if (waits && !dependency_wait(c, s, s->target.service->n_depends))
        return false;
    s->stopped = s->shutdown = s->rollout_failed = false;
    pin_restart(s);
    TAILQ_FOREACH (slot, &s->slots, link)
        slot_renew(c, slot);
    touch_deployment(c, s->deployment);
    return true;
}

void service_stop(struct core *c, struct service *s, const struct stop_how *how)
{
    s->stopped = true;
    s->stop_how = *how;
    if (service_is_job(s)) /* its executions; it can be run again */
        execution_cancel_all(c, s, how);
    touch_deployment(c, s->deployment);
}

/* ---- looks -------------------------------------------------------------------------------- */

struct service_counts service_count(const struct service *s)
{
    struct service_counts n = { 0 };
    const struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link) {
        if (slot->index > s->desired)
            continue;
        n.running += slot_up(slot);
        n.healthy += slot_healthy(slot);
    }
    return n;
}

bool service_complete(const struct service *s)
{
    if (service_is_job(s) || s->stopped)
        return true;
    bool surplus = slot_find(s, s->desired + 1) != NULL;
    return !service_failed(s) && !s->renew.wanted && !service_first_outdated(s) && !surplus &&
           service_count(s).healthy == s->desired;
}

bool service_in_progress(const struct service *s)
{
    const struct slot *slot;
    if (service_is_job(s) || s->stopped || service_failed(s))
        return false;
    if (!s->released || s->renew.wanted || rollout_busy(s))
        return true;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (slot->inst && slot->inst->state == INST_PULLING && slot->restarts == 0)
            return true;
    return false;
}

/* ---- what is to be done ------------------------------------------------------------------- */

static bool slot_wanted(const struct core *c, const struct slot *slot)
{
    const struct service *s = slot->service;
    return slot->index <= s->desired ||
           (slot->index == s->desired + 1 && rollout_wants_surge(s, c->now.mono_ms));
}

static void add_slots(struct core *c, struct service *s)
{
    const struct slot *slot = TAILQ_FIRST(&s->slots); /* they are in order: one walk finds gaps */
    for (uint32_t index = 1; index <= s->desired; index++) {
        if (slot && slot->index == index) {
            slot = TAILQ_NEXT(slot, link);
        } else if (!slot_new(c, s, index)) {
            c->starved = true;
            return;
        }
    }
}

enum drop {
    DROP_SURPLUS, /* what is not wanted */
    DROP_UNMADE,  /* what does not run yet: the rest is still needed by others */
    DROP_ALL,
};

static bool is_dropped(const struct core *c, const struct slot *slot, enum drop which)
{
    bool evidence =
        !service_is_dismissed(slot->service) && slot->service->shutdown && slot_ended(slot);
    bool unmade = !slot->inst || slot->inst->state < INST_STARTING;
    const bool dropped[] = {
        [DROP_SURPLUS] = !slot_wanted(c, slot),
        [DROP_UNMADE] = unmade,
        [DROP_ALL] = true,
    };
    return dropped[which] && !evidence;
}

/* Highest index first. */
static void drop_slots(struct core *c, struct service *s, enum drop which,
                       const struct stop_how *how)
{
    struct slot *slot, *before;
    for (slot = TAILQ_LAST(&s->slots, slot_list); slot; slot = before) {
        before = TAILQ_PREV(slot, slot_list, link);
        if (!is_dropped(c, slot, which))
            continue;
        if (slot->inst) {
            slot_leave(c, slot, how);
            continue;
        }
        slot_free(slot);
        touch_deployment(c, s->deployment);
    }
}

/* Another container of the same slot, found after a restart, is still on its way out. */
static bool has_rival(const struct core *c, const struct slot *slot)
{
    const struct service *s = slot->service;
    const struct instance *i;
    TAILQ_FOREACH (i, &c->moving, moving_link)
        if (!i->owner && !i->ended && i->label.owner == OWNER_REPLICA &&
            i->label.index == slot->index && strcmp(i->label.service, s->name) == 0 &&
            strcmp(i->label.deployment, s->deployment->name) == 0)
            return true;
    return false;
}

static bool may_start(const struct core *c, const struct slot *slot)
{
    return slot->state == SLOT_WAITING && c->now.mono_ms >= slot->restart_at &&
           slot_wanted(c, slot) &&
           (slot->service->released || (slot_outdated(slot) && slot->version.spec)) &&
           !has_rival(c, slot);
}

static void start_slots(struct core *c, struct service *s)
{
    struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (may_start(c, slot))
            slot_start(c, slot);
}

void service_reconcile(struct core *c, struct service *s)
{
    const struct deployment *d = s->deployment;
    if (service_is_job(s)) {
        job_reconcile(c, s);
        return;
    }
    if (service_unwanted(s) || s->absent)
        renewal_drop(s);
    if (service_unwanted(s)) {
        drop_slots(c, s, dependency_holds_back(s) ? DROP_UNMADE : DROP_ALL,
                   d->removing ? &d->remove_how : &s->stop_how);
        return;
    }
    if (!s->absent && !s->released && !s->gave_up)
        dependency_tick(c, s);
    drop_slots(c, s, DROP_SURPLUS, &(struct stop_how){ 0 });
    add_slots(c, s);
    renewal_step(c, s);
    rollout_step(c, s);
    start_slots(c, s);
}

uint64_t service_deadline(const struct service *s, uint64_t now)
{
    const struct slot *slot;
    uint64_t at = dependency_deadline(s, now);
    earlier(&at, renewal_deadline(s));
    TAILQ_FOREACH (slot, &s->slots, link)
        earlier(&at, slot_deadline(slot, now));
    return at;
}
