// SPDX-License-Identifier: Apache-2.0
#include "core/model/version.h"

void version_set(struct version *v, const struct spec *spec, const struct spec_service *service)
{
    struct spec *ref = spec ? spec_ref(spec) : NULL;
    version_clear(v);
    v->spec = ref;
    v->service = service;
    v->hash = service ? service->container_hash : 0;
}

void version_copy(struct version *to, const struct version *from)
{
    const struct version copy = *from;
    struct spec *ref = copy.spec ? spec_ref(copy.spec) : NULL;
    version_clear(to);
    *to = copy;
    to->spec = ref;
}

/* splitmix64's finalizer over both: another number for each renewal. */
uint64_t core_replica_hash(const struct spec_service *s, uint64_t renewals)
{
    uint64_t h = s->container_hash + renewals * UINT64_C(0x9e3779b97f4a7c15);
    if (!renewals)
        return h;
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

void version_move(struct version *to, struct version *from)
{
    version_clear(to);
    *to = *from;
    *from = (struct version){ 0 };
}

void version_clear(struct version *v)
{
    spec_unref(v->spec);
    *v = (struct version){ 0 };
}
