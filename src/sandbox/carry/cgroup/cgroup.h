// SPDX-License-Identifier: Apache-2.0
/* Inside carry/: the cgroups of one container, one per hierarchy that the plan names. */
#ifndef ZL_SANDBOX_CARRY_CGROUP_CGROUP_H
#define ZL_SANDBOX_CARRY_CGROUP_CGROUP_H

#include "base/buf.h"
#include "sandbox/plan.h"

struct cgroup {
    const void *base; /* of the plan's texts */
    const struct plan_cgroup *plan;
    const char *mount, *path, *controller; /* of the plan */
    int mount_fd, dir_fd;                  /* -1 until needed */
    int tasks_fd;                          /* v1: to join by writing "0"; -1: not open */
    bool ours;                             /* made by us, or found without a process */
    bool fresh;                            /* made by us just now: nothing is attached to it */
    bool wanted; /* a late one that an update made: whoever is started joins it */
    bool gone;   /* removed, and not made again since */
};

/* c's plan, mount and path are set, its descriptors are -1. */
void cgroup_init(struct cgroup *c, const void *base, const struct plan_cgroup *pc);
void cgroup_done(struct cgroup *c); /* closes */
/* Whether it is the hierarchy of this controller of v1, "memory" among "cpu,memory". */
bool cgroup_is_of(const struct cgroup *c, const char *controller);
bool cgroup_is_late(const struct cgroup *c); /* joined only when something needs it */
/* Makes it with all its limits, ready to be joined. CONFLICT: processes of others are in it. */
int cgroup_make(struct cgroup *c, struct zl_error *err);
/* Its limits alone, of one that is open. */
int cgroup_limit(struct cgroup *c, struct zl_error *err);
/* Its folder alone. 1 it is new, 0 it was there, -1 and errno. */
int cgroup_make_folder(struct cgroup *c);
/* Opens what a join needs, of a cgroup that is there. */
int cgroup_open_join(struct cgroup *c, struct zl_error *err);
/* What joins a cgroup below it that is there: its folder (v2) or tasks (v1), the caller's. */
int cgroup_open_below(struct cgroup *c, const char *path, struct zl_error *err);
/* v2: the folder of the one below it that a process is in; the caller's. */
int cgroup_open_of(struct cgroup *c, int pidfd, struct zl_error *err);
/* Its folder; ENOENT when it is not there. -1 and errno. */
int cgroup_dir(struct cgroup *c);
/* A file for writing; enable: as plan_cgroup.enable, switched on when the file is not there (v2).
 * -1 and errno. */
int cgroup_open_file(struct cgroup *c, const char *name, const char *enable);
/* One write(2) of the whole value. -1 and errno. */
int cgroup_write_value(int fd, const char *value);
/* "write '64m' into '/sys/fs/cgroup/…'": from errno; -1. */
int cgroup_write_failed(const struct cgroup *c, const char *name, const char *value,
                        struct zl_error *err);

/* cgroup_devices.c: device rules of v2, a program of n instructions; others that are attached to it
 * already go. */
int cgroup_set_devices(struct cgroup *c, const uint64_t *program, uint32_t n, struct zl_error *err);

/* cgroup_end.c */
/* cgroup.procs of it and, v2 or v1, of all cgroups that were made below it: "123\n456\n". */
int cgroup_read_procs(struct cgroup *c, struct zl_buf *out, struct zl_error *err);
/* The same as numbers, ascending; *ret is the caller's to free. */
int cgroup_pids(struct cgroup *c, pid_t **ret, size_t *ret_n, struct zl_error *err);
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
