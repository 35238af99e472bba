// SPDX-License-Identifier: Apache-2.0
/*
 * Time, the agent's life and death, and the way of events to core and of effects back. What
 * requests do to containers is in runtime.c.
 */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "check.h"
#include "core/touch.h"
#include "digest.h"
#include "runtime.h"

enum { AGENT_DIES_ONE_IN = 70, LATE_MS = 3000, LOOK_EVERY = 3 };

/* ---- randomness: xorshift64* --------------------------------------------------------------- */

uint64_t rng_next(struct rng *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(2685821657736338717);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    return n ? (rng_next(r) >> 16) % n : 0;
}

bool rng_one_in(struct rng *r, uint64_t n)
{
    return n && rng_below(r, n) == 0;
}

/* ---- life --------------------------------------------------------------------------------- */

void world_init(struct world *w, uint64_t seed, struct checks *checks, bool verbose)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->rng.state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (int i = 0; i < 4; i++)
        (void)rng_next(&w->rng);
    w->mono_ms = 1000 + rng_below(&w->rng, 1000000);
    w->wall_offset_ms = INT64_C(1700000000000);
    w->checks = checks;
    w->verbose = verbose;
    w->generation = 1;
    w->digest = ZL_HASH_START;
    w->core = core_new(NULL);
    if (!w->core)
        abort();
}

void world_done(struct world *w)
{
    core_free(w->core);
    effects_done(&w->out);
    store_clear(&w->store);
}

struct core_now world_now(const struct world *w)
{
    return (struct core_now){ w->mono_ms, (int64_t)w->mono_ms + w->wall_offset_ms };
}

void world_log(const struct world *w, const char *fmt, ...)
{
    va_list ap;
    if (!w->verbose)
        return;
    printf("%4zu %9llu ", w->steps, (unsigned long long)w->mono_ms);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

/* ---- containers --------------------------------------------------------------------------- */

struct container *world_container(struct world *w, struct inst_id id)
{
    for (size_t i = 0; i < w->n_containers; i++)
        if (w->containers[i].id.v == id.v)
            return &w->containers[i];
    return NULL;
}

struct container *world_add(struct world *w, const struct container *like)
{
    if (w->n_containers == CONTAINERS_MAX)
        abort();
    struct container *c = &w->containers[w->n_containers++];
    *c = *like;
    return c;
}

void world_drop(struct world *w, struct container *c)
{
    *c = w->containers[--w->n_containers];
}

/* ---- a step of core ----------------------------------------------------------------------- */

static void log_step(const struct world *w, const struct event *ev)
{
    if (!w->verbose)
        return;
    world_log(w, "-> %s%s%s", event_kind_name(ev->kind), w->out.refused.kind ? ": refused: " : "",
              w->out.refused.kind ? w->out.refused.msg : "");
    for (size_t i = 0; i < w->out.n; i++) {
        const struct effect *e = &w->out.v[i];
        if (e->kind == EFF_EVENT)
            world_log(w, "     . %s: %s", e->event.type, e->event.text);
        else if (e->kind == EFF_CREATE)
            world_log(w, "     + create op %llu inst %llx %s/%s-%u hash %llx of %s",
                      (unsigned long long)e->op, (unsigned long long)e->inst.v,
                      e->create.label.deployment, e->create.label.service, e->create.label.index,
                      (unsigned long long)e->create.label.spec_hash,
                      e->create.image_digest ? e->create.image_digest : "its name");
        else
            world_log(w, "     %s %s op %llu inst %llx", i < w->out.commit ? "=" : "+",
                      effect_kind_name(e->kind), (unsigned long long)e->op,
                      (unsigned long long)e->inst.v);
    }
}

/* Before anything is stored: as many of them as chance has it. */
static void carry_out_early(struct world *w)
{
    for (size_t i = w->out.commit; i < w->out.n; i++)
        if (w->out.v[i].early && rng_one_in(&w->rng, 2))
            runtime_begin(w, &w->out.v[i]);
}

static void carry_out(struct world *w, const struct event *ev, size_t upto)
{
    wish_granted(w, ev);
    for (size_t i = 0; i < upto; i++) {
        const struct effect *e = &w->out.v[i];
        if (i < w->out.commit) {
            check_store(w, e);
            store_apply(&w->store, e);
        } else {
            runtime_begin(w, e);
        }
    }
}

/* Whoever has something to do was touched by what happened: looking at all others finds nothing. */
static void check_overlooked(struct world *w)
{
    struct effects more = { 0 };
    const struct event look = { .kind = EV_TIME };
    touch_all(w->core);
    core_step(w->core, world_now(w), &look, &more);
    if (more.n > 0)
        violation(w, "%s was overlooked", effect_kind_name(more.v[0].kind));
    effects_done(&more);
}

void world_step(struct world *w, struct event *ev)
{
    ev->seed = rng_next(&w->rng);
    w->steps++;
    core_step(w->core, world_now(w), ev, &w->out);
    w->digest = digest_step(w->digest, ev, w->core, &w->out);
    log_step(w, ev);
    check_effects(w, ev);
    if (w->checks->violations)
        return; /* what follows is of no use any more */
    if (w->faults && rng_one_in(&w->rng, AGENT_DIES_ONE_IN)) {
        size_t prefix = rng_below(&w->rng, w->out.n + 1);
        if (prefix >= w->out.commit) /* a part of a transaction is none of it */
            carry_out(w, ev, prefix);
        else
            carry_out_early(w);
        world_log(w, "the agent dies after %zu of %zu effects", prefix, w->out.n);
        world_kill_agent(w);
    } else {
        carry_out(w, ev, w->out.n);
        if (w->steps % LOOK_EVERY == 0)
            check_overlooked(w);
    }
    check_step(w);
}

/* ---- the agent ---------------------------------------------------------------------------- */

void world_kill_agent(struct world *w)
{
    core_free(w->core);
    w->core = NULL;
    effects_done(&w->out);
    runtime_forget_agent(w);
}

static size_t rows_of_store(struct world *w, struct stored_rows *ret)
{
    static struct row_deployment deployments[8];
    static struct row_execution executions[ROWS_MAX];
    static struct row_standalone standalones[16];
    static struct row_cron crons[CRONS_MAX];
    *ret = (struct stored_rows){ .deployments = deployments,
                                 .executions = executions,
                                 .standalones = standalones,
                                 .crons = crons };
    for (size_t i = 0; i < CRONS_MAX; i++)
        if (w->store.crons[i].used)
            crons[ret->n_crons++] = w->store.crons[i].row;
    for (size_t i = 0; i < ZL_ARRAY_LEN(w->store.deployments); i++)
        if (w->store.deployments[i].used)
            deployments[ret->n_deployments++] = w->store.deployments[i].row;
    for (size_t i = 0; i < ROWS_MAX; i++)
        if (w->store.executions[i].used)
            executions[ret->n_executions++] = w->store.executions[i].row;
    for (size_t i = 0; i < ZL_ARRAY_LEN(w->store.standalones); i++)
        if (w->store.standalones[i].used)
            standalones[ret->n_standalones++] = w->store.standalones[i].row;
    return ret->n_deployments;
}

static bool tell_found(struct world *w, struct container *c)
{
    static const enum found_state states[] = {
        [C_CREATED] = FOUND_CREATED,
        [C_RUNNING] = FOUND_RUNNING,
        [C_EXITED] = FOUND_EXITED,
        [C_DEBRIS] = FOUND_DEBRIS,
    };
    struct event ev = { .kind = EV_FOUND };
    ev.found.id = c->id;
    ev.found.label = (struct inst_label){ c->owner, c->deployment, c->service,  "default",
                                          c->index, c->execution,  c->spec_hash };
    ev.found.image_digest = c->digest[0] ? c->digest : NULL;
    ev.found.state = states[c->state];
    ev.found.pid = c->state == C_RUNNING ? 100 : 0;
    ev.found.started_wall_ms = c->started_wall_ms;
    ev.found.exit = c->exit;
    c->known_up = c->state == C_RUNNING;
    wish_health(w, c, true);
    c->healthy = false;
    c->failures = 0;
    c->unwanted = false;
    check_found(w, c);
    world_step(w, &ev);
    return w->core != NULL;
}

void world_start_agent(struct world *w)
{
    struct stored_rows rows;
    struct zl_error err;
    size_t order[CONTAINERS_MAX], n = w->n_containers;
    (void)rows_of_store(w, &rows);
    w->generation++;
    w->last_op_seen = 0;
    w->core = core_new(NULL);
    if (!w->core || core_restore(w->core, &rows, world_now(w), &err) < 0)
        abort();
    world_log(w, "the agent starts");
    check_agent_started(w);
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n; i > 1; i--) { /* they are found in any order */
        size_t j = rng_below(&w->rng, i), other = order[j];
        order[j] = order[i - 1];
        order[i - 1] = other;
    }
    for (size_t i = 0; i < n; i++)
        if (!tell_found(w, &w->containers[order[i]]))
            return;
    struct event end = { .kind = EV_FOUND_END, .found_end.rebooted = w->rebooted };
    w->rebooted = false;
    world_step(w, &end);
}

void world_reboot(struct world *w)
{
    world_log(w, "the host is restarted");
    runtime_reboot(w);
    w->rebooted = true;
}

/* ---- time --------------------------------------------------------------------------------- */

static struct item *first_item(struct world *w)
{
    struct item *first = NULL;
    for (size_t i = 0; i < w->n_items; i++) {
        struct item *it = &w->items[i];
        if (!first || it->at < first->at || (it->at == first->at && it->order < first->order))
            first = it;
    }
    return first;
}

/* The next deadline of core by either clock, as mono. */
static uint64_t next_deadline(const struct world *w)
{
    uint64_t at = core_next_deadline(w->core);
    int64_t wall = core_next_wall(w->core);
    if (wall == INT64_MAX)
        return at;
    int64_t mono = wall - w->wall_offset_ms;
    return (uint64_t)mono < at ? (uint64_t)mono : at; /* it lies in the future: check_effects */
}

void world_set_clock(struct world *w, int64_t by_ms)
{
    struct event ev = { .kind = EV_TIME };
    w->wall_offset_ms += by_ms;
    world_log(w, "the clock is set by %lld ms", (long long)by_ms);
    if (w->core)
        world_step(w, &ev);
}

bool world_advance(struct world *w)
{
    struct item *it = first_item(w);
    uint64_t deadline = w->core ? next_deadline(w) : UINT64_MAX;
    if (!it && deadline == UINT64_MAX)
        return false;
    if (it && it->at <= deadline) {
        struct item now = *it;
        *it = w->items[--w->n_items];
        if (now.at > w->mono_ms)
            w->mono_ms = now.at;
        runtime_happens(w, &now);
        return true;
    }
    if (deadline > w->mono_ms)
        w->mono_ms = deadline;
    if (w->faults && rng_one_in(&w->rng, 10))
        w->mono_ms += rng_below(&w->rng, LATE_MS);
    struct event ev = { .kind = EV_TIME };
    world_step(w, &ev);
    return true;
}
