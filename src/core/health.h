// SPDX-License-Identifier: Apache-2.0
/*
 * The health of one running replica: when it is probed and what the results mean (reference:
 * orchestration 4). A probe that is never answered counts as a failure after its own deadline.
 */
#ifndef ZL_CORE_HEALTH_H
#define ZL_CORE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct core;
struct instance;
struct spec_service;

/* Whether anything is probed; else running counts as healthy. */
bool health_has_check(const struct spec_service *service);
/* The instance came up; grace_ms is what is left of the start grace. */
void health_begin(struct core *c, struct instance *i, uint64_t grace_ms);
/* It does not run any more: nobody waits for its probe. */
void health_end(struct core *c, struct instance *i);
/* The document changed while it runs: what it has earned stays, the next probe follows the new one.
 */
void health_reconfigure(struct core *c, struct instance *i);
struct instance *health_probed(const struct core *c, uint64_t op); /* whose probe; or NULL */
void health_answer(struct core *c, struct instance *i, bool passed, const char *reason);
/* Nothing came of the probe, and nothing follows from that: it is asked again after the interval.
 */
void health_postponed(struct core *c, struct instance *i);
/* Sends the probe that is due, gives the one up that is overdue. */
void health_tick(struct core *c, struct instance *i);
uint64_t health_deadline(const struct instance *i);

#endif
