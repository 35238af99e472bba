// SPDX-License-Identifier: Apache-2.0
/* Where logs lie under the root directory, and how they go. */
#ifndef ZL_AGENT_LOGS_H
#define ZL_AGENT_LOGS_H

#include "core/core.h"

/* The log that a container of this label wrote, with what was rotated of it; and the directories
 * above it that are empty then. What cannot be removed stays. */
void logs_remove(int root_fd, const struct inst_label *label);

/* All logs of a deployment that was removed. */
void logs_remove_deployment(int root_fd, const char *deployment);

#endif
