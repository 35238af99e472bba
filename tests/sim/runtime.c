// SPDX-License-Identifier: Apache-2.0
#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* clang-format off */
const struct image images[] = {
    /* name         good   pulls  starts life  code healthy warm-up stubborn */
    { "ok-1",       true,  true,  true,  0,    0,   true,   0,      false },
    { "ok-2",       true,  true,  true,  0,    0,   true,   0,      false },
    { "ok-3",       true,  true,  true,  0,    0,   true,   0,      true },
    { "slow",       true,  true,  true,  0,    0,   true,   3000,   false },
    { "crash",      false, true,  true,  700,  1,   true,   0,      false },
    { "done",       false, true,  true,  2500, 0,   true,   0,      false },
    { "sick",       false, true,  true,  0,    0,   false,  0,      false },
    { "missing",    false, false, true,  0,    0,   true,   0,      false },
    { "no-command", false, true,  false, 0,    0,   true,   0,      false },
    { "job-ok",     true,  true,  true,  900,  0,   true,   0,      false },
    { "job-long",   true,  true,  true,  400000, 0, true,   0,      false },
    { "job-fails",  false, true,  true,  300,  3,   true,   0,      false },
};
/* clang-format on */
const size_t n_images = ZL_ARRAY_LEN(images);

const struct image *image_named(const char *name)
{
    for (size_t i = 0; i < n_images; i++)
        if (strcmp(images[i].name, name) == 0)
            return &images[i];
    abort();
}

/* ---- items -------------------------------------------------------------------------------- */

static struct item *put(struct world *w, enum item_kind kind, uint64_t delay_ms)
{
    if (w->n_items == ITEMS_MAX)
        abort();
    struct item *it = &w->items[w->n_items++];
    memset(it, 0, sizeof *it);
    it->kind = kind;
    it->at = w->mono_ms + delay_ms;
    it->order = ++w->orders;
    return it;
}

static void drop_if(struct world *w, bool (*is)(const struct item *it, const void *arg),
                    const void *arg)
{
    for (size_t i = 0; i < w->n_items;) {
        if (is(&w->items[i], arg))
            w->items[i] = w->items[--w->n_items];
        else
            i++;
    }
}

static bool is_effect_on(const struct item *it, const void *id)
{
    return it->kind == ITEM_EFFECT && it->id.v == ((const struct inst_id *)id)->v &&
           it->request != EFF_PULL;
}

static bool is_probe_op(const struct item *it, const void *op)
{
    return it->kind == ITEM_PROBE && it->op == *(const uint64_t *)op;
}

static bool is_of_agent(const struct item *it, const void *unused)
{
    (void)unused;
    return it->generation != 0;
}

bool world_has_requests(const struct world *w)
{
    for (size_t i = 0; i < w->n_items; i++)
        if (w->items[i].kind != ITEM_PROBE)
            return true;
    return false;
}

/* ---- requests ----------------------------------------------------------------------------- */

static uint64_t latency(struct world *w, enum effect_kind kind)
{
    static const uint64_t most[EFF_KINDS] = {
        [EFF_PULL] = 800, [EFF_CREATE] = 20, [EFF_START] = 20,  [EFF_STOP] = 5,
        [EFF_KILL] = 5,   [EFF_REMOVE] = 30, [EFF_PROBE] = 200,
    };
    uint64_t ms = 1 + rng_below(&w->rng, most[kind]);
    if (w->faults && rng_one_in(&w->rng, kind == EFF_PULL ? 200 : 25))
        ms *= 1 + rng_below(&w->rng, 5000); /* far beyond every deadline */
    return ms;
}

/* Requests for one container happen in the order they were made; a removal overtakes them all. */
static uint64_t not_before(const struct world *w, const struct effect *e)
{
    uint64_t at = 0;
    for (size_t i = 0; i < w->n_items; i++) {
        const struct item *it = &w->items[i];
        if (e->kind != EFF_REMOVE && is_effect_on(it, &e->inst) && it->at > at)
            at = it->at;
    }
    return at;
}

static struct container container_of(const struct effect *e)
{
    const struct inst_label *l = &e->create.label;
    const struct spec_service *s = e->create.service;
    struct container c = {
        .id = e->inst,
        .owner = l->owner,
        .index = l->index,
        .execution = l->execution,
        .spec_hash = l->spec_hash,
        .image = image_named(s->image.name),
        .interval_ms = s->health.interval_ms,
        .checked = s->health.written && l->owner == OWNER_REPLICA,
        .retries = s->health.retries,
        .state = C_CREATED,
    };
    (void)snprintf(c.digest, sizeof c.digest, "%s",
                   e->create.image_digest ? e->create.image_digest : "");
    (void)snprintf(c.deployment, sizeof c.deployment, "%s", l->deployment);
    (void)snprintf(c.service, sizeof c.service, "%s", l->service);
    return c;
}

/* What goes wrong with a request, by lot. */
static bool goes_wrong(struct world *w, struct item *it)
{
    if (!w->faults)
        return false;
    it->fails = rng_one_in(&w->rng, 15);
    if (rng_one_in(&w->rng, 20))
        it->how = ANSWER_TWICE;
    uint64_t rarely = it->request == EFF_PULL ? 20 : 1; /* nothing is waited for longer */
    if (rng_one_in(&w->rng, 40 * rarely))
        it->how = ANSWER_NEVER;
    return rng_one_in(&w->rng, 50 * rarely); /* lost on the way: no effect, no answer */
}

static void note_unwanted(struct world *w, const struct effect *e)
{
    struct container *c = world_container(w, e->inst);
    if (e->kind != EFF_STOP && e->kind != EFF_KILL && e->kind != EFF_REMOVE)
        return;
    if (c)
        c->unwanted = true;
    for (size_t i = 0; i < w->n_items; i++) /* one that is still to be made */
        if (is_effect_on(&w->items[i], &e->inst))
            w->items[i].wanted.unwanted = true;
}

void runtime_begin(struct world *w, const struct effect *e)
{
    if (e->kind == EFF_PROBE_CANCEL) {
        drop_if(w, is_probe_op, &e->op);
        return;
    }
    check_begun(w, e);
    note_unwanted(w, e);
    struct item it = { .request = e->kind, .op = e->op, .id = e->inst };
    if (goes_wrong(w, &it))
        return;
    uint64_t earliest = not_before(w, e);
    struct item *n = put(w, e->kind == EFF_PROBE ? ITEM_PROBE : ITEM_EFFECT, latency(w, e->kind));
    n->generation = w->generation;
    n->request = it.request;
    n->op = it.op;
    n->id = it.id;
    n->fails = it.fails;
    n->how = it.how;
    if (n->at < earliest)
        n->at = earliest;
    if (e->kind == EFF_CREATE)
        n->wanted = container_of(e);
    if (e->kind == EFF_STOP) {
        n->grace_ms = e->stop.grace_ms;
        n->signal = e->stop.signal;
    }
    if (e->kind == EFF_PULL) {
        n->text = image_named(e->pull.image)->name;
        n->policy = e->pull.policy;
        (void)snprintf(n->digest, sizeof n->digest, "%s", e->pull.digest ? e->pull.digest : "");
    }
}

static void answer(struct world *w, const struct item *rq, uint64_t delay, enum zl_err_kind err,
                   const char *text)
{
    int times = rq->how == ANSWER_NEVER ? 0 : rq->how == ANSWER_TWICE ? 2 : 1;
    if (rq->generation != w->generation || !w->core)
        return;
    while (times-- > 0) {
        struct item *a = put(w, ITEM_ANSWER, delay + rng_below(&w->rng, 3));
        a->generation = rq->generation;
        a->request = rq->request;
        a->op = rq->op;
        a->id = rq->id;
        a->ok = err == ZL_OK;
        a->err = err;
        a->text = text;
        memcpy(a->digest, rq->digest, sizeof a->digest);
    }
}

/* ---- what containers do ------------------------------------------------------------------- */

static void process_ends(struct world *w, struct container *c, struct inst_exit exit,
                         uint64_t delay)
{
    struct item *end = put(w, ITEM_END, delay);
    end->id = c->id;
    end->exit = exit;
}

static void has_ended(struct world *w, struct container *c, struct inst_exit exit)
{
    if (c->state != C_RUNNING)
        return;
    exit.wall_ms = world_now(w).wall_ms;
    c->state = exit.lost ? C_DEBRIS : C_EXITED;
    c->exit = exit;
    world_log(w, "  %s-%u (%llx) ends: code %d%s", c->service, c->index,
              (unsigned long long)c->id.v, exit.code, exit.lost ? ", its monitor is lost" : "");
    if (!w->core)
        return;
    struct item *told = put(w, ITEM_EXIT, rng_below(&w->rng, 4));
    told->generation = w->generation;
    told->id = c->id;
    told->exit = exit;
}

static void misbehaves(struct world *w, struct container *c)
{
    uint64_t when = rng_below(&w->rng, 20000);
    struct inst_exit crash = { .code = 1 };
    if (rng_one_in(&w->rng, 4))
        crash = (struct inst_exit){ .code = 137, .signal = 9, .oom = true };
    else if (rng_one_in(&w->rng, 4))
        crash = (struct inst_exit){ .code = 255, .lost = true };
    process_ends(w, c, crash, when);
}

/* ---- requests take effect ----------------------------------------------------------------- */

/* What the name means by the policy; the local store follows. */
static void resolve(struct world *w, struct item *rq)
{
    size_t i = (size_t)(image_named(rq->text) - images);
    uint32_t *local = &w->tags.local[i];
    if (rq->policy != SPEC_PULL_IF_NOT_PRESENT || !*local)
        *local = w->tags.published[i] + 1;
    (void)snprintf(rq->digest, sizeof rq->digest, "%s as of %u", rq->text, *local);
}

void world_move_tag(struct world *w)
{
    size_t i = rng_below(&w->rng, n_images);
    w->tags.published[i]++;
    world_log(w, "%s is pushed anew", images[i].name);
}

static void do_pull(struct world *w, struct item *rq)
{
    bool there = image_named(rq->text)->pulls;
    if (there && !rq->fails && !rq->digest[0])
        resolve(w, rq);
    answer(w, rq, 0,
           rq->fails ? ZL_ERR_UNREACHABLE
           : there   ? ZL_OK
                     : ZL_ERR_NOT_FOUND,
           "no such image");
}

static void do_create(struct world *w, struct item *rq)
{
    if (world_container(w, rq->id)) {
        answer(w, rq, 0, ZL_ERR_EXISTS, "exists");
        return;
    }
    if (!rq->fails) {
        wish_health(w, world_add(w, &rq->wanted), false); /* the document may be newer */
    } else if (rng_one_in(&w->rng, 2)) {
        rq->wanted.state = C_DEBRIS;
        (void)world_add(w, &rq->wanted);
    }
    answer(w, rq, 0, rq->fails ? ZL_ERR_SYSTEM : ZL_OK, "no space");
}

static void do_start(struct world *w, struct item *rq)
{
    struct container *c = world_container(w, rq->id);
    if (!c || c->state != C_CREATED || rq->fails || !c->image->starts) {
        answer(w, rq, 0, ZL_ERR_NOT_FOUND, "no such command");
        return;
    }
    c->state = C_RUNNING;
    c->started_at = w->mono_ms;
    c->started_wall_ms = world_now(w).wall_ms;
    check_started(w, c);
    if (c->image->life_ms)
        process_ends(w, c, (struct inst_exit){ .code = c->image->code },
                     rng_below(&w->rng, c->image->life_ms));
    if (w->faults && rng_one_in(&w->rng, 5))
        misbehaves(w, c);
    answer(w, rq, 0, ZL_OK, NULL);
}

static void do_stop(struct world *w, struct item *rq)
{
    struct container *c = world_container(w, rq->id);
    if (!c || rq->fails || c->state == C_CREATED || c->state == C_DEBRIS) {
        answer(w, rq, 0, ZL_ERR_CONFLICT, "not running");
        return;
    }
    uint64_t delay = 0;
    if (c->state == C_RUNNING) {
        bool killed = c->image->stubborn || rq->grace_ms == 0;
        delay = killed ? rq->grace_ms : rng_below(&w->rng, 100);
        process_ends(w, c,
                     (struct inst_exit){ .code = killed ? 137 : 143, .signal = killed ? 9 : 15 },
                     delay);
    }
    answer(w, rq, delay, ZL_OK, NULL);
}

static void do_kill(struct world *w, struct item *rq)
{
    struct container *c = world_container(w, rq->id);
    if (!c || rq->fails || c->state != C_RUNNING) {
        answer(w, rq, 0, ZL_ERR_CONFLICT, "not running");
        return;
    }
    has_ended(w, c, (struct inst_exit){ .code = 137, .signal = 9 });
    answer(w, rq, 0, ZL_OK, NULL);
}

static void do_remove(struct world *w, struct item *rq)
{
    struct container *c = world_container(w, rq->id);
    drop_if(w, is_effect_on, &rq->id);
    if (c && c->state == C_RUNNING && (!rq->fails || rng_one_in(&w->rng, 2)))
        has_ended(w, c, (struct inst_exit){ .code = 137, .signal = 9 });
    if (c && !rq->fails)
        world_drop(w, c);
    answer(w, rq, 0, rq->fails ? ZL_ERR_SYSTEM : ZL_OK, "device or resource busy");
}

static void takes_effect(struct world *w, struct item *rq)
{
    static void (*const effects[EFF_KINDS])(struct world *, struct item *) = {
        [EFF_PULL] = do_pull, [EFF_CREATE] = do_create, [EFF_START] = do_start,
        [EFF_STOP] = do_stop, [EFF_KILL] = do_kill,     [EFF_REMOVE] = do_remove,
    };
    effects[rq->request](w, rq);
}

/* ---- what core is told -------------------------------------------------------------------- */

static void tell_answer(struct world *w, const struct item *it)
{
    struct zl_error err;
    struct event ev = { .kind = EV_ANSWER, .answer = { .op = it->op } };
    if (!it->ok) {
        (void)zl_fail(&err, it->err, "%s", it->text);
        ev.answer.failed = &err;
    }
    ev.answer.pid = it->request == EFF_START ? 100 : 0;
    ev.answer.image_digest = it->ok && it->request == EFF_PULL ? it->digest : NULL;
    world_log(w, "%s of %llx: %s", effect_kind_name(it->request), (unsigned long long)it->id.v,
              it->ok ? "done" : it->text);
    struct container *c = world_container(w, it->id);
    if (c && it->ok && it->request == EFF_START && !c->told_end)
        c->known_up = true;
    world_step(w, &ev);
}

static void tell_probe(struct world *w, const struct item *it)
{
    struct container *c = world_container(w, it->id);
    bool passed = c && c->state == C_RUNNING && c->image->healthy && !it->fails &&
                  w->mono_ms - c->started_at >= c->image->warm_up_ms;
    if (it->how == ANSWER_NEVER)
        return;
    if (c) {
        c->failures = passed ? 0 : c->failures + 1;
        c->healthy = passed || (c->healthy && c->failures < c->retries);
    }
    struct event ev = { .kind = EV_PROBE, .probe = { it->op, passed, passed ? NULL : "refused" } };
    world_step(w, &ev);
}

static void tell_exit(struct world *w, const struct item *it)
{
    struct container *c = world_container(w, it->id);
    struct event ev = { .kind = EV_EXIT, .exit = { it->id, it->exit } };
    if (c)
        check_ended(w, c);
    world_step(w, &ev);
}

static void end_by_itself(struct world *w, const struct item *it)
{
    struct container *c = world_container(w, it->id);
    if (c)
        has_ended(w, c, it->exit);
}

static void effect_happens(struct world *w, const struct item *it)
{
    struct item rq = *it;
    takes_effect(w, &rq);
}

void runtime_happens(struct world *w, const struct item *it)
{
    static void (*const happens[ITEM_KINDS])(struct world *, const struct item *) = {
        [ITEM_EFFECT] = effect_happens, [ITEM_ANSWER] = tell_answer, [ITEM_PROBE] = tell_probe,
        [ITEM_END] = end_by_itself,     [ITEM_EXIT] = tell_exit,
    };
    happens[it->kind](w, it);
}

/* ---- deaths ------------------------------------------------------------------------------- */

/* A request that was under way when the agent died. */
static void settle_request(struct world *w, const struct item *it)
{
    struct item rq = *it;
    rq.how = ANSWER_NEVER;
    if (rng_one_in(&w->rng, 2)) {
        takes_effect(w, &rq);
    } else if (rq.request == EFF_CREATE && rng_one_in(&w->rng, 3) && !world_container(w, rq.id)) {
        rq.wanted.state = C_DEBRIS;
        (void)world_add(w, &rq.wanted);
    }
}

void runtime_forget_agent(struct world *w)
{
    struct item pending[ITEMS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < w->n_items; i++)
        if (w->items[i].kind == ITEM_EFFECT)
            pending[n++] = w->items[i];
    drop_if(w, is_of_agent, NULL);
    for (size_t i = 0; i < n; i++)
        settle_request(w, &pending[i]);
}

void runtime_reboot(struct world *w)
{
    w->n_items = 0;
    for (size_t i = 0; i < w->n_containers; i++) {
        struct container *c = &w->containers[i];
        bool durable = c->owner != OWNER_REPLICA && c->state == C_EXITED;
        if (!durable)
            c->state = C_DEBRIS;
    }
}

void world_put_stray(struct world *w)
{
    if (!w->n_containers || w->n_containers > CONTAINERS_MAX / 2)
        return;
    struct container c = w->containers[rng_below(&w->rng, w->n_containers)];
    c.id.v = rng_next(&w->rng);
    c.stray = true;
    if (c.owner == OWNER_EXECUTION || rng_one_in(&w->rng, 3))
        (void)snprintf(c.deployment, sizeof c.deployment, "%s", "nobodys");
    (void)world_add(w, &c);
}

void world_lose_one(struct world *w)
{
    if (!w->n_containers)
        return;
    struct container *c = &w->containers[rng_below(&w->rng, w->n_containers)];
    const struct stored_execution *x = store_execution(&w->store, c->execution);
    if (c->owner == OWNER_EXECUTION && x && x->row.status == EXEC_PENDING)
        return; /* nobody could know that it ran */
    world_log(w, "%s-%u (%llx) is removed by hand", c->service, c->index,
              (unsigned long long)c->id.v);
    world_drop(w, c);
}
