// SPDX-License-Identifier: Apache-2.0
/*
 * Whether a deployment is as its document asks for (reference: orchestration 1.9), and what its
 * status says: it is running when all its replicas have been there and healthy together for a
 * moment, and has failed when a service has, or when that took too long since anything went on.
 */
#ifndef ZL_CORE_STABILITY_H
#define ZL_CORE_STABILITY_H

#include "core/core.h"

struct deployment;

/* The only writer of d->status; told as an event where it changes. */
void stability_set(struct core *c, struct deployment *d, enum deployment_status status,
                   const char *message);
/* Its status is found anew, as after a deploy. */
void stability_begin(struct core *c, struct deployment *d);
/* Every service has what it wants, at this moment. */
bool stability_is_ready(const struct deployment *d);
/* After its services were looked at. */
void stability_check(struct core *c, struct deployment *d);
uint64_t stability_deadline(const struct core *c, const struct deployment *d);

#endif
