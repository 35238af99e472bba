// SPDX-License-Identifier: Apache-2.0
/* What users do to the simulated agent: deploy, stop, remove, run. */
#ifndef ZL_TESTS_SIM_USER_H
#define ZL_TESTS_SIM_USER_H

#include "world.h"

/* One request of a user, by lot. */
void user_acts(struct world *w);

#endif
