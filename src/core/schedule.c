// SPDX-License-Identifier: Apache-2.0
#include "core/schedule.h"

#include <string.h>

#include "base/clock.h"
#include "core/emit.h"
#include "core/execution.h"
#include "core/model/deployment.h"
#include "core/model/execution.h"
#include "core/model/machine.h"
#include "core/model/schedule.h"
#include "core/model/service.h"
#include "core/touch.h"

/* What an absent schedule_options means. */
static const struct spec_schedule_options default_options = { .time_zone = "UTC",
                                                              .catch_up_window_ms = 3600 * 1000 };
static const struct inst_id no_inst;

static int64_t floor_s(int64_t ms)
{
    return ms / 1000 - (ms % 1000 < 0);
}

/* "2026-03-29T01:00:00Z" */
struct moment {
    char text[ZL_RFC3339_SIZE];
};
static struct moment moment(int64_t s)
{
    struct moment m;
    (void)zl_format_rfc3339(s * 1000000000, 0, m.text);
    return m;
}

/* ---- life --------------------------------------------------------------------------------- */

/* What was due until now is not looked at again, but what was decided stays so. */
static void resume_now(const struct core *c, struct schedule *h)
{
    int64_t now = floor_s(c->now.wall_ms);
    h->row.cursor_s = now > h->row.cursor_s ? now : h->row.cursor_s;
    h->row.high_s = now > h->row.high_s ? now : h->row.high_s;
    h->skipped_in_a_row = 0;
    h->dirty = true;
    h->armed = false;
}

/* These are other times: nothing of them was decided. */
static void begin_now(const struct core *c, struct schedule *h)
{
    h->row.cursor_s = h->row.high_s = floor_s(c->now.wall_ms);
    resume_now(c, h);
}

/* The expression was checked when the document was read. */
static void read_spec(struct schedule *h)
{
    const struct spec_service *s = h->service->target.service;
    struct cron_flaw flaw;
    h->options = s->schedule_options ? s->schedule_options : &default_options;
    h->zoneless = !h->options->zone && !tz_name_is_utc(h->options->time_zone);
    if (cron_parse(s->schedule, &h->cron, &flaw) < 0)
        h->cron = (struct cron){ 0 }; /* never fires */
}

struct schedule *schedule_new(struct core *c, struct service *s)
{
    struct schedule *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->service = s;
    read_spec(h);
    h->row.deployment = s->deployment->name;
    h->row.cron = s->name;
    h->row.jitter_seed = core_random(c);
    begin_now(c, h);
    return h;
}

void schedule_free(struct schedule *h)
{
    free(h);
}

/* The clock was far ahead, and shows now what it had shown then: that has run. */
static void pass_over_known(const struct core *c, struct schedule *h)
{
    int64_t now = floor_s(c->now.wall_ms), known = h->row.high_s < now ? h->row.high_s : now;
    if (h->row.cursor_s >= known)
        return;
    h->row.cursor_s = known;
    h->dirty = true;
}

void schedule_load(const struct core *c, struct schedule *h, const struct row_cron *row)
{
    const char *deployment = h->row.deployment, *cron = h->row.cron;
    h->row = *row;
    h->row.deployment = deployment;
    h->row.cron = cron;
    h->dirty = false;
    pass_over_known(c, h);
}

bool schedule_is_same(const struct schedule *h, const struct spec_service *s)
{
    const struct spec_schedule_options *o =
        s->schedule_options ? s->schedule_options : &default_options;
    struct cron_flaw flaw;
    struct cron cron;
    return cron_parse(s->schedule, &cron, &flaw) == 0 &&
           memcmp(&cron, &h->cron, sizeof cron) == 0 &&
           strcmp(o->time_zone, h->options->time_zone) == 0;
}

void schedule_retarget(struct core *c, struct schedule *h, const struct schedule_change *how)
{
    read_spec(h);
    h->armed = false;
    if (how->other_times)
        begin_now(c, h);
    else if (how->rested)
        resume_now(c, h);
}

void schedule_enable(struct core *c, struct schedule *h, bool enabled)
{
    const struct service *s = h->service;
    if (h->row.disabled == !enabled)
        return;
    h->row.disabled = !enabled;
    h->dirty = true;
    h->armed = false;
    if (enabled)
        resume_now(c, h);
    emit_event(c, enabled ? "cron_enabled" : "cron_disabled", s->deployment->name, s->name, no_inst,
               "%s", s->name);
    touch_deployment(c, s->deployment);
}

void schedule_note_run(struct schedule *h, const struct execution *x)
{
    h->row.last_run_ms = x->created_ms;
    h->row.last_execution = x->id;
    h->dirty = true;
}

/* ---- due times ---------------------------------------------------------------------------- */

struct due {
    int64_t s;     /* that the expression names */
    int64_t at_ms; /* when it is to run: that, and the jitter */
};

/* The same for a due time whenever it is asked, and less than the distance to the next one. The
 * finalizer of splitmix64. */
static struct due due_of(const struct schedule *h, int64_t s)
{
    uint64_t most = h->options->jitter_ms, z = h->row.jitter_seed + (uint64_t)s;
    int64_t next;
    if (most && cron_next(&h->cron, h->options->zone, s, &next) &&
        (uint64_t)(next - s) * 1000 < most)
        most = (uint64_t)(next - s) * 1000;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (struct due){ s, s * 1000 + (most ? (int64_t)(z % most) : 0) };
}

static bool next_due(const struct schedule *h, struct due *ret)
{
    int64_t s;
    if (!cron_next(&h->cron, h->options->zone, h->row.cursor_s, &s))
        return false;
    *ret = due_of(h, s);
    return true;
}

/* The latest undecided one up to `until` that is to run by now. */
static bool last_due(const struct core *c, const struct schedule *h, int64_t until, struct due *ret)
{
    int64_t s;
    while (cron_last(&h->cron, h->options->zone, h->row.cursor_s, until, &s)) {
        *ret = due_of(h, s);
        if (ret->at_ms <= c->now.wall_ms)
            return true;
        until = s - 1; /* the one before it is: no jitter is as long as that distance */
    }
    return false;
}

static bool is_late(const struct core *c, const struct due *d)
{
    return c->now.wall_ms - d->at_ms > SCHEDULE_ON_TIME_MS;
}

/* In time, or to be made up for. */
static bool may_run(const struct core *c, const struct schedule *h, const struct due *d)
{
    const struct spec_schedule_options *o = h->options;
    return !is_late(c, d) || (o->catch_up != SPEC_CATCH_UP_NONE &&
                              (uint64_t)(c->now.wall_ms - d->at_ms) <= o->catch_up_window_ms);
}

/* Those that run, the newest first; of several that are replaced by the next one, only that. */
static size_t gather(const struct core *c, const struct schedule *h, struct due d,
                     struct due v[SCHEDULE_ALL_MAX])
{
    bool all =
        h->options->catch_up == SPEC_CATCH_UP_ALL && h->options->overlap != SPEC_OVERLAP_REPLACE;
    size_t n = 0, most = all ? SCHEDULE_ALL_MAX : 1;
    bool more = true;
    while (more && n < most && may_run(c, h, &d)) {
        v[n++] = d;
        more = n < most && last_due(c, h, d.s - 1, &d);
    }
    return n;
}

/* ---- decisions ---------------------------------------------------------------------------- */

static void set_cursor(struct schedule *h, int64_t s)
{
    h->row.cursor_s = s;
    h->row.high_s = s > h->row.high_s ? s : h->row.high_s;
    h->dirty = true;
}

/* Due times before `first` that do not run. */
static void note_missed(struct core *c, struct schedule *h, int64_t first)
{
    const struct service *s = h->service;
    int64_t at = h->row.cursor_s, last = at;
    uint64_t n = 0;
    while (n <= SCHEDULE_MISSED_MAX && cron_next(&h->cron, h->options->zone, at, &at) &&
           at < first) {
        last = at;
        n++;
    }
    if (n == 0)
        return;
    bool over = n > SCHEDULE_MISSED_MAX;
    if (over)
        (void)cron_last(&h->cron, h->options->zone, last, first - 1, &last);
    n -= over;
    h->row.missed += n;
    emit_event(c, "cron_missed", s->deployment->name, s->name, no_inst,
               "%s: %s%llu run%s up to that of %s %s missed, and not made up for", s->name,
               over ? "over " : "", (unsigned long long)n, n == 1 ? "" : "s", moment(last).text,
               n == 1 ? "was" : "were");
}

/* Told at the first of a row, and whenever their number has doubled. */
static void skip(struct core *c, struct schedule *h, const struct due *d)
{
    const struct service *s = h->service;
    uint64_t n = ++h->skipped_in_a_row;
    h->row.skipped++;
    h->dirty = true;
    if ((n & (n - 1)) == 0)
        emit_event(c, "cron_skipped", s->deployment->name, s->name, no_inst,
                   "%s: the run of %s is skipped, since another goes on (%llu in a row)", s->name,
                   moment(d->s).text, (unsigned long long)n);
}

/* False: no memory, and nothing has happened. */
static bool fire(struct core *c, struct schedule *h, const struct due *d, bool busy)
{
    struct service *s = h->service;
    const struct spec_schedule_options *o = h->options;
    bool late = is_late(c, d);
    /* those that are made up for, all of them, wait for each other */
    if (busy && o->overlap == SPEC_OVERLAP_FORBID && !(late && o->catch_up == SPEC_CATCH_UP_ALL)) {
        skip(c, h, d);
        return true;
    }
    struct execution *x = execution_new(c, s, CAUSE_SCHEDULE, d->s * 1000);
    if (!x)
        return false;
    schedule_note_run(h, x);
    h->row.runs++;
    h->skipped_in_a_row = 0;
    emit_event(c, "cron_run", s->deployment->name, s->name, (struct inst_id){ x->id },
               "%s: the run of %s%s", s->name, moment(d->s).text, late ? ", late" : "");
    if (o->overlap == SPEC_OVERLAP_REPLACE) {
        char why[WHY_MAX];
        why_set(why, "replaced by the run of %s", moment(d->s).text);
        execution_replace_others(c, x, why);
    }
    return true;
}

static void decide(struct core *c, struct schedule *h, const struct due *last)
{
    struct due runs[SCHEDULE_ALL_MAX];
    size_t n = gather(c, h, *last, runs);
    int64_t first = n ? runs[n - 1].s : last->s + 1;
    bool busy = execution_any_busy(h->service);
    note_missed(c, h, first);
    set_cursor(h, first - 1);
    for (; n > 0; n--) {
        if (!fire(c, h, &runs[n - 1], busy)) {
            c->starved = true;
            return;
        }
        set_cursor(h, runs[n - 1].s);
    }
}

/* ---- a clock that is set back ------------------------------------------------------------- */

/* For how long what the clock shows counts as shown again, seconds: a rhythm does not pause for
 * more than one of its beats. */
static int64_t patience(const struct schedule *h, int64_t now)
{
    int64_t one, two;
    if (!cron_is_rhythm(&h->cron) || !cron_next(&h->cron, h->options->zone, now, &one) ||
        !cron_next(&h->cron, h->options->zone, one, &two))
        return SCHEDULE_BACK_MAX_S;
    int64_t beat = two - one;
    if (beat < SCHEDULE_BACK_MIN_S)
        return SCHEDULE_BACK_MIN_S;
    return beat < SCHEDULE_BACK_MAX_S ? beat : SCHEDULE_BACK_MAX_S;
}

static void mind_clock(struct core *c, struct schedule *h)
{
    const struct service *s = h->service;
    int64_t now = floor_s(c->now.wall_ms), ahead = h->row.cursor_s - now;
    if (ahead <= 0 || ahead <= patience(h, now))
        return;
    emit_event(c, "cron_clock", s->deployment->name, s->name, no_inst,
               "%s: the clock shows %s and has shown %s: the schedule starts over", s->name,
               moment(now).text, moment(h->row.cursor_s).text);
    h->row.cursor_s = now;
    h->dirty = true;
}

void schedules_clock_was_set(struct core *c, int64_t by_ms)
{
    struct deployment *d;
    struct service *s;
    TAILQ_FOREACH (d, &c->deployments, link) {
        TAILQ_FOREACH (s, &d->services, link) {
            if (!s->schedule)
                continue;
            if (by_ms > 0)
                pass_over_known(c, s->schedule);
            s->schedule->armed = false;
            touch_deployment(c, d);
        }
    }
}

/* ---- the step ----------------------------------------------------------------------------- */

static void arm(struct core *c, struct schedule *h)
{
    struct due d;
    uint64_t at = next_due(h, &d) && d.at_ms > 0 ? (uint64_t)d.at_ms : NEVER;
    h->armed = timers_set(&c->schedule_timers, &h->timer, at);
    c->starved |= !h->armed;
}

void schedule_rest(struct core *c, struct schedule *h)
{
    (void)timers_set(&c->schedule_timers, &h->timer, NEVER); /* taking out needs no memory */
    h->armed = false;
}

static bool is_resting(const struct schedule *h)
{
    return h->row.disabled || h->service->stopped || h->zoneless;
}

void schedule_step(struct core *c, struct schedule *h)
{
    struct due d;
    if (is_resting(h)) {
        schedule_rest(c, h);
        return;
    }
    if (h->armed)
        return;
    mind_clock(c, h);
    if (last_due(c, h, floor_s(c->now.wall_ms), &d))
        decide(c, h, &d);
    arm(c, h);
}

bool schedule_overlaps(const struct schedule *h)
{
    return h->options->overlap == SPEC_OVERLAP_ALLOW;
}

int64_t schedule_next_ms(const struct schedule *h)
{
    return h->armed && h->timer.pos ? (int64_t)h->timer.at : INT64_MAX;
}

const char *schedule_why(const struct schedule *h)
{
    if (h->zoneless)
        return "this host has no table of its time zone";
    if (h->service->stopped)
        return "stopped until the next deploy";
    if (h->row.disabled)
        return "disabled";
    return h->armed && !h->timer.pos ? "its schedule names no time any more" : "";
}
