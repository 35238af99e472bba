// SPDX-License-Identifier: Apache-2.0
/* How far the times of a cron have come: schedule.h. */
#ifndef ZL_CORE_MODEL_SCHEDULE_H
#define ZL_CORE_MODEL_SCHEDULE_H

#include "core/core.h"
#include "core/timers.h"
#include "spec/time/cron.h"

struct service;

struct schedule {
    struct timer timer; /* when it is to be looked at, wall ms, in core's schedule_timers */
    struct service *service;
    struct cron cron;
    const struct spec_schedule_options *options; /* of the service's spec */
    bool zoneless;                               /* the table of its zone is not there */
    struct row_cron row;                         /* its names are the service's */
    uint64_t skipped_in_a_row;
    bool armed; /* timer says when, or in no heap: never */
    bool dirty;
};

#endif
