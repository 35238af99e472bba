// SPDX-License-Identifier: Apache-2.0
/*
 * What is asked of a container, and told about it, that core has no part in: no decision hangs on
 * it. Plain data between the API and the runtimes, which do not know each other.
 */
#ifndef ZL_CORE_FACTS_H
#define ZL_CORE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

/* New limits for a container that is there; what is not set stays as it is. All strings borrowed,
 * NULL: not said. */
struct fact_limits {
    struct zl_opt_u64 cpu_shares, cpu_period, cpu_realtime_period; /* periods in microseconds */
    struct zl_opt_i64 cpu_quota, cpu_realtime_runtime;
    const char *cpuset_cpus, *cpuset_mems;
    struct zl_opt_i64 memory, memory_reservation; /* bytes; -1: none */
    struct zl_opt_i64 memory_swap;                /* memory and swap together; -1: none */
    struct zl_opt_i64 kernel_memory;
    struct zl_opt_u64 blkio_weight; /* 10 to 1000 */
    struct zl_opt_i64 pids;         /* -1: none */
};

/* What an operation tells; which member counts its kind says. Valid during the callback. */
struct fact {
    union {
        const char *warnings; /* of new limits: what was left out and why, a line each; or "" */
    };
};

#endif
