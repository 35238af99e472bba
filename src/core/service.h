// SPDX-License-Identifier: Apache-2.0
/*
 * One service of a deployment: how many slots it has, which of them may start, and in which order
 * they go. Jobs are services without slots; their executions are in execution.c.
 */
#ifndef ZL_CORE_SERVICE_H
#define ZL_CORE_SERVICE_H

#include "core/core.h"

struct deployment;
struct service;
struct stop_how;

/* Appended to d. NULL: no memory. */
struct service *service_new(struct core *c, struct deployment *d, const struct spec *spec,
                            const struct spec_service *service);
void service_bury(struct core *c, struct service *s); /* has no slots */

/* A new document has it too: what changed is rolled or applied live, what did not is left alone.
 * False: no memory for its dependencies; the old ones hold. */
bool service_retarget(struct core *c, struct service *s, const struct spec *spec,
                      const struct spec_service *service);
/* New replicas of the same version, one after the other where some are healthy; one that was
 * stopped or given up starts. False: no memory. */
bool service_restart(struct core *c, struct service *s);
void service_stop(struct core *c, struct service *s, const struct stop_how *how);

/* All its replicas are there, healthy and of the present version, at this moment. */
bool service_complete(const struct service *s);
/* Something is under way that takes as long as it takes: the stabilization time-out waits. */
bool service_in_progress(const struct service *s);
void service_reconcile(struct core *c, struct service *s);
uint64_t service_deadline(const struct service *s, uint64_t now);

struct service_counts {
    uint32_t running, healthy;
};
struct service_counts service_count(const struct service *s); /* of slots 1 to desired */

#endif
