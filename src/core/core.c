// SPDX-License-Identifier: Apache-2.0
/*
 * One step: the event changes facts, then the owners of what changed are asked, again and again,
 * what is to be done about them, until nobody has anything to say. What changed is stored once, at
 * the end.
 */
#include "core/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/utf8.h"
#include "core/deployment.h"
#include "core/emit.h"
#include "core/execution.h"
#include "core/health.h"
#include "core/instance.h"
#include "core/model.h"
#include "core/restore.h"
#include "core/schedule.h"
#include "core/service.h"
#include "core/slot.h"
#include "core/standalone.h"
#include "core/touch.h"

enum {
    PASSES_MAX = 10000,      /* far more than any state needs: a safety net, not a limit */
    EFFECTS_BASE = 64,       /* of one step, at most, … */
    EFFECTS_EACH = 8,        /* … and for each object */
    STARVED_PAUSE_MS = 1000, /* until what had no memory is tried again */
    CLOCK_DRIFT_MS = 1000
};

/* ---- shared by all of core/ --------------------------------------------------------------- */

uint64_t core_random(struct core *c)
{
    uint64_t z;
    do {
        z = c->random += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
    } while (z == 0);
    return z;
}

void core_bury(struct core *c, struct grave *g)
{
    g->next = c->graves;
    c->graves = g;
}

static void empty_graves(struct core *c)
{
    while (c->graves) {
        struct grave *g = c->graves;
        c->graves = g->next;
        g->free(g);
    }
}

void version_set(struct version *v, const struct spec *spec, const struct spec_service *service)
{
    struct spec *ref = spec ? spec_ref(spec) : NULL;
    version_clear(v);
    v->spec = ref;
    v->service = service;
    v->hash = service ? service->container_hash : 0;
}

void version_copy(struct version *to, const struct version *from)
{
    const struct version copy = *from;
    struct spec *ref = copy.spec ? spec_ref(copy.spec) : NULL;
    version_clear(to);
    *to = copy;
    to->spec = ref;
}

/* splitmix64's finalizer over both: another number for each renewal. */
uint64_t core_replica_hash(const struct spec_service *s, uint64_t renewals)
{
    uint64_t h = s->container_hash + renewals * UINT64_C(0x9e3779b97f4a7c15);
    if (!renewals)
        return h;
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

void version_move(struct version *to, struct version *from)
{
    version_clear(to);
    *to = *from;
    *from = (struct version){ 0 };
}

void version_clear(struct version *v)
{
    spec_unref(v->spec);
    *v = (struct version){ 0 };
}

void why_set(char *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(out, WHY_MAX, fmt, ap);
    va_end(ap);
    zl_utf8_mend(out);
}

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
    empty_graves(c);
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

/* ---- what users ask ----------------------------------------------------------------------- */

static void on_deploy(struct core *c, const struct event *ev, struct effects *out)
{
    (void)deployment_deploy(c, ev->deploy.spec, ev->deploy.base_dir, &out->refused);
}

static struct deployment *known(const struct core *c, const char *name, struct zl_error *err)
{
    struct deployment *d = deployment_find(c, name);
    if (!d)
        (void)zl_fail(err, ZL_ERR_NOT_FOUND, "there is no deployment '%s'", name);
    return d;
}

static void on_down(struct core *c, const struct event *ev, struct effects *out)
{
    struct deployment *d = known(c, ev->down.deployment, &out->refused);
    if (d)
        deployment_remove(
            c, d, &(struct stop_how){ .grace_ms = ev->down.grace_ms, .force = ev->down.force });
}

static void on_stop(struct core *c, const struct event *ev, struct effects *out)
{
    struct stop_how how = { .grace_ms = ev->stop.grace_ms, .force = ev->stop.force };
    struct deployment *d = known(c, ev->stop.deployment, &out->refused);
    struct service *s;
    if (!d)
        return;
    const char *name = ev->stop.service;
    s = name ? service_find(d, name) : NULL;
    if (name && (!s || s->absent)) {
        (void)zl_fail(&out->refused, ZL_ERR_NOT_FOUND, "deployment '%s' has no service '%s'",
                      d->name, name);
        return;
    }
    TAILQ_FOREACH (s, &d->services, link)
        if (!s->absent && (!name || strcmp(s->name, name) == 0))
            service_stop(c, s, &how);
    d->dirty = true;
    touch_deployment(c, d);
}

static int restart_replica(struct core *c, struct service *s, uint32_t index, struct zl_error *err)
{
    struct slot *slot = slot_find(s, index);
    if (s->stopped || s->shutdown || s->gave_up)
        return zl_fail(err, ZL_ERR_CONFLICT, "restart '%s-%u': %s %s; restart that", s->name, index,
                       s->name, s->stopped ? "is stopped" : "has failed");
    if (!slot || index > s->desired)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "restart: there is no replica %u of '%s'", index,
                       s->name);
    slot_restart(c, slot);
    return 0;
}

static int restart_service(struct core *c, struct service *s, uint32_t index, struct zl_error *err)
{
    if (s->absent || service_is_job(s))
        return zl_fail(err, ZL_ERR_CONFLICT, "restart '%s': %s", s->name,
                       s->absent ? "it is being removed" : "it is a job; run it again");
    if (index)
        return restart_replica(c, s, index, err);
    return service_restart(c, s) ? 0
                                 : zl_fail(err, ZL_ERR_SYSTEM, "restart '%s': no memory", s->name);
}

static void on_restart(struct core *c, const struct event *ev, struct effects *out)
{
    struct deployment *d = known(c, ev->restart.deployment, &out->refused);
    const char *name = ev->restart.service;
    struct service *s = d && name ? service_find(d, name) : NULL;
    if (d && d->removing)
        (void)zl_fail(&out->refused, ZL_ERR_CONFLICT, "restart '%s': it is being removed", d->name);
    else if (d && name && !s)
        (void)zl_fail(&out->refused, ZL_ERR_NOT_FOUND, "deployment '%s' has no service '%s'",
                      d->name, name);
    if (out->refused.kind != ZL_OK ||
        (s && restart_service(c, s, ev->restart.index, &out->refused) < 0))
        return;
    TAILQ_FOREACH (s, &d->services, link)
        if (!name && !s->absent && !service_is_job(s))
            (void)restart_service(c, s, 0, &out->refused);
    deployment_begin_again(c, d);
    d->dirty = true;
}

/* The job of that name; deployment NULL: the only one that has it. */
static struct service *find_job(const struct core *c, const char *deployment, const char *name,
                                const char *wish, struct zl_error *err)
{
    struct deployment *d;
    struct service *found = NULL;
    TAILQ_FOREACH (d, &c->deployments, link) {
        struct service *s = service_find(d, name);
        if (!s || s->absent || !service_is_job(s) || d->removing ||
            (deployment && strcmp(deployment, d->name) != 0))
            continue;
        if (found) {
            (void)zl_fail(err, ZL_ERR_CONFLICT, "%s '%s': both '%s' and '%s' have one", wish, name,
                          found->deployment->name, d->name);
            return NULL;
        }
        found = s;
    }
    if (!found)
        (void)zl_fail(err, ZL_ERR_NOT_FOUND, "%s '%s': there is no such job%s%s", wish, name,
                      deployment ? " in " : "", deployment ? deployment : "");
    return found;
}

static void on_job_run(struct core *c, const struct event *ev, struct effects *out)
{
    struct service *job =
        find_job(c, ev->job_run.deployment, ev->job_run.job, "run job", &out->refused);
    if (!job)
        return;
    struct execution *x = execution_new(c, job, CAUSE_USER, 0);
    if (!x) {
        (void)zl_fail(&out->refused, ZL_ERR_SYSTEM, "run job '%s': no memory", job->name);
        return;
    }
    out->given_id = x->id;
}

static void on_cron_set(struct core *c, const struct event *ev, struct effects *out)
{
    const char *wish = ev->cron_set.enabled ? "enable cron" : "disable cron";
    struct service *job =
        find_job(c, ev->cron_set.deployment, ev->cron_set.cron, wish, &out->refused);
    if (job && !job->schedule)
        (void)zl_fail(&out->refused, ZL_ERR_INVALID, "%s '%s': it is a job without a schedule",
                      wish, job->name);
    else if (job)
        schedule_enable(c, job->schedule, ev->cron_set.enabled);
}

static void on_run(struct core *c, const struct event *ev, struct effects *out)
{
    struct inst_id id;
    if (standalone_run(c, ev->run.spec, ev->run.text, ev->run.hold, &id, &out->refused) == 0)
        out->given_id = id.v;
}

static struct execution *find_execution(const struct core *c, struct inst_id id)
{
    const struct instance *i = instance_find(c, id);
    if (i && i->label.owner == OWNER_EXECUTION && i->owner)
        return i->execution;
    return execution_find(c, id.v);
}

static void not_found(const struct event *ev, struct effects *out)
{
    char text[ZL_ID_LEN + 1];
    zl_id_format(ev->inst.id.v, text);
    (void)zl_fail(&out->refused, ZL_ERR_NOT_FOUND, "there is no container or execution '%s'", text);
}

static void on_inst_stop(struct core *c, const struct event *ev, struct effects *out)
{
    struct stop_how how = { .grace_ms = ev->inst.grace_ms, .force = ev->inst.force };
    struct standalone *a = standalone_find(c, ev->inst.id);
    struct execution *x = a ? NULL : find_execution(c, ev->inst.id);
    if (a)
        standalone_stop(c, a, &how);
    else if (!x)
        not_found(ev, out);
    else if (execution_terminal(x) && !(how.force && x->inst))
        (void)zl_fail(&out->refused, ZL_ERR_CONFLICT, "cancel '%s': it is %s already", x->display,
                      execution_status_name(x->status));
    else
        execution_cancel(c, x, &how);
}

static void on_inst_remove(struct core *c, const struct event *ev, struct effects *out)
{
    struct stop_how how = { .grace_ms = ev->inst.grace_ms, .force = ev->inst.force };
    struct standalone *a = standalone_find(c, ev->inst.id);
    if (a)
        (void)standalone_remove(c, a, &how, &out->refused);
    else
        not_found(ev, out);
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
    [EV_DEPLOY]      = { "deploy",      on_deploy,      true },
    [EV_DOWN]        = { "down",        on_down,        true },
    [EV_STOP]        = { "stop",        on_stop,        true },
    [EV_RESTART]     = { "restart",     on_restart,     true },
    [EV_JOB_RUN]     = { "job_run",     on_job_run,     true },
    [EV_CRON_SET]    = { "cron_set",    on_cron_set,    true },
    [EV_RUN]         = { "run",         on_run,         true },
    [EV_INST_STOP]   = { "inst_stop",   on_inst_stop,   true },
    [EV_INST_REMOVE] = { "inst_remove", on_inst_remove, true },
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
    empty_graves(c);
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
        touch_done(c);
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
