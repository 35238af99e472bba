// SPDX-License-Identifier: Apache-2.0
/* Inside plan/: which cgroup hierarchies this host has, and where. */
#ifndef ZL_SANDBOX_PLAN_LAYOUT_H
#define ZL_SANDBOX_PLAN_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

enum { LAYOUT_MAX = 24 };

enum cgroup_mode {
    CGROUP_NONE, /* nothing is mounted */
    CGROUP_V1,   /* also hybrid: the controllers are in v1 hierarchies */
    CGROUP_V2,
};

struct cgroup_hierarchy {
    char name[48];    /* of its folder: "memory", "cpu,cpuacct", "systemd", "unified" */
    char link_to[48]; /* a link to another, "cpu" → "cpu,cpuacct"; "": it is mounted there */
    char type[8];     /* "cgroup", "cgroup2" */
};

struct cgroup_layout {
    enum cgroup_mode mode;
    char root[64];                         /* "/sys/fs/cgroup" */
    struct cgroup_hierarchy v[LAYOUT_MAX]; /* v1, hybrid */
    size_t n;
};

/*
 * Looks at root, where systemd and everybody after it mounts cgroups: statfs(2) tells the kind, the
 * folder's entries which controllers are there. No mount table is read: that grows with the host.
 */
int cgroup_layout_probe(const char *root, struct cgroup_layout *ret, struct zl_error *err);
/* The folder of v1's controller below root, which may be another's as well ("cpu,cpuacct"); NULL:
 * v1 does not have it. */
const char *cgroup_layout_folder(const struct cgroup_layout *l, const char *controller);
/* Whether v2 has this controller; `hybrid`: its hierarchy beside v1's, at root/unified. */
bool cgroup_layout_v2_has(const struct cgroup_layout *l, const char *controller);

#endif
