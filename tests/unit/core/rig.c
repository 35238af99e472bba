// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig *rig_new(void)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->documents = doc_live();
    r->core = core_new(NULL);
    assert_non_null(r->core);
    r->now = (struct core_now){ .mono_ms = 1000000, .wall_ms = INT64_C(1700000000000) };
    return r;
}

void rig_free(struct rig *r)
{
    core_free(r->core);
    effects_done(&r->out);
    size_t before = r->documents;
    free(r);
    assert_int_equal(doc_live(), before);
}

/* ---- effects ------------------------------------------------------------------------------ */

static void copy(char *out, size_t size, const char *text)
{
    size_t n = strnlen(text, size - 1);
    memmove(out, text, n);
    out[n] = '\0';
}

static struct rig_container *by_id(struct rig *r, struct inst_id id)
{
    for (size_t i = 0; i < r->n_containers; i++)
        if (r->containers[i].id.v == id.v)
            return &r->containers[i];
    return NULL;
}

static void note_line(struct rig *r, const struct effect *e)
{
    assert_true(r->n_lines < RIG_LINES);
    struct rig_line *l = &r->lines[r->n_lines++];
    l->at = r->now.mono_ms;
    copy(l->type, sizeof l->type, e->event.type);
    copy(l->text, sizeof l->text, e->event.text);
}

static void make(struct rig *r, const struct effect *e)
{
    assert_true(r->n_made < RIG_LINES && r->n_containers < RIG_MAX);
    struct rig_container *c = &r->containers[r->n_containers++];
    *c = (struct rig_container){ .id = e->inst,
                                 .owner = e->create.label.owner,
                                 .index = e->create.label.index,
                                 .execution = e->create.label.execution,
                                 .hash = e->create.label.spec_hash,
                                 .made_at = r->now.mono_ms };
    copy(c->digest, sizeof c->digest, e->create.image_digest ? e->create.image_digest : "");
    copy(c->service, sizeof c->service, e->create.label.service);
    r->made[r->n_made++] = *c;
}

static void note_request(struct rig *r, const struct effect *e)
{
    assert_true(r->n_open < RIG_MAX);
    struct rig_request *q = &r->open[r->n_open++];
    *q = (struct rig_request){ .op = e->op, .kind = e->kind, .id = e->inst };
    if (e->kind == EFF_PULL) {
        copy(q->what, sizeof q->what, e->pull.image);
        copy(q->digest, sizeof q->digest, e->pull.digest ? e->pull.digest : "");
    }
    if (e->kind == EFF_CREATE)
        make(r, e);
    if (e->kind == EFF_PROBE)
        copy(q->what, sizeof q->what, e->probe.label.service);
    if (e->kind == EFF_STOP || e->kind == EFF_KILL) {
        q->signal = e->stop.signal;
        q->grace_ms = e->stop.grace_ms;
    }
    const struct rig_container *c = by_id(r, e->inst);
    if (c && e->kind != EFF_PROBE)
        copy(q->what, sizeof q->what, c->service);
}

static void forget(struct rig *r, size_t at)
{
    memmove(&r->open[at], &r->open[at + 1], (--r->n_open - at) * sizeof r->open[0]);
}

static void take_effects(struct rig *r)
{
    for (size_t i = 0; i < r->out.n; i++) {
        const struct effect *e = &r->out.v[i];
        assert_int_equal(i < r->out.commit, e->kind <= EFF_EVENT);
        r->asked[e->kind]++;
        if (e->kind == EFF_EVENT)
            note_line(r, e);
        else if (e->kind > EFF_EVENT && e->kind != EFF_PROBE_CANCEL)
            note_request(r, e);
        for (size_t k = 0; e->kind == EFF_PROBE_CANCEL && k < r->n_open; k++)
            if (r->open[k].op == e->op)
                forget(r, k);
    }
}

static enum zl_err_kind step(struct rig *r, struct event *ev)
{
    ev->seed = ++r->seed * UINT64_C(0x9e3779b97f4a7c15);
    core_step(r->core, r->now, ev, &r->out);
    take_effects(r);
    assert_true(core_next_deadline(r->core) > r->now.mono_ms);
    assert_true(core_next_wall(r->core) > r->now.wall_ms);
    return r->out.refused.kind;
}

/* ---- the runtime -------------------------------------------------------------------------- */

static void carried_out(struct rig *r, const struct rig_request *q)
{
    struct rig_container *c = by_id(r, q->id);
    if (c && q->kind == EFF_START)
        c->runs = true;
    if (c && (q->kind == EFF_STOP || q->kind == EFF_KILL)) {
        c->runs = false;
        c->ended = true;
    }
    if (c && q->kind == EFF_REMOVE)
        *c = r->containers[--r->n_containers];
}

static void answer(struct rig *r, size_t at, const char *failed)
{
    struct rig_request q = r->open[at];
    struct zl_error err;
    struct event ev = { .kind = q.kind == EFF_PROBE ? EV_PROBE : EV_ANSWER };
    forget(r, at);
    if (q.kind == EFF_PROBE) {
        ev.probe.op = q.op;
        ev.probe.passed = !failed;
        ev.probe.postponed = r->paused && strcmp(q.what, r->paused) == 0;
        ev.probe.reason = failed;
    } else {
        ev.answer.op = q.op;
        if (failed)
            (void)zl_fail(&err, ZL_ERR_NOT_FOUND, "%s", failed);
        ev.answer.failed = failed ? &err : NULL;
        ev.answer.pid = 42;
        if (q.kind == EFF_PULL && !q.digest[0])
            (void)snprintf(q.digest, sizeof q.digest, "%.20s-%u", q.what, r->tag);
        ev.answer.image_digest = q.kind == EFF_PULL && !failed ? q.digest : NULL;
        if (!failed)
            carried_out(r, &q);
    }
    (void)step(r, &ev);
}

static bool is(const char *name, const char *what)
{
    return name && strcmp(name, what) == 0;
}

static const char *failure_of(const struct rig *r, const struct rig_request *q)
{
    if (q->kind == EFF_PULL && is(r->missing, q->what))
        return "no such image";
    if (q->kind == EFF_START && is(r->unstartable, q->what))
        return "no such command";
    if (q->kind == EFF_PROBE && is(r->sick, q->what))
        return "connection refused";
    return NULL;
}

void rig_settle(struct rig *r)
{
    for (size_t at = 0; at < r->n_open;) {
        const struct rig_request *q = &r->open[at];
        if (r->held[q->kind] || (q->kind == EFF_PROBE && is(r->mute, q->what))) {
            at++;
            continue;
        }
        answer(r, at, failure_of(r, q));
        at = 0;
    }
}

void rig_answer(struct rig *r, enum effect_kind kind, const char *failed)
{
    for (size_t at = 0; at < r->n_open; at++) {
        if (r->open[at].kind != kind)
            continue;
        answer(r, at, failed);
        rig_settle(r);
        return;
    }
    fail_msg("no %s is open", effect_kind_name(kind));
}

enum zl_err_kind rig_tell(struct rig *r, struct event *ev)
{
    enum zl_err_kind refused = step(r, ev);
    rig_settle(r);
    return refused;
}

/* The next deadline of either clock, as mono. */
static uint64_t next_deadline(const struct rig *r)
{
    uint64_t at = core_next_deadline(r->core);
    int64_t wall = core_next_wall(r->core);
    if (wall == INT64_MAX)
        return at;
    uint64_t by_wall = r->now.mono_ms + (uint64_t)(wall - r->now.wall_ms);
    return by_wall < at ? by_wall : at;
}

void rig_set_clock(struct rig *r, int64_t wall_ms)
{
    struct event ev = { .kind = EV_TIME };
    r->now.wall_ms = wall_ms;
    (void)rig_tell(r, &ev);
}

void rig_pass(struct rig *r, uint64_t ms)
{
    uint64_t end = r->now.mono_ms + ms, next;
    struct event ev = { .kind = EV_TIME };
    while ((next = next_deadline(r)) <= end) {
        r->now.wall_ms += (int64_t)(next - r->now.mono_ms);
        r->now.mono_ms = next;
        (void)rig_tell(r, &ev);
    }
    r->now.wall_ms += (int64_t)(end - r->now.mono_ms);
    r->now.mono_ms = end;
    (void)rig_tell(r, &ev);
}

/* ---- users -------------------------------------------------------------------------------- */

enum zl_err_kind rig_deploy(struct rig *r, const struct spec_service *services, size_t n)
{
    struct spec *spec = doc_new("shop", services, n);
    struct event ev = { .kind = EV_DEPLOY, .deploy.spec = spec };
    enum zl_err_kind refused = rig_tell(r, &ev);
    spec_unref(spec);
    return refused;
}

enum zl_err_kind rig_deploy_one(struct rig *r, struct spec_service service)
{
    return rig_deploy(r, &service, 1);
}

void rig_down(struct rig *r)
{
    struct event ev = { .kind = EV_DOWN, .down.deployment = "shop" };
    assert_int_equal(rig_tell(r, &ev), ZL_OK);
}

enum zl_err_kind rig_restart(struct rig *r, const char *service, uint32_t index)
{
    struct event ev = { .kind = EV_RESTART,
                        .restart = { .deployment = "shop", .service = service, .index = index } };
    enum zl_err_kind kind = rig_tell(r, &ev);
    rig_settle(r);
    return kind;
}

void rig_stop(struct rig *r, const char *service)
{
    struct event ev = { .kind = EV_STOP, .stop = { .deployment = "shop", .service = service } };
    assert_int_equal(rig_tell(r, &ev), ZL_OK);
}

uint64_t rig_run_job(struct rig *r, const char *job)
{
    struct event ev = { .kind = EV_JOB_RUN, .job_run.job = job };
    assert_int_equal(step(r, &ev), ZL_OK);
    uint64_t id = r->out.given_id;
    rig_settle(r);
    return id;
}

uint64_t rig_run(struct rig *r, const char *name, const char *image, bool delete_on_exit)
{
    struct spec_service s = doc_service(name, image, 1);
    s.delete_on_exit = delete_on_exit;
    struct spec *spec = doc_new("-", &s, 1);
    struct event ev = { .kind = EV_RUN, .run = { .spec = spec, .text = "" } };
    assert_int_equal(step(r, &ev), ZL_OK);
    uint64_t id = r->out.given_id;
    rig_settle(r);
    spec_unref(spec);
    return id;
}

void rig_exit(struct rig *r, const char *service, uint32_t index, int code)
{
    struct rig_container *c = rig_find(r, service, index);
    assert_non_null(c);
    c->runs = false;
    c->ended = true;
    struct event ev = { .kind = EV_EXIT, .exit = { c->id, { .code = code } } };
    (void)rig_tell(r, &ev);
}

/* ---- looks -------------------------------------------------------------------------------- */

struct rig_container *rig_find(struct rig *r, const char *service, uint32_t index)
{
    for (size_t i = 0; i < r->n_containers; i++)
        if (strcmp(r->containers[i].service, service) == 0 && r->containers[i].index == index &&
            !r->containers[i].ended)
            return &r->containers[i];
    return NULL;
}

size_t rig_running(struct rig *r, const char *service)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_containers; i++)
        n += r->containers[i].runs && strcmp(r->containers[i].service, service) == 0;
    return n;
}

size_t rig_lines(const struct rig *r, const char *type)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_lines; i++)
        n += strcmp(r->lines[i].type, type) == 0;
    return n;
}

const struct rig_line *rig_last(const struct rig *r, const char *type)
{
    for (size_t i = r->n_lines; i > 0; i--)
        if (strcmp(r->lines[i - 1].type, type) == 0)
            return &r->lines[i - 1];
    return NULL;
}

struct search {
    const char *service;
    uint32_t index;
    uint64_t id;
    struct view_container slot;
    struct view_service found;
    struct view_deployment deployment;
    struct row_execution execution;
};

static bool pick_container(void *arg, const struct view_container *v)
{
    struct search *s = arg;
    bool match = strcmp(v->label.service, s->service) == 0 && v->label.index == s->index;
    if (match)
        s->slot = *v;
    return !match;
}

struct view_container rig_slot(struct rig *r, const char *service, uint32_t index)
{
    struct search s = { .service = service, .index = index };
    core_each_container(r->core, NULL, pick_container, &s);
    assert_non_null(s.slot.name);
    return s.slot;
}

static bool pick_service(void *arg, const struct view_service *v)
{
    struct search *s = arg;
    bool match = strcmp(v->service->name, s->service) == 0;
    if (match)
        s->found = *v;
    return !match;
}

struct view_service rig_service(struct rig *r, const char *service)
{
    struct search s = { .service = service };
    core_each_service(r->core, "shop", pick_service, &s);
    assert_non_null(s.found.service);
    return s.found;
}

static bool pick_deployment(void *arg, const struct view_deployment *v)
{
    ((struct search *)arg)->deployment = *v;
    return false;
}

struct view_deployment rig_deployment(struct rig *r)
{
    struct search s = { 0 };
    core_each_deployment(r->core, pick_deployment, &s);
    assert_non_null(s.deployment.row);
    return s.deployment;
}

static bool pick_execution(void *arg, const struct row_execution *v)
{
    struct search *s = arg;
    if (v->id == s->id)
        s->execution = *v;
    return v->id != s->id;
}

struct row_execution rig_execution(struct rig *r, uint64_t id)
{
    struct search s = { .id = id };
    core_each_execution(r->core, NULL, NULL, pick_execution, &s);
    return s.execution;
}
