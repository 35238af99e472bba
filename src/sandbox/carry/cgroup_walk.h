// SPDX-License-Identifier: Apache-2.0
/* Inside carry/: a cgroup and all that were made below it, however deep. */
#ifndef ZL_SANDBOX_CARRY_CGROUP_WALK_H
#define ZL_SANDBOX_CARRY_CGROUP_WALK_H

#include "base/error.h"

struct cgroup_visit {
    /* Each folder, the first one too, before those below it. -1 ends the walk. */
    int (*enter)(void *arg, int fd, struct zl_error *err);
    /* Each but the first, by name, after those below it. */
    void (*leave)(int parent_fd, const char *name);
    void *arg;
};

/* dir_fd: of the first folder; it stays the caller's. What is removed meanwhile is passed over.
 * err may be NULL. -1: enter failed, a folder could not be opened, or there are too many. */
int cgroup_walk(int dir_fd, const struct cgroup_visit *visit, struct zl_error *err);

#endif
