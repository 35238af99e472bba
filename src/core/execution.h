// SPDX-License-Identifier: Apache-2.0
/*
 * Executions of jobs: pending → running → one terminal status, once, never left again. A
 * container belongs to one execution and is made at most once for it.
 */
#ifndef ZL_CORE_EXECUTION_H
#define ZL_CORE_EXECUTION_H

#include "core/core.h"

struct deployment;
struct execution;
struct instance;
struct service;
struct stop_how;

/* A new pending one of this job; due_ms of CAUSE_SCHEDULE, else 0. NULL: no memory. */
struct execution *execution_new(struct core *c, struct service *job, enum execution_cause cause,
                                int64_t due_ms);
/* One from the store; in its place by age. NULL: no memory. */
struct execution *execution_load(struct core *c, struct deployment *d,
                                 const struct row_execution *row);
/* from goes: its executions are those of the job `to` now; NULL: of nobody, on their way out. */
void execution_hand_over(struct service *from, struct service *to);
struct execution *execution_find(const struct core *c, uint64_t id); /* of any deployment */
void execution_adopt(struct core *c, struct execution *x, struct instance *i);
/* After a restore: what has left no trace has failed. */
void execution_settle_restored(struct core *c, struct execution *x, bool rebooted);
/* Removes it from memory and store; it has no instance. */
void execution_delete(struct core *c, struct execution *x);
bool execution_terminal(const struct execution *x);
/* Terminal, with the reason that fmt makes; code -1: there was no exit. No effect on one that has
 * ended. */
void execution_fail(struct core *c, struct execution *x, int code, const char *fmt, ...)
    ZL_PRINTF(4, 5);
/* Terminal at once; its container is stopped afterwards. */
void execution_cancel(struct core *c, struct execution *x, const struct stop_how *how);
/* One of this job has not come to its end yet. */
bool execution_any_busy(const struct service *job);
/* x takes the place of all others of its job that have not ended: cancels them, and says why. */
void execution_replace_others(struct core *c, const struct execution *x, const char *why);
/* Those of a job that have not ended; with force also the containers of those that have. */
void execution_cancel_all(struct core *c, const struct service *job, const struct stop_how *how);
void execution_row(const struct execution *x, struct row_execution *ret); /* borrows from x */
uint64_t execution_deadline(const struct execution *x, uint64_t now);

/* Of the present revision: one was run, and not interrupted; one has begun to run; one has
 * completed. */
bool execution_has_run(const struct service *job);
bool execution_has_started(const struct service *job);
bool execution_has_completed(const struct service *job);

#endif
