// SPDX-License-Identifier: Apache-2.0
#include "core/renewal.h"

#include <string.h>

#include "core/emit.h"
#include "core/instance.h"
#include "core/model/deployment.h"
#include "core/model/machine.h"
#include "core/model/service.h"
#include "core/model/slot.h"
#include "core/pin.h"
#include "core/slot.h"
#include "core/touch.h"

enum { ASK_TIMEOUT_MS = 3600 * 1000 };

void renewal_drop(struct service *s)
{
    s->deployment->dirty |= s->renew.wanted;
    s->renew.wanted = false;
    s->renew.op = 0;
    s->renew.deadline = NEVER;
}

void renewal_retarget(struct service *s)
{
    const struct spec_service *service = s->target.service;
    bool follows = service->rtype == SPEC_SERVICE && service->image.pull == SPEC_PULL_NEWER;
    renewal_drop(s);
    s->renew.wanted = follows && s->target.digest[0];
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
    pin_settle_anew(s, digest);
    s->rollout_failed = s->shutdown = false;
    TAILQ_FOREACH (slot, &s->slots, link)
        slot_renew(c, slot);
    emit_event(c, "image_changed", s->deployment->name, s->name, (struct inst_id){ 0 },
               "%s: %.200s is %s now", s->name, s->target.service->image.name, digest);
    touch_deployment(c, s->deployment);
}

void renewal_step(struct core *c, struct service *s)
{
    if (!s->renew.wanted)
        return;
    if (!s->renew.op) {
        ask(c, s);
    } else if (c->now.mono_ms >= s->renew.deadline) {
        renewal_drop(s);
        stay(c, s, "no answer in time");
    }
}

void renewal_answer(struct core *c, struct service *s, uint64_t op, const struct outcome *o)
{
    if (!s->renew.op || s->renew.op != op)
        return;
    renewal_drop(s);
    if (o->failed)
        stay(c, s, o->failed->msg);
    else if (o->digest && strcmp(o->digest, s->target.digest) != 0)
        replace(c, s, o->digest);
    touch_deployment(c, s->deployment);
}

uint64_t renewal_deadline(const struct service *s)
{
    return s->renew.op ? s->renew.deadline : NEVER;
}
