// SPDX-License-Identifier: Apache-2.0
#include "core/dependency.h"

#include <string.h>

#include "core/emit.h"
#include "core/execution.h"
#include "core/model/deployment.h"
#include "core/model/machine.h"
#include "core/model/service.h"
#include "core/model/slot.h"
#include "core/slot.h"
#include "core/touch.h"

/* How many replicas run, and how many of them are healthy. */
struct counts {
    uint32_t up, healthy;
};

static struct counts count(const struct service *s)
{
    struct counts n = { 0 };
    const struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link) {
        n.up += slot_up(slot);
        n.healthy += slot_healthy(slot);
    }
    return n;
}

static bool is_started(const struct service *s)
{
    return count(s).up > 0;
}

static bool is_healthy(const struct service *s)
{
    return s->desired > 0 && count(s).healthy >= s->desired;
}

/* Whoever has endpoints is reachable as soon as one replica is healthy. */
static bool is_ready(const struct service *s)
{
    return s->target.service->n_endpoints ? count(s).healthy > 0 : is_healthy(s);
}

typedef bool (*holds_fn)(const struct service *s);

static const holds_fn service_holds[] = {
    [SPEC_STARTED] = is_started,
    [SPEC_HEALTHY] = is_healthy,
    [SPEC_READY] = is_ready,
};
static const holds_fn job_holds[] = {
    [SPEC_STARTED] = execution_has_started,
    [SPEC_HEALTHY] = execution_has_completed,
    [SPEC_READY] = execution_has_completed,
};

static bool holds(const struct service *s, enum spec_condition condition)
{
    bool service = s->target.service->rtype == SPEC_SERVICE;
    return (service ? service_holds : job_holds)[condition](s);
}

static void settle(struct core *c, struct service *s)
{
    s->settled_at = c->now.mono_ms;
    s->wait_deadline = NEVER;
    touch_deployment(c, s->deployment);
}

bool dependency_wait(struct core *c, struct service *s, size_t n)
{
    bool *waived = calloc(n + 1, sizeof *waived);
    if (!waived)
        return false;
    free(s->waived);
    s->waived = waived;
    s->released = s->gave_up = false;
    s->wait_since = c->now.mono_ms;
    s->settled_at = 0;
    s->wait_deadline = NEVER;
    s->why[0] = '\0';
    touch_deployment(c, s->deployment);
    return true;
}

void dependency_skip(struct core *c, struct service *s)
{
    s->released = true;
    settle(c, s);
}

static void give_up(struct core *c, struct service *s)
{
    s->gave_up = true;
    settle(c, s);
}

/* When the wait for this dependency ends; NEVER: its clock has not begun. */
static uint64_t end_of_wait(const struct service *s, const struct service *on,
                            const struct spec_depends *d)
{
    uint64_t begin = s->wait_since;
    if (on && !on->stopped && !on->shutdown) {
        if (!on->settled_at)
            return NEVER;
        if (on->settled_at > begin)
            begin = on->settled_at;
    }
    return begin + d->timeout_ms;
}

/* Deals with one that timed out; true: it is not waited for any more. */
static bool timed_out(struct core *c, struct service *s, const struct spec_depends *d)
{
    char text[WHY_MAX];
    bool fails = d->on_timeout == SPEC_TIMEOUT_FAIL;
    why_set(text, "%s%.80s waited for %.80s to be %s, in vain for %llu s",
            fails ? "E-DEP-TIMEOUT: " : "", s->name, d->service, spec_condition_name(d->condition),
            (unsigned long long)(d->timeout_ms / 1000));
    if (d->on_timeout != SPEC_TIMEOUT_CONTINUE)
        emit_event(c, "dependency_timeout", s->deployment->name, s->name, (struct inst_id){ 0 },
                   "%s", text);
    if (!fails)
        return true;
    (void)memcpy(s->why, text, sizeof text);
    give_up(c, s);
    return false;
}

void dependency_tick(struct core *c, struct service *s)
{
    const struct spec_service *service = s->target.service;
    bool blocked = false;
    s->wait_deadline = NEVER;
    for (size_t k = 0; k < service->n_depends && !s->gave_up; k++) {
        const struct spec_depends *d = &service->depends[k];
        const struct service *on = service_find(s->deployment, d->service);
        if (s->waived[k] || (on && holds(on, d->condition)))
            continue;
        uint64_t end = end_of_wait(s, on, d);
        if (c->now.mono_ms >= end && timed_out(c, s, d)) {
            s->waived[k] = true;
            continue;
        }
        if (!blocked && !s->gave_up)
            why_set(s->why, "waits for %.200s to be %s", d->service,
                    spec_condition_name(d->condition));
        blocked = true;
        earlier(&s->wait_deadline, end);
    }
    if (blocked || s->gave_up)
        return;
    s->released = true;
    s->why[0] = '\0';
    settle(c, s);
}

uint64_t dependency_deadline(const struct service *s, uint64_t now)
{
    bool waits = !s->released && !s->gave_up && s->wait_deadline > now;
    return waits ? s->wait_deadline : NEVER; /* one in the past: nobody wants it at present */
}

static bool depends_on(const struct service *s, const struct service *on)
{
    const struct spec_service *service = s->target.service;
    for (size_t k = 0; k < service->n_depends; k++)
        if (strcmp(service->depends[k].service, on->name) == 0)
            return true;
    return false;
}

void dependency_note(struct deployment *d)
{
    struct service *s, *on;
    TAILQ_FOREACH (s, &d->services, link)
        s->depended_on = false;
    TAILQ_FOREACH (s, &d->services, link) {
        const struct spec_service *service = s->target.service;
        for (size_t k = 0; !s->absent && k < service->n_depends; k++)
            TAILQ_FOREACH (on, &d->services, link)
                on->depended_on |= strcmp(on->name, service->depends[k].service) == 0;
    }
}

bool dependency_is_needed(const struct service *s)
{
    const struct service *other;
    if (!s->depended_on)
        return false;
    TAILQ_FOREACH (other, &s->deployment->services, link)
        if (other != s && !other->absent && !other->stopped && depends_on(other, s))
            return true;
    return false;
}

/* An ended container that is kept needs nobody any more. */
static bool has_running_slots(const struct service *s)
{
    const struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (!slot_ended(slot))
            return true;
    return false;
}

bool dependency_holds_back(const struct service *s)
{
    const struct service *other;
    TAILQ_FOREACH (other, &s->deployment->services, link)
        if (other != s && service_unwanted(other) && has_running_slots(other) &&
            depends_on(other, s))
            return true;
    return false;
}
