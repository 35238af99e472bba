// SPDX-License-Identifier: Apache-2.0
/* The simulated runtime: what requests do to containers, and what containers do by themselves. */
#ifndef ZL_TESTS_SIM_RUNTIME_H
#define ZL_TESTS_SIM_RUNTIME_H

#include "world.h"

void runtime_begin(struct world *w, const struct effect *e);
void runtime_happens(struct world *w, const struct item *it);
/* The agent died: what it had begun happens now or never, and nobody waits for answers. */
void runtime_forget_agent(struct world *w);
void runtime_reboot(struct world *w);

#endif
