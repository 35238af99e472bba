// SPDX-License-Identifier: Apache-2.0
/* Inside carry/: the cgroups of one container, one per hierarchy that the plan names. */
#ifndef ZL_SANDBOX_CARRY_CGROUP_H
#define ZL_SANDBOX_CARRY_CGROUP_H

#include "sandbox/plan.h"

struct cgroup {
    const struct plan_cgroup *plan;
    const char *mount, *path; /* of the plan */
    int mount_fd, dir_fd;     /* -1 until needed */
    int tasks_fd;             /* v1: to join by writing "0"; -1: not open */
    bool ours;                /* made by us, or found without a process */
};

/* c's plan, mount and path are set, its descriptors are -1. */
void cgroup_init(struct cgroup *c, const struct plan *plan, const struct plan_cgroup *pc);
void cgroup_done(struct cgroup *c); /* closes */
/* Makes it with all its limits, ready to be joined. CONFLICT: processes of others are in it. */
int cgroup_make(struct cgroup *c, const struct plan *plan, struct zl_error *err);
/* Opens what a join needs, of a cgroup that is there. */
int cgroup_open_join(struct cgroup *c, struct zl_error *err);
/* Its folder; ENOENT when it is not there. -1 and errno. */
int cgroup_dir(struct cgroup *c);

/* cgroup_end.c */
int cgroup_signal(struct cgroup *c, int signal, struct zl_error *err);
/* 1 no process is in it (or it is not there), 0 there is, -1 not known. */
int cgroup_empty(struct cgroup *c);
/* Kills what is left, waits for it, and removes the folders. A missing one is fine. */
int cgroup_remove(struct cgroup *c, struct zl_error *err);
/* A number that stands alone in file, or after `key ` at the begin of a line. false: not there. */
bool cgroup_number(struct cgroup *c, const char *file, const char *key, uint64_t *ret);
/* v1: an eventfd; v2: memory.events, which polls as POLLPRI. -1 and errno. */
int cgroup_watch_oom(struct cgroup *c);

#endif
