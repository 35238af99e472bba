// SPDX-License-Identifier: Apache-2.0
/* What makes an agent the only one of its folders: the lock, and the socket that clients find. */
#ifndef ZL_AGENT_LISTEN_H
#define ZL_AGENT_LISTEN_H

#include "base/error.h"

/*
 * Takes <run_fd>/lock for as long as the returned fd is open. CONFLICT when another agent has it;
 * the text says which process.
 */
int agent_lock(int run_fd, struct zl_error *err);
/*
 * A listening AF_UNIX stream socket at path, mode 0660, of the group `zlayer` where there is one.
 * It appears under its name only when it listens already, in place of a stale one. To be called
 * with the lock held.
 */
int agent_listen(const char *path, struct zl_error *err);

#endif
