// SPDX-License-Identifier: Apache-2.0
/*
 * When a cron runs. An expression names due times; each is decided once: it becomes an execution,
 * or it is counted as missed (by catch_up) or as skipped (by overlap). The cursor is the latest due
 * time that was decided, and is stored with the executions that follow from it; so neither a kill
 * nor a late step makes a due time run twice.
 *
 * One timer for all: the moment of each schedule's next run stands in a heap by the wall clock
 * (core_next_wall), and nothing else looks at a schedule before it has come.
 *
 * A clock that is set forward makes firings late, like a time in which the agent was not there:
 * catch_up says what becomes of them. One that is set back a little is waited for, since what it
 * shows again has run. One that is set back far was wrong before: the schedule starts over from
 * what it shows now; what it had shown runs again when its time really comes, but not when the
 * clock is set forward again to where it was. The reasons:
 * docs/decisions/0024-a-clock-that-is-set-back.md.
 */
#ifndef ZL_CORE_SCHEDULE_H
#define ZL_CORE_SCHEDULE_H

#include "core/core.h"

struct execution;
struct schedule;
struct service;

enum {
    SCHEDULE_ON_TIME_MS = 10 * 1000, /* a run that is late by less was not missed */
    SCHEDULE_ALL_MAX = 100,          /* runs that `catch_up: all` makes up for at once */
    SCHEDULE_MISSED_MAX = 1000,      /* misses counted at once; more are "over 1000" */
    SCHEDULE_BACK_MAX_S = 3 * 3600,  /* a clock that is set back by less shows a time again */
    SCHEDULE_BACK_MIN_S = 60,        /* likewise where the schedule is a rhythm */
};

/* Begins now: what was due before is not. NULL: no memory. */
struct schedule *schedule_new(struct core *c, struct service *s);
void schedule_free(struct schedule *h); /* out of the timers, or core goes as well */
/* Whether this document of the service names the same times. */
bool schedule_is_same(const struct schedule *h, const struct spec_service *s);
struct schedule_change {
    bool other_times; /* it begins now */
    bool rested;      /* it was stopped or absent: it goes on from now */
};
/* Its service has another document. */
void schedule_retarget(struct core *c, struct schedule *h, const struct schedule_change *how);
void schedule_load(const struct core *c, struct schedule *h, const struct row_cron *row);
void schedule_enable(struct core *c, struct schedule *h, bool enabled);

/* Decides what is due. */
void schedule_step(struct core *c, struct schedule *h);
/* Its service goes, or is stopped: nothing is due. */
void schedule_rest(struct core *c, struct schedule *h);
/* The wall clock was set, forward or back: every schedule is looked at. */
void schedules_clock_was_set(struct core *c, int64_t by_ms);
/* An execution of it was made. */
void schedule_note_run(struct schedule *h, const struct execution *x);

bool schedule_overlaps(const struct schedule *h); /* its executions may run side by side */
/* When it runs next, wall ms; INT64_MAX: not by itself. */
int64_t schedule_next_ms(const struct schedule *h);
const char *schedule_why(const struct schedule *h); /* it does not run by itself; or "" */

#endif
