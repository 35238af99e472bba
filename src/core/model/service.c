// SPDX-License-Identifier: Apache-2.0
#include "core/model/service.h"

#include <string.h>

#include "core/model/deployment.h"
#include "core/model/slot.h"

struct service *service_find(const struct deployment *d, const char *name)
{
    struct service *s, *old = NULL;
    TAILQ_FOREACH (s, &d->services, link) {
        if (strcmp(s->name, name) != 0)
            continue;
        if (!s->absent)
            return s;
        old = s;
    }
    return old;
}

bool service_is_job(const struct service *s)
{
    return s->target.service->rtype != SPEC_SERVICE;
}

bool service_is_dismissed(const struct service *s)
{
    const struct deployment *d = s->deployment;
    return d->removing || s->stopped || (s->absent && d->settled);
}

bool service_unwanted(const struct service *s)
{
    return s->shutdown || service_is_dismissed(s);
}

bool service_failed(const struct service *s)
{
    return s->gave_up || s->shutdown || s->rollout_failed;
}

struct slot *service_first_outdated(const struct service *s)
{
    struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (slot->index <= s->desired && slot_outdated(slot))
            return slot;
    return NULL;
}
