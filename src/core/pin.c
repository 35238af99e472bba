// SPDX-License-Identifier: Apache-2.0
#include "core/pin.h"

#include <stdio.h>
#include <string.h>

#include "core/emit.h"
#include "core/service.h"
#include "core/slot.h"
#include "core/touch.h"

enum { ASK_TIMEOUT_MS = 3600 * 1000 };

static void set_digest(char to[CORE_DIGEST_MAX], const char *digest)
{
    (void)snprintf(to, CORE_DIGEST_MAX, "%s", digest ? digest : "");
}

/* What is settled is the version before from here on. */
static void let_go(struct service *s)
{
    if (s->target.digest[0])
        set_digest(s->previous_digest, s->target.digest);
    s->target.digest[0] = '\0';
}

static bool is_changed_by(const struct service *s, const struct spec_service *service)
{
    return s->target.service->container_hash != service->container_hash;
}

static bool follows(const struct spec_service *service, enum spec_pull policy)
{
    return service->rtype == SPEC_SERVICE && service->image.pull == policy;
}

bool pin_is_renewed_by(const struct service *s, const struct spec_service *service)
{
    return is_changed_by(s, service) || follows(service, SPEC_PULL_ALWAYS);
}

void pin_retarget(struct service *s, const struct spec *spec, const struct spec_service *service)
{
    char digest[CORE_DIGEST_MAX];
    const struct slot *slot;
    if (pin_is_renewed_by(s, service))
        let_go(s);
    s->renewals += !is_changed_by(s, service) && follows(service, SPEC_PULL_ALWAYS);
    set_digest(digest, s->target.digest);
    version_set(&s->target, spec, service);
    s->target.hash = core_replica_hash(service, s->renewals);
    set_digest(s->target.digest, digest);
    TAILQ_FOREACH (slot, &s->slots, link) /* back to a version of which some are left */
        pin_known(s, &slot->version);
    pin_drop(s);
    s->renew.wanted = follows(service, SPEC_PULL_NEWER) && s->target.digest[0];
}

void pin_restart(struct service *s)
{
    s->target.hash = core_replica_hash(s->target.service, ++s->renewals);
}

void pin_known(struct service *s, const struct version *v)
{
    if (s->target.digest[0] || s->target.hash != v->hash || !v->digest[0])
        return;
    set_digest(s->target.digest, v->digest);
    s->deployment->dirty = true;
}

void pin_pulled(struct service *s, struct version *v)
{
    if (s->target.hash != v->hash)
        return;
    s->pulled = true;
    pin_known(s, v);
    set_digest(v->digest, s->target.digest); /* it was settled meanwhile, or is by now */
}

/* ---- executions --------------------------------------------------------------------------- */

static bool asks_each_time(const struct spec_service *service)
{
    return service->image.pull == SPEC_PULL_ALWAYS || service->image.pull == SPEC_PULL_NEWER;
}

void pin_execution(const struct service *job, struct version *v)
{
    if (v->hash == job->target.hash)
        set_digest(v->digest, asks_each_time(v->service) ? NULL : job->target.digest);
}

void pin_execution_pulled(struct service *job, struct version *v)
{
    if (!v->digest[0] || v->hash != job->target.hash)
        return;
    bool moved = asks_each_time(v->service) && strcmp(job->target.digest, v->digest) != 0;
    if (moved)
        let_go(job);
    pin_known(job, v);
    set_digest(v->digest, job->target.digest); /* it was settled meanwhile, or is by now */
}

/* ---- asking for a newer one --------------------------------------------------------------- */

void pin_drop(struct service *s)
{
    s->deployment->dirty |= s->renew.wanted;
    s->renew.wanted = false;
    s->renew.op = 0;
    s->renew.deadline = NEVER;
}

static void ask(struct core *c, struct service *s)
{
    struct effect *e = emit_request(c, EFF_PULL, (struct inst_id){ 0 });
    e->pull.image = s->target.service->image.name;
    e->pull.policy = s->target.service->image.pull;
    s->renew.op = e->op;
    s->renew.deadline = c->now.mono_ms + ASK_TIMEOUT_MS;
}

/* What runs is as good as it was. */
static void stay(struct core *c, struct service *s, const char *why)
{
    emit_event(c, "pull_failed", s->deployment->name, s->name, (struct inst_id){ 0 },
               "%s stays as it is: %s", s->name, why);
    touch_deployment(c, s->deployment);
}

static void replace(struct core *c, struct service *s, const char *digest)
{
    struct slot *slot;
    let_go(s);
    set_digest(s->target.digest, digest);
    s->target.hash = core_replica_hash(s->target.service, ++s->renewals);
    s->pulled = true;
    s->rollout_failed = s->shutdown = false;
    TAILQ_FOREACH (slot, &s->slots, link)
        slot_renew(c, slot);
    emit_event(c, "image_changed", s->deployment->name, s->name, (struct inst_id){ 0 },
               "%s: %.200s is %s now", s->name, s->target.service->image.name, digest);
    touch_deployment(c, s->deployment);
}

void pin_step(struct core *c, struct service *s)
{
    if (!s->renew.wanted)
        return;
    if (!s->renew.op) {
        ask(c, s);
    } else if (c->now.mono_ms >= s->renew.deadline) {
        pin_drop(s);
        stay(c, s, "no answer in time");
    }
}

void pin_answer(struct core *c, struct service *s, uint64_t op, const struct outcome *o)
{
    if (!s->renew.op || s->renew.op != op)
        return;
    pin_drop(s);
    if (o->failed)
        stay(c, s, o->failed->msg);
    else if (o->digest && strcmp(o->digest, s->target.digest) != 0)
        replace(c, s, o->digest);
    touch_deployment(c, s->deployment);
}

uint64_t pin_deadline(const struct service *s)
{
    return s->renew.op ? s->renew.deadline : NEVER;
}

/* ---- the row ------------------------------------------------------------------------------ */

void pin_recall(struct service *s, const struct row_service *row)
{
    s->renewals = row->renewals;
    s->target.hash = core_replica_hash(s->target.service, s->renewals);
    set_digest(s->target.digest, row->digest);
    set_digest(s->previous_digest, row->previous_digest);
    s->renew.wanted = row->renew;
}

void pin_row(const struct service *s, struct row_service *ret)
{
    ret->digest = s->target.digest;
    ret->previous_digest = s->previous_digest;
    ret->renewals = s->renewals;
    ret->renew = s->renew.wanted;
}
