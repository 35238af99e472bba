// SPDX-License-Identifier: Apache-2.0
/* Inside carry/: what one container is made of, for the files that tell its life. */
#ifndef ZL_SANDBOX_CARRY_INNER_H
#define ZL_SANDBOX_CARRY_INNER_H

#include "sandbox/carry/carry.h"
#include "sandbox/carry/cgroup/cgroup.h"

struct carry {
    const struct plan *plan;
    int *fds; /* the plan's; borrowed descriptors in an array of ours */
    struct cgroup *cgroups;
    bool own_netns; /* the caller lives in the container's network namespace */
    bool tracing;
    int oom_fd;
};

/* The cgroup of a controller: v1 by its name, v2 whatever it is. NULL: the plan has none. */
struct cgroup *carry_cgroup(struct carry *c, const char *controller);
/* start.c: what execve(2) takes of a table of texts, the caller's to free; the pointers lead into
 * the plan. NULL: no memory. */
char **carry_pointers(const void *base, struct plan_tab t, struct zl_error *err);
/* live.c: moves all processes into a late cgroup that is there. */
int carry_join_late(struct carry *c, struct cgroup *to, struct zl_error *err);
/* live.c: the pid of whom a pidfd stands for; it says that of one that has ended as well. -1. */
pid_t carry_pid_of(int pidfd);
/* A frozen process does not die of a signal on v1. Best effort. */
void carry_thaw(struct carry *c);

#endif
