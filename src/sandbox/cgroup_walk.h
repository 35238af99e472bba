// SPDX-License-Identifier: Apache-2.0
/* A cgroup and all that were made below it, however deep. Thread-safe: no state. */
#ifndef ZL_SANDBOX_CGROUP_WALK_H
#define ZL_SANDBOX_CGROUP_WALK_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
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

/* Appends the numbers of all processes in it and below, one a line; 0 is one out of our PID
 * namespace (cgroups(7)). */
int cgroup_procs_below(int dir_fd, struct zl_buf *out, struct zl_error *err);
/* Whether such a list has pid. */
bool cgroup_lists(const struct zl_buf *procs, pid_t pid);
/* The same as numbers, ascending, without those out of our PID namespace; *ret is the caller's to
 * free. */
int cgroup_pids_below(int dir_fd, pid_t **ret, size_t *ret_n, struct zl_error *err);
/* A signal to each process in it and below, and to nobody else, whatever ends meanwhile; those that
 * are born meanwhile may be missed. */
int cgroup_signal_below(int dir_fd, int signal, struct zl_error *err);
/* Removes all below it that hold no process; the rest stays, which the removal of it will tell. */
void cgroup_remove_below(int dir_fd);

#endif
