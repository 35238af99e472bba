// SPDX-License-Identifier: Apache-2.0
/* Where logs lie under the root directory, and how they go. */
#ifndef ZL_AGENT_LOGS_H
#define ZL_AGENT_LOGS_H

#include "core/core.h"

/* The log that a container of this label wrote, with what was rotated of it; and the directories
 * above it that are empty then. What cannot be removed stays. */
void logs_remove(int root_fd, const struct inst_label *label);

/*
 * What a deployment wrote that was removed, or (service) one container of it, can be read for so
 * many seconds more: it lies in logs/-removed/<until>.<deployment>, or <until>.-.<container> of a
 * standalone one, where <until> is a Unix time. 0: it goes. At most LOGS_KEPT_MAX are kept, those
 * that would go first go earlier then. What cannot be moved or removed stays.
 */
enum { LOGS_KEPT_MAX = 128 };
void logs_keep(int root_fd, const char *deployment, const char *service, uint64_t seconds);

/* Those whose time is over go. */
void logs_sweep(int root_fd);

#endif
