// SPDX-License-Identifier: Apache-2.0
#include "core/rollout.h"

#include "core/model/instance.h"
#include "core/model/machine.h"
#include "core/model/service.h"
#include "core/model/slot.h"
#include "core/slot.h"
#include "core/touch.h"

bool rollout_has_begun(const struct service *s)
{
    const struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (slot_up(slot) && !slot_outdated(slot))
            return true;
    return false;
}

bool rollout_busy(const struct service *s)
{
    struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (slot->guarded)
            return true;
    return false;
}

/* One that has ended for good is not waited for. */
static bool all_ready(const struct service *s, uint64_t now)
{
    struct slot *slot;
    uint32_t ready = 0;
    TAILQ_FOREACH (slot, &s->slots, link)
        ready += slot->index <= s->desired && (slot_ready(slot, now) || slot_ended(slot));
    return ready == s->desired;
}

bool rollout_wants_surge(const struct service *s, uint64_t now)
{
    const struct slot *surge = slot_find(s, s->desired + 1);
    if (!surge || slot_outdated(surge))
        return false;
    if (service_first_outdated(s) && !s->rollout_failed && !s->gave_up)
        return true;
    return surge->surge && slot_healthy(surge) &&
           !all_ready(s, now); /* it stands in for one that is missing */
}

static void check_guarded(struct core *c, struct service *s)
{
    struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link) {
        if (!slot->guarded)
            continue;
        if (slot_ready(slot, c->now.mono_ms)) {
            slot_keep(c, slot);
        } else if (c->now.mono_ms >= slot->guard_end && !slot_healthy(slot)) {
            /* one that is healthy by then gets the moment that it takes to count as ready */
            slot_fail_rollout(c, slot,
                              slot->inst && slot->inst->health.reason[0] ? slot->inst->health.reason
                                                                         : "not healthy in time");
            slot_return(c, slot);
        }
    }
}

/* What does not stay up where it is new is not brought to where the old one works. */
static void check_ended(struct core *c, struct service *s)
{
    struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (!s->rollout_failed && slot_ended(slot) && !slot_outdated(slot))
            slot_fail_rollout(c, slot, slot->why);
}

/* While there is something to protect, whatever is new has to prove itself. */
static void guard_new(struct core *c, struct service *s)
{
    struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (!slot->guarded && !slot_outdated(slot) && slot->index <= s->desired + 1 &&
            !slot_ready(slot, c->now.mono_ms))
            slot_guard(c, slot);
}

/* A port of the host cannot be bound twice: the old one has to go first. */
static bool cannot_surge(const struct spec_service *s)
{
    return s->network == SPEC_NET_HOST && s->n_endpoints > 0;
}

static void replace_all(struct core *c, struct service *s)
{
    struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (slot_outdated(slot))
            slot_replace(c, slot, false);
}

static struct slot *first_sick_outdated(const struct service *s)
{
    struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (slot->index <= s->desired && slot_outdated(slot) && !slot_healthy(slot))
            return slot;
    return NULL;
}

/* An old one that runs and has not been judged yet, as after a restart of the agent. */
static bool any_unjudged_outdated(const struct service *s)
{
    struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (slot_outdated(slot) && slot_up(slot) && slot->inst->health.state < HEALTH_HEALTHY)
            return true;
    return false;
}

static bool any_healthy_outdated(const struct service *s)
{
    struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (slot_outdated(slot) && slot_healthy(slot))
            return true;
    return false;
}

static void add_surge(struct core *c, struct service *s)
{
    struct slot *slot = slot_new(c, s, s->desired + 1);
    if (slot)
        slot->surge = true;
    else
        c->starved = true;
}

static void next_replacement(struct core *c, struct service *s)
{
    struct slot *sick = first_sick_outdated(s), *surge = slot_find(s, s->desired + 1);
    if (sick)
        slot_replace(c, sick, true);
    else if (surge ? !slot_outdated(surge) : cannot_surge(s->target.service))
        slot_replace(c, service_first_outdated(s), true);
    else if (!surge) /* else an older one, on its way out */
        add_surge(c, s);
}

void rollout_step(struct core *c, struct service *s)
{
    check_guarded(c, s);
    if (!service_first_outdated(s) || s->rollout_failed || !s->released)
        return;
    struct slot *extra = slot_find(s, s->desired + 1);
    if (extra && !slot_outdated(extra) && !extra->surge) {
        extra->surge = true; /* one that scaling down left over serves as well */
        touch_deployment(c, s->deployment);
    }
    bool unjudged = any_unjudged_outdated(s);
    if (!unjudged && !any_healthy_outdated(s)) { /* nothing to protect, nothing to return to */
        replace_all(c, s);
        return;
    }
    guard_new(c, s);
    check_ended(c, s);
    if (!s->rollout_failed && !unjudged && !rollout_busy(s))
        next_replacement(c, s);
}
