// SPDX-License-Identifier: Apache-2.0
#include "user.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "doc.h"

static const char *const deployments[] = { "shop", "blog" };
static const char *const services[] = { "db", "api", "web", "mail" };
static const char *const jobs[] = { "migrate", "report", "nightly" };
static const char *const names[] = { "one", "two", "three" };

static const char *pick(struct rng *r, const char *const *v, size_t n)
{
    return v[rng_below(r, n)];
}
#define PICK(r, v) pick(r, v, ZL_ARRAY_LEN(v))

/* ---- documents ---------------------------------------------------------------------------- */

static const char *pick_image(struct rng *r)
{
    static const char *const good[] = { "ok-1", "ok-2", "ok-3", "slow" };
    static const char *const bad[] = { "crash", "done", "sick", "missing", "no-command" };
    return rng_one_in(r, 6) ? PICK(r, bad) : PICK(r, good);
}

static void pick_depends(struct rng *r, struct spec_service *list, size_t n,
                         struct spec_depends *room)
{
    struct spec_service *s = &list[n];
    s->depends = room;
    for (size_t i = 0; i < n && s->n_depends < 2; i++) {
        if (!rng_one_in(r, 3))
            continue;
        room[s->n_depends++] = (struct spec_depends){
            .service = list[i].name,
            .index = i,
            .condition = (enum spec_condition)rng_below(r, 3),
            .timeout_ms = 5000 + rng_below(r, 40000),
            .on_timeout = (enum spec_on_timeout)rng_below(r, 3),
        };
    }
}

static void pick_policies(struct rng *r, struct spec_service *s)
{
    if (rng_one_in(r, 5))
        s->restart.kind = (enum spec_restart)rng_below(r, 5);
    if (s->restart.kind == SPEC_RESTART_ON_FAILURE && rng_one_in(r, 2))
        s->restart.max_attempts = 2;
    if (rng_one_in(r, 8))
        s->on_panic = (enum spec_panic)rng_below(r, 3);
    if (rng_one_in(r, 10))
        s->network = SPEC_NET_HOST;
    if (rng_one_in(r, 3))
        s->image.pull = rng_one_in(r, 2) ? SPEC_PULL_ALWAYS : SPEC_PULL_NEWER;
    s->stop_grace_ms = 1000 + rng_below(r, 9000);
}

static struct spec_service pick_cron(struct rng *r)
{
    static const char *const schedules[] = { "0 */5 * * * *", "30 0 * * * *", "0 0 3 * * *",
                                             "0 15,45 * ? * MON-FRI" };
    static const char *const work[] = { "job-ok", "job-ok", "job-long", "job-fails" };
    enum { MINUTE = 60 * 1000 };
    static const struct spec_schedule_options options[] = {
        { "UTC", NULL, SPEC_OVERLAP_ALLOW, SPEC_CATCH_UP_ALL, 60 * MINUTE, 0 },
        { "UTC", NULL, SPEC_OVERLAP_REPLACE, SPEC_CATCH_UP_ONE, 600 * MINUTE, 0 },
        { "UTC", NULL, SPEC_OVERLAP_FORBID, SPEC_CATCH_UP_NONE, 60 * MINUTE, 0 },
        { "UTC", NULL, SPEC_OVERLAP_FORBID, SPEC_CATCH_UP_ALL, 20 * MINUTE, 2 * MINUTE },
    };
    size_t k = rng_below(r, ZL_ARRAY_LEN(options) + 1);
    return doc_cron("nightly", PICK(r, work), PICK(r, schedules),
                    k < ZL_ARRAY_LEN(options) ? &options[k] : NULL);
}

static struct spec *make_document(struct rng *r, const char *deployment)
{
    static const struct spec_endpoint port = { .name = "http", .port = 80, .target_port = 80 };
    struct spec_service list[DOC_SERVICES];
    struct spec_depends room[DOC_SERVICES][DOC_DEPENDS];
    size_t n = 0;
    if (rng_one_in(r, 3)) {
        list[n] = doc_job(jobs[rng_below(r, 2)], rng_one_in(r, 4) ? "job-fails" : "job-ok");
        n++;
    }
    if (rng_one_in(r, 3))
        list[n++] = pick_cron(r);
    for (size_t i = 0; i < ZL_ARRAY_LEN(services); i++) {
        if (rng_one_in(r, 3))
            continue;
        struct spec_service s =
            rng_one_in(r, 2) ? doc_checked(services[i], pick_image(r), (uint32_t)rng_below(r, 4))
                             : doc_service(services[i], pick_image(r), (uint32_t)rng_below(r, 4));
        if (s.health.written && rng_one_in(r, 2)) {
            s.endpoints = &port;
            s.n_endpoints = 1;
        }
        pick_policies(r, &s);
        list[n] = s;
        pick_depends(r, list, n, room[n]);
        n++;
    }
    if (n == 0)
        list[n++] = doc_service("db", "ok-1", 1);
    return doc_new(deployment, list, n);
}

/* ---- requests ----------------------------------------------------------------------------- */

static void deploy(struct world *w, struct spec *spec)
{
    struct event ev = { .kind = EV_DEPLOY, .deploy.spec = spec };
    world_step(w, &ev);
}

static void user_deploys(struct world *w)
{
    struct spec *spec = make_document(&w->rng, PICK(&w->rng, deployments));
    deploy(w, spec);
    spec_unref(spec);
}

static void user_deploys_again(struct world *w)
{
    const struct wish *d = wish_find(w->checks, PICK(&w->rng, deployments));
    if (!d)
        return;
    struct spec *spec = spec_ref(d->spec);
    deploy(w, spec);
    spec_unref(spec);
}

static void user_removes(struct world *w)
{
    const char *name = PICK(&w->rng, deployments);
    struct event ev = { .kind = EV_DOWN, .down.deployment = name };
    ev.down.force = rng_one_in(&w->rng, 4);
    world_step(w, &ev);
}

static void user_stops(struct world *w)
{
    const char *name = PICK(&w->rng, deployments);
    struct event ev = { .kind = EV_STOP, .stop.deployment = name };
    ev.stop.service = rng_one_in(&w->rng, 4) ? NULL : PICK(&w->rng, services);
    ev.stop.force = rng_one_in(&w->rng, 4);
    world_step(w, &ev);
}

static void user_runs_job(struct world *w)
{
    struct event ev = { .kind = EV_JOB_RUN, .job_run = { NULL, PICK(&w->rng, jobs) } };
    world_step(w, &ev);
}

static void user_sets_cron(struct world *w)
{
    struct event ev = { .kind = EV_CRON_SET, .cron_set = { NULL, "nightly", false } };
    ev.cron_set.enabled = !rng_one_in(&w->rng, 3);
    world_step(w, &ev);
}

static void user_runs(struct world *w)
{
    struct spec_service s =
        doc_service(PICK(&w->rng, names), images[rng_below(&w->rng, n_images)].name, 1);
    s.delete_on_exit = rng_one_in(&w->rng, 3);
    struct spec *spec = doc_new("-", &s, 1);
    struct event ev = { .kind = EV_RUN, .run = { spec, "", rng_one_in(&w->rng, 4) } };
    world_step(w, &ev);
    spec_unref(spec);
}

/* One that is stored: a container or an execution. */
static struct inst_id pick_id(struct world *w)
{
    uint64_t from = rng_below(&w->rng, ROWS_MAX);
    for (size_t i = 0; i < ROWS_MAX && rng_one_in(&w->rng, 2); i++) {
        const struct stored_execution *x = &w->store.executions[(from + i) % ROWS_MAX];
        if (x->used)
            return (struct inst_id){ x->row.id };
    }
    for (size_t i = 0; i < ZL_ARRAY_LEN(w->store.standalones); i++)
        if (w->store.standalones[i].used && rng_one_in(&w->rng, 2))
            return w->store.standalones[i].row.id;
    return (struct inst_id){ 1 + rng_below(&w->rng, 5) };
}

static void user_restarts(struct world *w)
{
    const char *name = PICK(&w->rng, deployments);
    struct event ev = { .kind = EV_RESTART, .restart.deployment = name };
    ev.restart.service = rng_one_in(&w->rng, 4) ? NULL : PICK(&w->rng, services);
    if (ev.restart.service && rng_one_in(&w->rng, 2))
        ev.restart.index = 1 + (uint32_t)rng_below(&w->rng, 3);
    world_step(w, &ev);
}

static void user_stops_one(struct world *w)
{
    struct event ev = { .kind = EV_INST_STOP, .inst.id = pick_id(w) };
    ev.inst.force = rng_one_in(&w->rng, 4);
    world_step(w, &ev);
}

static void user_removes_one(struct world *w)
{
    struct event ev = { .kind = EV_INST_REMOVE, .inst.id = pick_id(w) };
    ev.inst.force = rng_one_in(&w->rng, 2);
    world_step(w, &ev);
}

void user_acts(struct world *w)
{
    static void (*const acts[])(struct world *) = {
        user_deploys, user_deploys,   user_deploys,     user_deploys_again, user_deploys_again,
        user_removes, user_stops,     user_runs_job,    user_runs_job,      user_runs,
        user_runs,    user_stops_one, user_removes_one, user_sets_cron,     user_restarts,
    };
    acts[rng_below(&w->rng, ZL_ARRAY_LEN(acts))](w);
}
