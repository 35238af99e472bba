// SPDX-License-Identifier: Apache-2.0
/*
 * A service that is run as often as it is asked for, by users, by its schedule, or by those who
 * depend on it: at most ten executions of a job run at a time, the others wait in order.
 */
#ifndef ZL_CORE_JOB_H
#define ZL_CORE_JOB_H

#include "core/core.h"

struct execution;
struct service;

/* A new execution, not of its schedule. NULL: no memory. */
struct execution *job_run(struct core *c, struct service *job, enum execution_cause cause);
/* Starts what is pending, runs what others wait for, forgets what is old. */
void job_reconcile(struct core *c, struct service *job);

#endif
