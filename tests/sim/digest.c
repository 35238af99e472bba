// SPDX-License-Identifier: Apache-2.0
#include "digest.h"

#include <string.h>

#include "base/hash.h"

static uint64_t number(uint64_t h, uint64_t n)
{
    return zl_hash_bytes(h, &n, sizeof n);
}

static uint64_t text(uint64_t h, const char *s)
{
    return s ? zl_hash_bytes(number(h, 1), s, strlen(s) + 1) : number(h, 0);
}

static uint64_t exit_of(uint64_t h, const struct inst_exit *e)
{
    const uint64_t v[] = { (uint64_t)e->code,   (uint64_t)e->signal, e->oom, e->lost, e->why,
                           (uint64_t)e->wall_ms };
    return zl_hash_bytes(h, v, sizeof v);
}

static uint64_t label(uint64_t h, const struct inst_label *l)
{
    const uint64_t v[] = { l->owner, l->index, l->execution, l->spec_hash };
    h = text(text(text(h, l->deployment), l->service), l->role);
    return zl_hash_bytes(h, v, sizeof v);
}

static uint64_t service(uint64_t h, const struct row_service *s)
{
    const uint64_t v[] = { (uint64_t)s->created_ms, s->stopped, s->renewals, s->renew };
    h = zl_hash_bytes(text(text(text(h, s->name), s->digest), s->previous_digest), v, sizeof v);
    for (size_t i = 0; i < s->n_attempts; i++) {
        const struct row_attempts *a = &s->attempts[i];
        h = number(number(number(h, a->index), a->attempts), a->counted.v);
    }
    return h;
}

static uint64_t deployment(uint64_t h, const struct effect *e)
{
    const struct row_deployment *d = &e->deployment;
    const uint64_t v[] = { d->revision, d->removing, (uint64_t)d->created_ms,
                           (uint64_t)d->updated_ms };
    h = zl_hash_bytes(text(text(h, d->name), d->base_dir), v, sizeof v);
    for (size_t i = 0; i < d->n_services; i++)
        h = service(h, &d->services[i]);
    return h;
}

static uint64_t execution(uint64_t h, const struct effect *e)
{
    const struct row_execution *x = &e->execution;
    const uint64_t v[] = { x->id,
                           x->revision,
                           x->status,
                           (uint64_t)x->exit_code,
                           (uint64_t)x->created_ms,
                           (uint64_t)x->started_ms,
                           (uint64_t)x->finished_ms,
                           x->cause,
                           (uint64_t)x->due_ms };
    h = text(text(text(text(h, x->deployment), x->job), x->reason), x->digest);
    return zl_hash_bytes(h, v, sizeof v);
}

static uint64_t cron(uint64_t h, const struct effect *e)
{
    const struct row_cron *r = &e->cron;
    const uint64_t v[] = { r->disabled,
                           (uint64_t)r->cursor_s,
                           (uint64_t)r->high_s,
                           r->jitter_seed,
                           (uint64_t)r->last_run_ms,
                           r->last_execution,
                           r->runs,
                           r->missed,
                           r->skipped };
    return zl_hash_bytes(text(text(h, r->deployment), r->cron), v, sizeof v);
}

static uint64_t standalone(uint64_t h, const struct effect *e)
{
    const struct row_standalone *a = &e->standalone;
    const uint64_t v[] = { a->id.v,   a->remove_wanted,        a->stop_wanted,
                           a->exited, (uint64_t)a->created_ms, (uint64_t)a->started_ms };
    h = zl_hash_bytes(text(text(text(h, a->name), a->text), a->error), v, sizeof v);
    return exit_of(h, &a->exit);
}

static uint64_t event(uint64_t h, const struct effect *e)
{
    h = text(text(h, e->event.type), e->event.deployment);
    return number(text(text(h, e->event.service), e->event.text), e->event.inst.v);
}

static uint64_t pull(uint64_t h, const struct effect *e)
{
    return number(text(text(h, e->pull.image), e->pull.digest), e->pull.policy);
}

static uint64_t create(uint64_t h, const struct effect *e)
{
    h = number(text(label(h, &e->create.label), e->create.image_digest), e->create.hold);
    return text(h, e->create.service ? e->create.service->image.name : NULL);
}

static uint64_t stop(uint64_t h, const struct effect *e)
{
    return number(number(h, (uint64_t)e->stop.signal), e->stop.grace_ms);
}

static uint64_t probe(uint64_t h, const struct effect *e)
{
    return label(h, &e->probe.label);
}

typedef uint64_t (*part_fn)(uint64_t h, const struct effect *e);

/* Of the others nothing is said but the container. */
static const part_fn parts[EFF_KINDS] = {
    [EFF_PUT_DEPLOYMENT] = deployment,
    [EFF_DEL_DEPLOYMENT] = deployment,
    [EFF_PUT_EXECUTION] = execution,
    [EFF_DEL_EXECUTION] = execution,
    [EFF_PUT_CRON] = cron,
    [EFF_DEL_CRON] = cron,
    [EFF_PUT_STANDALONE] = standalone,
    [EFF_DEL_STANDALONE] = standalone,
    [EFF_EVENT] = event,
    [EFF_PULL] = pull,
    [EFF_CREATE] = create,
    [EFF_STOP] = stop,
    [EFF_KILL] = stop,
    [EFF_PROBE] = probe,
};

static uint64_t effect(uint64_t h, const struct effect *e)
{
    const uint64_t v[] = { e->kind, e->early, e->soon, e->op, e->logs_kept_s, e->inst.v };
    h = zl_hash_bytes(h, v, sizeof v);
    return parts[e->kind] ? parts[e->kind](h, e) : h;
}

uint64_t digest_step(uint64_t digest, const struct event *ev, const struct core *c,
                     const struct effects *out)
{
    const uint64_t v[] = { ev->kind,      out->commit,           out->refused.kind,
                           out->given_id, core_next_deadline(c), (uint64_t)core_next_wall(c) };
    uint64_t h = zl_hash_bytes(digest, v, sizeof v);
    h = text(h, out->refused.kind ? out->refused.msg : "");
    for (size_t i = 0; i < out->n; i++)
        h = effect(h, &out->v[i]);
    return h;
}
