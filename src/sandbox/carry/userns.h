// SPDX-License-Identifier: Apache-2.0
/* Inside carry/: user namespaces as their maker sees them; the child's side is in child.h. */
#ifndef ZL_SANDBOX_CARRY_USERNS_H
#define ZL_SANDBOX_CARRY_USERNS_H

#include "sandbox/carry/spawn.h"

/* For the process between (see userns.c), which is a copy of us: its oom_score_adj and hard limits,
 * the namespaces of the plan that we may join, the user namespace, the PID namespace of its
 * children (-1: as it is). -1 with the report filled. */
int userns_enter(struct child *k, int pid_ns_fd);

/* The maps of the new user namespace in which pid, a child of ours, is. */
int userns_write_maps(const struct plan *p, pid_t pid, struct zl_error *err);

/* Whether binds are to be opened before the start: idmapped ones, all of a user namespace. */
bool userns_wants_trees(const struct plan *p);
/* trees: a number for each of plan->mounts, -1 before; what was opened is the caller's. */
int userns_open_trees(const struct plan *p, int *trees, struct zl_error *err);

#endif
