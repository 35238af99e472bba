// SPDX-License-Identifier: Apache-2.0
/*
 * One step: the event changes facts, then the owners of what changed are asked, again and again,
 * what is to be done about them, until nobody has anything to say. What changed is stored once, at
 * the end.
 */
#include "core/core.h"

#include <string.h>

#include "base/id.h"
#include "base/utf8.h"
#include "core/deployment.h"
#include "core/emit.h"
#include "core/execution.h"
#include "core/health.h"
#include "core/instance.h"
#include "core/model/deployment.h"
#include "core/model/execution.h"
#include "core/model/grave.h"
#include "core/model/instance.h"
#include "core/model/machine.h"
#include "core/model/schedule.h"
#include "core/model/service.h"
#include "core/model/standalone.h"
#include "core/request.h"
#include "core/restore.h"
#include "core/schedule.h"
#include "core/standalone.h"
#include "core/touch.h"

enum {
    PASSES_MAX = 10000,      /* far more than any state needs: a safety net, not a limit */
    EFFECTS_BASE = 64,       /* of one step, at most, … */
    EFFECTS_EACH = 8,        /* … and for each object */
    STARVED_PAUSE_MS = 1000, /* until what had no memory is tried again */
    CLOCK_DRIFT_MS = 1000
};

/* ---- life --------------------------------------------------------------------------------- */

static const struct core_limits defaults = {
    .max_concurrent_starts = 10,
    .stabilize_timeout_ms = 30 * 1000,
    .executions_kept = 10,
    .executions_kept_ms = 3600 * 1000,
};

struct core *core_new(const struct core_limits *limits)
{
    struct core *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    TAILQ_INIT(&c->deployments);
    TAILQ_INIT(&c->standalones);
    TAILQ_INIT(&c->instances);
    TAILQ_INIT(&c->moving);
    TAILQ_INIT(&c->touched_instances);
    TAILQ_INIT(&c->touched_deployments);
    TAILQ_INIT(&c->touched_standalones);
    c->limits = defaults;
    if (!limits)
        return c;
    if (limits->max_concurrent_starts)
        c->limits.max_concurrent_starts = limits->max_concurrent_starts;
    if (limits->stabilize_timeout_ms)
        c->limits.stabilize_timeout_ms = limits->stabilize_timeout_ms;
    if (limits->executions_kept)
        c->limits.executions_kept = limits->executions_kept;
    if (limits->executions_kept_ms)
        c->limits.executions_kept_ms = limits->executions_kept_ms;
    return c;
}

void core_free(struct core *c)
{
    struct instance *i;
    if (!c)
        return;
    core_empty_graves(c);
    while ((i = TAILQ_FIRST(&c->instances))) {
        TAILQ_REMOVE(&c->instances, i, link);
        instance_free(&i->grave);
    }
    deployment_free_all(c);
    standalone_free_all(c);
    emit_free(c);
    timers_done(&c->instance_timers);
    timers_done(&c->deployment_timers);
    timers_done(&c->schedule_timers);
    zl_map_done(&c->instance_ids);
    zl_map_done(&c->standalone_ids);
    zl_map_done(&c->standalone_names);
    zl_map_done(&c->probes);
    free(c);
}

/* ---- what the runtime tells --------------------------------------------------------------- */

static void on_answer(struct core *c, const struct event *ev, struct effects *out)
{
    (void)out;
    struct outcome o = { .failed = ev->answer.failed,
                         .pid = ev->answer.pid,
                         .digest = ev->answer.image_digest };
    if (!ev->answer.op)
        return;
    instance_answer(c, ev->answer.op, &o);
    deployments_answer(c, ev->answer.op, &o);
}

static void on_exited(struct core *c, const struct event *ev, struct effects *out)
{
    (void)out;
    struct instance *i = instance_find(c, ev->exit.id);
    if (!i)
        return;
    if (c->restoring)
        restore_exit(c, i, &ev->exit.exit);
    else
        instance_exited(c, i, &ev->exit.exit);
}

static void on_probe(struct core *c, const struct event *ev, struct effects *out)
{
    (void)out;
    struct instance *i = health_probed(c, ev->probe.op);
    if (i && ev->probe.postponed)
        health_postponed(c, i);
    else if (i)
        health_answer(c, i, ev->probe.passed, ev->probe.reason);
}

static void on_found(struct core *c, const struct event *ev, struct effects *out)
{
    (void)out;
    restore_found(c, ev);
}

static void on_found_end(struct core *c, const struct event *ev, struct effects *out)
{
    (void)out;
    restore_end(c, ev->found_end.rebooted);
}

static void on_time(struct core *c, const struct event *ev, struct effects *out)
{
    (void)c;
    (void)ev;
    (void)out;
}

/* clang-format off */
static const struct {
    const char *name;
    void (*handle)(struct core *c, const struct event *ev, struct effects *out);
    bool by_user;
} events[EV_KINDS] = {
    [EV_TIME]        = { "time",        on_time,        false },
    [EV_DEPLOY]      = { "deploy",      request_deploy,      true },
    [EV_DOWN]        = { "down",        request_down,        true },
    [EV_STOP]        = { "stop",        request_stop,        true },
    [EV_RESTART]     = { "restart",     request_restart,     true },
    [EV_JOB_RUN]     = { "job_run",     request_job_run,     true },
    [EV_CRON_SET]    = { "cron_set",    request_cron_set,    true },
    [EV_RUN]         = { "run",         request_run,         true },
    [EV_INST_STOP]   = { "inst_stop",   request_inst_stop,   true },
    [EV_INST_REMOVE] = { "inst_remove", request_inst_remove, true },
    [EV_ANSWER]      = { "answer",      on_answer,      false },
    [EV_EXIT]        = { "exit",        on_exited,      false },
    [EV_PROBE]       = { "probe",       on_probe,       false },
    [EV_FOUND]       = { "found",       on_found,       false },
    [EV_FOUND_END]   = { "found_end",   on_found_end,   false },
};
/* clang-format on */

const char *event_kind_name(enum event_kind k)
{
    return (unsigned)k < EV_KINDS ? events[k].name : "?";
}

/* ---- the step ----------------------------------------------------------------------------- */

static void reconcile_once(struct core *c)
{
    struct deployment *d, *next_d;
    struct standalone *a, *next_a;
    instances_tick(c);
    for (d = TAILQ_FIRST(&c->touched_deployments); d; d = next_d) {
        next_d = TAILQ_NEXT(d, touched_link);
        deployment_reconcile(c, d);
    }
    for (a = TAILQ_FIRST(&c->touched_standalones); a; a = next_a) {
        next_a = TAILQ_NEXT(a, touched_link);
        standalone_reconcile(c, a);
    }
    instances_admit(c);
}

static void reconcile(struct core *c)
{
    if (c->restoring)
        return;
    c->changed = true;
    for (unsigned pass = 0; c->changed && pass < PASSES_MAX; pass++) {
        c->changed = false;
        reconcile_once(c);
    }
}

static void store_schedules(struct core *c, struct deployment *d)
{
    struct service *s;
    TAILQ_FOREACH (s, &d->services, link) {
        if (!s->schedule || !s->schedule->dirty)
            continue;
        s->schedule->dirty = false;
        emit_store(c, EFF_PUT_CRON)->cron = s->schedule->row;
    }
}

static void store_executions(struct core *c, struct deployment *d)
{
    struct execution *x;
    while ((x = TAILQ_FIRST(&d->dirty_executions))) {
        TAILQ_REMOVE(&d->dirty_executions, x, dirty_link);
        x->dirty = false;
        execution_row(x, &emit_store(c, EFF_PUT_EXECUTION)->execution);
    }
}

static void store_changes(struct core *c)
{
    struct deployment *d;
    struct standalone *a;
    if (c->restoring)
        return;
    TAILQ_FOREACH (d, &c->touched_deployments, touched_link) {
        if (d->dirty)
            emit_store(c, EFF_PUT_DEPLOYMENT)->deployment = *deployment_row(d);
        d->dirty = false;
        store_schedules(c, d);
        store_executions(c, d);
    }
    TAILQ_FOREACH (a, &c->touched_standalones, touched_link) {
        if (!a->dirty)
            continue;
        a->dirty = false;
        standalone_row(a, &emit_store(c, EFF_PUT_STANDALONE)->standalone);
    }
}

/* A deadline that could not be kept is as good as one that is near. */
static void keep_deadline(struct core *c, struct timers *t, struct timer *x, uint64_t at)
{
    if (!timers_set(t, x, at))
        c->starved = true;
}

/* Nothing is touched any more. */
static void set_deadlines(struct core *c)
{
    struct instance *i;
    struct deployment *d;
    struct standalone *a;
    while ((i = TAILQ_FIRST(&c->touched_instances))) {
        uint64_t at = instance_deadline(i);
        untouch_instance(c, i);
        keep_deadline(c, &c->instance_timers, &i->timer, at);
    }
    while ((d = TAILQ_FIRST(&c->touched_deployments))) {
        uint64_t at = deployment_deadline(c, d);
        untouch_deployment(c, d);
        keep_deadline(c, &c->deployment_timers, &d->timer, at);
    }
    while ((a = TAILQ_FIRST(&c->touched_standalones)))
        untouch_standalone(c, a);
}

/* By how much the wall clock was set since the last step, ms; 0: not, or by little, as it is by
 * those who keep it right. */
static int64_t take_time(struct core *c, struct core_now now)
{
    const struct core_now before = c->now;
    if (now.mono_ms > c->now.mono_ms)
        c->now.mono_ms = now.mono_ms;
    c->now.wall_ms = now.wall_ms;
    int64_t set_by = now.wall_ms - before.wall_ms - (int64_t)(c->now.mono_ms - before.mono_ms);
    return set_by > CLOCK_DRIFT_MS || set_by < -CLOCK_DRIFT_MS ? set_by : 0;
}

void core_step(struct core *c, struct core_now now, const struct event *ev, struct effects *out)
{
    memset(&out->refused, 0, sizeof out->refused);
    out->given_id = 0;
    core_empty_graves(c);
    int64_t clock_set_by = take_time(c, now);
    c->random ^= ev->seed;
    bool starved = c->starved;
    c->starved = true;
    if (!emit_begin(c, out, EFFECTS_BASE + EFFECTS_EACH * c->n_objects)) {
        (void)zl_fail(&out->refused, ZL_ERR_SYSTEM, "%s: no memory", event_kind_name(ev->kind));
        return;
    }
    c->starved = false;
    if (starved)
        touch_all(c); /* whatever it was that could not be done */
    touch_due(c);
    if (clock_set_by)
        schedules_clock_was_set(c, clock_set_by);
    if (events[ev->kind].by_user && c->restoring)
        (void)zl_fail(&out->refused, ZL_ERR_CONFLICT,
                      "%s: the agent has just started and still looks for its containers",
                      event_kind_name(ev->kind));
    else
        events[ev->kind].handle(c, ev, out);
    reconcile(c);
    store_changes(c);
    if (!c->restoring)
        set_deadlines(c);
    emit_finish(c, out);
}

static uint64_t first_of(const struct timers *t)
{
    const struct timer *first = timers_first(t);
    return first ? first->at : NEVER;
}

uint64_t core_next_deadline(const struct core *c)
{
    uint64_t at = NEVER;
    if (c->starved)
        at = c->now.mono_ms + STARVED_PAUSE_MS;
    if (c->restoring)
        return NEVER;
    earlier(&at, first_of(&c->instance_timers));
    earlier(&at, first_of(&c->deployment_timers));
    return at;
}

int64_t core_next_wall(const struct core *c)
{
    uint64_t at = c->restoring ? NEVER : first_of(&c->schedule_timers);
    return at == NEVER ? INT64_MAX : (int64_t)at;
}
