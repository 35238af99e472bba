// SPDX-License-Identifier: Apache-2.0
/*
 * A plan made by hand: a busybox root, its own namespaces, one or two cgroups below a parent that
 * is the test's own. Enough to try the shim without the half of sandbox/ that plans.
 */
#ifndef ZL_TEST_MONITOR_TINYPLAN_H
#define ZL_TEST_MONITOR_TINYPLAN_H

#include "sandbox/plan.h"

struct tiny_options {
    const char *root;        /* the root filesystem */
    const char *cgroup;      /* "zlayer-test-123/c/abc" */
    const char *memory_max;  /* bytes as text; NULL: no limit */
    const char *const *argv; /* NULL-terminated */
    bool terminal;
    bool host_pids; /* no PID namespace of its own */
};

/* Sealed memfds, the caller's to close. */
int tiny_plan(const struct tiny_options *o);
int tiny_exec_plan(const char *const *argv, bool terminal);
/* A new limit of processes for the container of this cgroup. */
int tiny_update_plan(const char *cgroup, const char *pids_max);

/* Whether there is a v1 or v2 hierarchy that counts memory, and we may use it. */
bool tiny_cgroups_work(void);
/* Of what limits the number of processes: "/sys/fs/cgroup/pids". */
const char *tiny_pids_mount(void);
/* The folder of the parent in the first hierarchy, for looking at: "/sys/fs/cgroup/memory". */
const char *tiny_cgroup_mount(void);
/* Kills what is in this cgroup and removes it, in every hierarchy. */
void tiny_remove_cgroup(const char *cgroup);
/* Removes parent/c, parent/shims and parent in every hierarchy that tiny_plan used. */
void tiny_remove_parent(const char *parent);

#endif
