// SPDX-License-Identifier: Apache-2.0
/* What the runtimes tell of a container, and its new limits: plain data of requests and answers. */
#ifndef ZL_RUNTIME_FACTS_H
#define ZL_RUNTIME_FACTS_H

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

/* Pressure stall information: how long processes waited for want of something. */
struct fact_pressure_line {
    double avg10, avg60, avg300; /* percent of the time */
    uint64_t total_us;
};
struct fact_pressure {
    bool there; /* cgroup v2 counts it, where the kernel is asked to */
    struct fact_pressure_line some, full;
};

/* What a container has used up to now. A limit of 0 is none; what a host does not count is 0. */
struct fact_stats {
    int64_t wall_ms;  /* when */
    uint64_t mono_ns; /* the same for differences */
    uint64_t cpu_usage_ns, cpu_user_ns, cpu_system_ns;
    uint64_t cpu_periods, cpu_throttled_periods, cpu_throttled_ns; /* of a quota */
    uint64_t host_cpu_ns; /* what all CPUs of the host did, idle time not counted */
    uint32_t online_cpus;
    uint64_t memory_bytes, memory_limit, memory_peak;
    uint64_t memory_working_set; /* without what the kernel gives up first: inactive files */
    uint64_t memory_anon, memory_file, memory_kernel, swap_bytes, oom_kills;
    uint64_t memory_linear; /* a WebAssembly guest's memories as it sees them; 0: not known */
    uint64_t net_rx_bytes, net_tx_bytes, net_rx_packets, net_tx_packets; /* without lo */
    uint64_t blkio_read_bytes, blkio_write_bytes, blkio_reads, blkio_writes;
    uint64_t pids, pids_limit;
    struct fact_pressure cpu_pressure, memory_pressure, io_pressure;
};

/* A table of texts: cells[0 .. n_columns) are the titles, then each row. */
struct fact_table {
    size_t n_columns, n_rows;
    const char *cells; /* NUL-terminated, one after the other */
};

/* What a container is made of, beyond what its document says. Strings borrowed. */
struct fact_details {
    const char *image_digest;
    const char *runtime;    /* "native", "wasm" */
    struct zl_strs cgroups; /* absolute folders */
    const char *config; /* its config.json as text, with secrets; NULL: it has none (any more) */
};

/* What an operation tells; which member counts its kind says. Valid during the callback. */
struct fact {
    union {
        struct fact_stats stats;
        struct fact_table table;
        struct fact_details details;
        const char *warnings; /* of new limits: what was left out and why, a line each; or "" */
    };
};

#endif
