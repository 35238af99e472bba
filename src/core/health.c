// SPDX-License-Identifier: Apache-2.0
/*
 * UNKNOWN until the first result; CHECKING while it failed but not often enough to be judged;
 * HEALTHY after any success; UNHEALTHY after `retries` failures in a row. Failures inside the start
 * grace do not count. What is to follow from UNHEALTHY (replace, restart) is the owner's business.
 */
#include "core/health.h"

#include "core/emit.h"
#include "core/model/instance.h"
#include "core/model/machine.h"
#include "core/touch.h"

enum {
    PROBE_MARGIN_MS = 2000, /* on top of the probe's own time-out, for the way there and back */
    GRACE_PAUSE_MS = 1000,  /* between probes inside the start grace, at most */
    SICK_PAUSE_MS = 60 * 1000,
    DEFAULT_INTERVAL_MS = 10 * 1000,
    DEFAULT_TIMEOUT_MS = 5 * 1000,
};

static uint64_t interval_of(const struct spec_service *s)
{
    return s->health.interval_ms ? s->health.interval_ms : DEFAULT_INTERVAL_MS;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool has_tcp_target(const struct spec_service *s)
{
    for (size_t i = 0; i < s->n_endpoints; i++)
        if (s->endpoints[i].protocol != SPEC_UDP)
            return true;
    return false;
}

bool health_has_check(const struct spec_service *s)
{
    if (s->health.written && (s->health.check != SPEC_CHECK_TCP || s->health.port))
        return true;
    return has_tcp_target(s);
}

/* The only writer of health.state. */
static void set_state(struct core *c, struct instance *i, enum health_state state)
{
    struct health *h = &i->health;
    if (h->state == state)
        return;
    if (state == HEALTH_UNHEALTHY)
        emit_inst_event(c, "unhealthy", i, "%s-%u: %s", i->label.service, i->label.index,
                        h->reason);
    else if (state == HEALTH_HEALTHY && health_has_check(i->version.service))
        emit_inst_event(c, "healthy", i, "%s-%u", i->label.service, i->label.index);
    h->state = state;
    h->healthy_since = c->now.mono_ms;
    touch_instance(c, i);
}

void health_begin(struct core *c, struct instance *i, uint64_t grace_ms)
{
    struct health *h = &i->health;
    *h = (struct health){ .next_at = NEVER };
    if (!health_has_check(i->version.service)) {
        set_state(c, i, HEALTH_HEALTHY);
        return;
    }
    h->next_at = c->now.mono_ms;
    h->grace_end = c->now.mono_ms + grace_ms;
    h->pause = interval_of(i->version.service);
}

/* The only one that lets h->op go. */
static void probe_done(struct core *c, struct instance *i)
{
    zl_map_remove(&c->probes, &i->by_probe);
    i->health.op = 0;
}

static void forget_probe(struct core *c, struct instance *i)
{
    if (i->health.op)
        emit_request(c, EFF_PROBE_CANCEL, (struct inst_id){ 0 })->op = i->health.op;
    probe_done(c, i);
}

void health_end(struct core *c, struct instance *i)
{
    forget_probe(c, i);
    i->health = (struct health){ .next_at = NEVER };
    touch_instance(c, i);
}

void health_reconfigure(struct core *c, struct instance *i)
{
    struct health *h = &i->health;
    forget_probe(c, i);
    touch_instance(c, i);
    h->failures = 0;
    if (!health_has_check(i->version.service)) {
        h->next_at = NEVER;
        set_state(c, i, HEALTH_HEALTHY);
        return;
    }
    h->next_at = c->now.mono_ms;
    h->pause = interval_of(i->version.service);
}

static void passed_one(struct core *c, struct instance *i)
{
    struct health *h = &i->health;
    h->failures = 0;
    h->reason[0] = '\0';
    h->grace_end = 0; /* from now on failures count */
    h->pause = interval_of(i->version.service);
    h->next_at = c->now.mono_ms + h->pause;
    set_state(c, i, HEALTH_HEALTHY);
}

static void failed_one(struct core *c, struct instance *i, const char *reason)
{
    struct health *h = &i->health;
    const struct spec_service *s = i->version.service;
    uint64_t now = c->now.mono_ms, interval = interval_of(s);
    uint32_t retries = s->health.retries ? s->health.retries : 1;
    why_set(h->reason, "%s", reason);

    if (now < h->grace_end) {
        h->next_at = now + smaller(interval, GRACE_PAUSE_MS);
        set_state(c, i, HEALTH_CHECKING);
        return;
    }
    h->failures++;
    if (h->failures >= retries) {
        uint64_t ceiling = interval > SICK_PAUSE_MS ? interval : SICK_PAUSE_MS;
        h->pause = smaller(h->pause * 2, ceiling);
        set_state(c, i, HEALTH_UNHEALTHY);
    } else if (h->state == HEALTH_UNKNOWN) {
        set_state(c, i, HEALTH_CHECKING);
    }
    h->next_at = now + h->pause;
}

struct instance *health_probed(const struct core *c, uint64_t op)
{
    struct zl_map_node *x = zl_map_find(&c->probes, op);
    return x ? zl_container_of(x, struct instance, by_probe) : NULL;
}

void health_answer(struct core *c, struct instance *i, bool passed, const char *reason)
{
    probe_done(c, i);
    touch_instance(c, i);
    if (passed)
        passed_one(c, i);
    else
        failed_one(c, i, reason && *reason ? reason : "the probe failed");
}

void health_postponed(struct core *c, struct instance *i)
{
    probe_done(c, i);
    touch_instance(c, i);
    i->health.next_at = c->now.mono_ms + interval_of(i->version.service);
}

static void send_probe(struct core *c, struct instance *i)
{
    struct health *h = &i->health;
    const struct spec_service *s = i->version.service;
    uint64_t timeout = s->health.timeout_ms ? s->health.timeout_ms : DEFAULT_TIMEOUT_MS;
    struct effect *e = emit_request(c, EFF_PROBE, i->id);
    e->probe.service = s;
    e->probe.spec = i->version.spec;
    e->probe.label = i->label;
    h->op = e->op;
    zl_map_add(&c->probes, &i->by_probe, h->op);
    h->op_end = c->now.mono_ms + timeout + PROBE_MARGIN_MS;
    h->next_at = NEVER;
}

void health_tick(struct core *c, struct instance *i)
{
    struct health *h = &i->health;
    if (h->op && c->now.mono_ms >= h->op_end) {
        forget_probe(c, i);
        failed_one(c, i, "the probe was not answered");
    }
    if (!h->op && c->now.mono_ms >= h->next_at)
        send_probe(c, i);
}

uint64_t health_deadline(const struct instance *i)
{
    return i->health.op ? i->health.op_end : i->health.next_at;
}
