// SPDX-License-Identifier: Apache-2.0
/*
 * Inside carry/: where a process will be that is started, opened before it is: the cgroups of the
 * container, or some below them, and namespaces of others.
 */
#ifndef ZL_SANDBOX_CARRY_JOIN_H
#define ZL_SANDBOX_CARRY_JOIN_H

#include "sandbox/carry/inner.h"
#include "sandbox/carry/spawn.h"

/* Of a start, on its stack: how many hierarchies and kinds of namespaces can there be. */
enum { JOIN_TASKS_MAX = 32, JOIN_NAMESPACES_MAX = 16 };
struct join {
    int tasks[JOIN_TASKS_MAX];           /* v1; the container's cgroups' */
    int namespaces[JOIN_NAMESPACES_MAX]; /* ours */
    size_t n_namespaces;
    int pid_namespace;         /* ours; -1: none */
    int below[JOIN_TASKS_MAX]; /* ours: of cgroups below, in place of the container's */
    size_t n_below;
};

/* PROTOCOL: the plan has more of them. */
int join_begin(struct join *j, const struct carry *c, struct zl_error *err);
void join_end(struct join *j); /* closes what is ours */
/* Where s's child will join: v1 by writing, v2 by being born there. */
int join_open_cgroups(struct join *j, struct carry *c, struct spawn *s, struct zl_error *err);
/* The plan's namespaces, before anything changes where their paths lead. */
int join_open_namespaces(struct join *j, const struct carry *c, struct spawn *s,
                         struct zl_error *err);

#endif
