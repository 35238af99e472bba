// SPDX-License-Identifier: Apache-2.0
/* After a restart of the agent: what was stored meets what is found. */
#ifndef ZL_CORE_RESTORE_H
#define ZL_CORE_RESTORE_H

#include "core/core.h"

struct instance;

void restore_found(struct core *c, const struct event *ev);
void restore_exit(struct core *c, struct instance *i, const struct inst_exit *exit);
void restore_end(struct core *c, bool rebooted);

#endif
