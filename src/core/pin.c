// SPDX-License-Identifier: Apache-2.0
#include "core/pin.h"

#include <stdio.h>
#include <string.h>

#include "core/model/deployment.h"
#include "core/model/service.h"
#include "core/model/slot.h"
#include "core/model/version.h"

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

/* Each deploy asks the registry. */
static bool is_always_pulled(const struct spec_service *service)
{
    return service->rtype == SPEC_SERVICE && service->image.pull == SPEC_PULL_ALWAYS;
}

bool pin_is_renewed_by(const struct service *s, const struct spec_service *service)
{
    return is_changed_by(s, service) || is_always_pulled(service);
}

void pin_retarget(struct service *s, const struct spec *spec, const struct spec_service *service)
{
    char digest[CORE_DIGEST_MAX];
    const struct slot *slot;
    if (pin_is_renewed_by(s, service))
        let_go(s);
    s->renewals += !is_changed_by(s, service) && is_always_pulled(service);
    set_digest(digest, s->target.digest);
    version_set(&s->target, spec, service);
    s->target.hash = core_replica_hash(service, s->renewals);
    set_digest(s->target.digest, digest);
    TAILQ_FOREACH (slot, &s->slots, link) /* back to a version of which some are left */
        pin_known(s, &slot->version);
}

void pin_restart(struct service *s)
{
    s->target.hash = core_replica_hash(s->target.service, ++s->renewals);
}

void pin_settle_anew(struct service *s, const char *digest)
{
    let_go(s);
    set_digest(s->target.digest, digest);
    s->pulled = true;
    pin_restart(s);
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
