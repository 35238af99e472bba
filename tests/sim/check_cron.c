// SPDX-License-Identifier: Apache-2.0
/*
 * Schedules, judged by what the world knows: the clock it has set, the documents, what is stored.
 * Which times an expression names is asked of spec/cron, whose oracle is tests/unit/spec/cron.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "core/schedule.h"
#include "spec/time/cron.h"

enum { COUNT_MAX = SCHEDULE_MISSED_MAX };

static const struct spec_schedule_options by_default = { .time_zone = "UTC",
                                                         .catch_up_window_ms = 3600 * 1000 };

struct rule { /* what the document says of a cron */
    struct cron cron;
    const struct spec_schedule_options *options;
};

static bool rule_of(const struct world *w, const struct event *ev, const char *deployment,
                    const char *cron, struct rule *ret)
{
    const struct wish *wish = wish_find(w->checks, deployment);
    const struct spec *spec = wish ? wish->spec : NULL;
    struct cron_flaw flaw;
    if (ev && ev->kind == EV_DEPLOY && strcmp(ev->deploy.spec->deployment, deployment) == 0)
        spec = ev->deploy.spec;
    for (size_t i = 0; spec && i < spec->n_services; i++) {
        const struct spec_service *s = &spec->services[i];
        if (strcmp(s->name, cron) != 0 || s->rtype != SPEC_CRON)
            continue;
        ret->options = s->schedule_options ? s->schedule_options : &by_default;
        return cron_parse(s->schedule, &ret->cron, &flaw) == 0;
    }
    return false;
}

static bool names(const struct rule *r, int64_t due_s)
{
    int64_t at;
    return cron_next(&r->cron, r->options->zone, due_s - 1, &at) && at == due_s;
}

/* How many it names in (after, until], up to COUNT_MAX + 1. */
static uint64_t count(const struct rule *r, int64_t after, int64_t until)
{
    uint64_t n = 0;
    while (n <= COUNT_MAX && cron_next(&r->cron, r->options->zone, after, &after) && after <= until)
        n++;
    return n;
}

static int64_t wall_s(const struct world *w)
{
    return world_now(w).wall_ms / 1000;
}

/* ---- what runs ---------------------------------------------------------------------------- */

static bool ends_now(const struct world *w, uint64_t execution)
{
    for (size_t i = 0; i < w->out.commit; i++) {
        const struct effect *e = &w->out.v[i];
        if (e->kind == EFF_PUT_EXECUTION && e->execution.id == execution)
            return e->execution.status != EXEC_PENDING && e->execution.status != EXEC_RUNNING;
    }
    return false;
}

/* One that is stored, has not ended, and does not end in this step. */
static bool another_goes_on(const struct world *w, const struct row_execution *x)
{
    for (size_t i = 0; i < ROWS_MAX; i++) {
        const struct stored_execution *o = &w->store.executions[i];
        if (o->used && strcmp(o->job, x->job) == 0 && strcmp(o->deployment, x->deployment) == 0 &&
            (o->row.status == EXEC_PENDING || o->row.status == EXEC_RUNNING) &&
            !ends_now(w, o->row.id))
            return true;
    }
    return false;
}

/* Each due time becomes one execution: unless the clock was set back by more than a minute since,
 * and has come there again by itself. */
static void check_once(struct world *w, const struct row_execution *x)
{
    struct checks *k = w->checks;
    struct rule r;
    bool late =
        rule_of(w, NULL, x->deployment, x->job, &r) &&
        world_now(w).wall_ms - x->due_ms > SCHEDULE_ON_TIME_MS + (int64_t)r.options->jitter_ms;
    size_t kept = k->n_fired < FIRED_MAX ? k->n_fired : FIRED_MAX;
    for (size_t i = 0; i < kept; i++) {
        const struct fired *f = &k->fired[i];
        if (f->due_s * 1000 != x->due_ms || strcmp(f->cron, x->job) != 0 ||
            strcmp(f->deployment, x->deployment) != 0 || f->life != k->life)
            continue;
        if (late || f->wall_offset_ms - w->wall_offset_ms < SCHEDULE_BACK_MIN_S * 1000)
            violation(w, "%s/%s runs a second time for %lld", x->deployment, x->job,
                      (long long)(x->due_ms / 1000));
    }
    struct fired *f = &k->fired[k->n_fired++ % FIRED_MAX];
    *f = (struct fired){ .due_s = x->due_ms / 1000,
                         .wall_offset_ms = w->wall_offset_ms,
                         .life = k->life };
    (void)snprintf(f->cron, sizeof f->cron, "%s", x->job);
    (void)snprintf(f->deployment, sizeof f->deployment, "%s", x->deployment);
}

static void check_fired(struct world *w, const struct event *ev, const struct row_execution *x)
{
    struct rule r;
    if (!rule_of(w, ev, x->deployment, x->job, &r)) {
        violation(w, "%s/%s runs, and no document says when", x->deployment, x->job);
        return;
    }
    const struct spec_schedule_options *o = r.options;
    int64_t age = world_now(w).wall_ms - x->due_ms;
    bool late = age > SCHEDULE_ON_TIME_MS + (int64_t)o->jitter_ms;
    uint64_t window = o->catch_up == SPEC_CATCH_UP_NONE ? 0 : o->catch_up_window_ms;
    if (x->due_ms % 1000 || !names(&r, x->due_ms / 1000))
        violation(w, "%s/%s runs for %lld, which its schedule does not name", x->deployment, x->job,
                  (long long)x->due_ms);
    if (age < 0)
        violation(w, "%s/%s runs %lld ms early", x->deployment, x->job, (long long)-age);
    if (late && (uint64_t)age > window + o->jitter_ms)
        violation(w, "%s/%s runs %lld ms late", x->deployment, x->job, (long long)age);
    /* perhaps late: how long the jitter was is not known here */
    bool queues = age > SCHEDULE_ON_TIME_MS && o->catch_up == SPEC_CATCH_UP_ALL;
    if (o->overlap == SPEC_OVERLAP_FORBID && !queues && another_goes_on(w, x))
        violation(w, "%s/%s runs while another run goes on", x->deployment, x->job);
}

/* A cron with other times begins anew. */
static bool changes_times(struct world *w, const struct row_deployment *now)
{
    const struct stored_deployment *was = store_deployment(&w->store, now->name);
    for (size_t i = 0; was && i < was->row.spec->n_services; i++) {
        const struct spec_service *a = &was->row.spec->services[i];
        for (size_t k = 0; a->schedule && k < now->spec->n_services; k++) {
            const struct spec_service *b = &now->spec->services[k];
            if (b->schedule && strcmp(a->name, b->name) == 0 &&
                strcmp(a->schedule, b->schedule) != 0)
                return true;
        }
    }
    return false;
}

void check_schedule_stored(struct world *w, const struct effect *e)
{
    if (e->kind == EFF_PUT_DEPLOYMENT && changes_times(w, &e->deployment))
        w->checks->life++;
    if (e->kind == EFF_PUT_EXECUTION && e->execution.cause == CAUSE_SCHEDULE &&
        !store_execution(&w->store, e->execution.id))
        check_once(w, &e->execution);
    if (e->kind == EFF_DEL_CRON)
        w->checks->life++;
}

/* ---- what is counted ---------------------------------------------------------------------- */

static uint64_t decided(const struct row_cron *r)
{
    return r->runs + r->missed + r->skipped;
}

/* Every due time that the cursor passes over is counted, once. A user's wish may begin anew. */
static void check_cursor(struct world *w, const struct event *ev, const struct row_cron *now)
{
    const struct stored_cron *was = store_cron(&w->store, now->deployment, now->cron);
    bool by_user = ev->kind == EV_DEPLOY || ev->kind == EV_CRON_SET;
    struct rule r;
    if (!was || by_user || !rule_of(w, ev, now->deployment, now->cron, &r))
        return;
    if (now->cursor_s < was->row.cursor_s && was->row.cursor_s - wall_s(w) <= SCHEDULE_BACK_MIN_S)
        violation(w, "%s/%s starts over, and the clock was not set back", now->deployment,
                  now->cron);
    if (now->cursor_s < was->row.cursor_s || was->row.cursor_s < was->row.high_s)
        return;
    uint64_t passed = count(&r, was->row.cursor_s, now->cursor_s);
    if (passed <= COUNT_MAX && decided(now) - decided(&was->row) != passed)
        violation(w, "%s/%s: %llu due times have passed, and %llu are counted", now->deployment,
                  now->cron, (unsigned long long)passed,
                  (unsigned long long)(decided(now) - decided(&was->row)));
}

void check_schedules(struct world *w, const struct event *ev)
{
    w->checks->finding = ev->kind == EV_FOUND;
    for (size_t i = 0; i < w->out.commit; i++) {
        const struct effect *e = &w->out.v[i];
        if (e->kind == EFF_PUT_EXECUTION && e->execution.cause == CAUSE_SCHEDULE &&
            !store_execution(&w->store, e->execution.id))
            check_fired(w, ev, &e->execution);
        if (e->kind == EFF_PUT_CRON)
            check_cursor(w, ev, &e->cron);
    }
}

/* ---- what is armed ------------------------------------------------------------------------ */

static bool look_at_cron(void *arg, const struct view_cron *v)
{
    struct world *w = arg;
    const struct wish *wish = wish_find(w->checks, v->row->deployment);
    const struct stored_cron *stored = store_cron(&w->store, v->row->deployment, v->row->cron);
    struct rule r;
    int64_t due;
    if (!stored || stored->row.cursor_s != v->row->cursor_s || stored->row.runs != v->row->runs ||
        stored->row.disabled != v->row->disabled)
        violation(w, "%s/%s has decided what is not stored", v->row->deployment, v->row->cron);
    if (!wish || wish->removing || !rule_of(w, NULL, v->row->deployment, v->row->cron, &r))
        return true;
    bool ever = cron_next(&r.cron, r.options->zone, v->row->cursor_s, &due);
    bool rests = v->why[0] || !ever;
    if (ever && strcmp(v->why, "its schedule names no time any more") == 0)
        violation(w, "%s/%s is due at %lld, and armed for never", v->row->deployment, v->row->cron,
                  (long long)due);
    if (!rests && v->row->cursor_s > wall_s(w) + SCHEDULE_BACK_MAX_S)
        violation(w, "%s/%s is silent for more than three hours", v->row->deployment, v->row->cron);
    if (rests != (v->next_ms == INT64_MAX))
        violation(w, "%s/%s runs next at %lld: %s", v->row->deployment, v->row->cron,
                  (long long)v->next_ms, v->why);
    else if (!rests &&
             (v->next_ms < due * 1000 || v->next_ms > due * 1000 + (int64_t)r.options->jitter_ms))
        violation(w, "%s/%s is due at %lld, and armed for %lld", v->row->deployment, v->row->cron,
                  (long long)due, (long long)v->next_ms);
    return true;
}

void check_cron_views(struct world *w)
{
    if (w->core && !w->checks->finding)
        core_each_cron(w->core, NULL, look_at_cron, w);
}
