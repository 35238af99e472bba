// SPDX-License-Identifier: Apache-2.0
/* What a container is made from. */
#ifndef ZL_CORE_MODEL_VERSION_H
#define ZL_CORE_MODEL_VERSION_H

#include "core/core.h"

/* One service of one document, kept alive by its reference. hash alone: of a container that was
 * found, whose document is not known any more (spec and service are NULL). */
struct version {
    struct spec *spec;
    const struct spec_service *service;
    uint64_t hash;                /* container_hash; of a service's replicas core_replica_hash() */
    char digest[CORE_DIGEST_MAX]; /* of its image; "": not settled */
};

/* digest is not settled by it. */
void version_set(struct version *v, const struct spec *spec, const struct spec_service *service);
void version_copy(struct version *to, const struct version *from);
void version_move(struct version *to, struct version *from); /* from is empty afterwards */
void version_clear(struct version *v);

#endif
