// SPDX-License-Identifier: Apache-2.0
/*
 * What the agent does about an effect of core: keeps a copy of it until its step lets it begin,
 * then asks the runtime, or does it itself. The runtime's answer becomes an event for core. When an
 * effect may begin is decided in steps.c.
 */
#ifndef ZL_AGENT_EFFECTS_H
#define ZL_AGENT_EFFECTS_H

#include "base/arena.h"
#include "core/core.h"

struct agent;
struct requests; /* that the runtime works on */

int requests_new(struct requests **ret, struct zl_error *err);
void requests_free(struct requests *rs); /* nobody is answered any more; NULL is fine */

bool effect_is_carried_out(enum effect_kind kind); /* false: it is of the store alone */
/* Makes what e borrows its own: strings in mem, references until effect_drop(). */
void effect_keep(struct zl_arena *mem, struct effect *e);
void effect_drop(struct effect *e);
/* after: how many transactions there were, with that of its step. */
void effect_carry_out(struct agent *a, const struct effect *e, uint64_t after);
/* Answers to removals wait until all that was decided before is told: now more may be. */
void effects_give_held(struct agent *a);

#endif
