// SPDX-License-Identifier: Apache-2.0
/*
 * What the cgroups of one container count, v1 and v2 alike: read by `zlayer-oci events`, and by the
 * agent, which knows no more of a container than the folders in its record. libc only.
 */
#ifndef ZL_SANDBOX_STATS_H
#define ZL_SANDBOX_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define CGROUP_NO_LIMIT UINT64_MAX

/* Pressure stall information (Documentation/accounting/psi.rst). */
struct cgroup_pressure_line {
    uint32_t avg10, avg60, avg300; /* hundredths of a percent */
    uint64_t total_us;
};
struct cgroup_pressure {
    bool there; /* v2, and the kernel counts it */
    struct cgroup_pressure_line some, full;
};

struct cgroup_cpu_stats {
    uint64_t usage_ns, user_ns, system_ns;
    uint64_t periods, throttled_periods, throttled_ns; /* of a quota */
    uint64_t *per_cpu_ns;                              /* v1 only; n_cpus numbers */
    size_t n_cpus;
    struct cgroup_pressure pressure;
};

struct cgroup_stat_pair {
    char name[40];
    uint64_t value;
};
struct cgroup_memory_stats {
    uint64_t usage, limit, peak; /* bytes; limit: CGROUP_NO_LIMIT; peak 0: not known */
    uint64_t failures;           /* how often the limit was hit */
    uint64_t swap, swap_limit;   /* swap alone, on v1 as well */
    uint64_t kernel, kernel_tcp;
    uint64_t anon, file, mapped_file, inactive_file; /* usage - inactive_file: the working set */
    uint64_t oom_kills;
    struct cgroup_stat_pair *stat; /* memory.stat, whatever this kernel counts */
    size_t n_stat;
    struct cgroup_pressure pressure;
};

struct cgroup_io_device {
    uint32_t major, minor;
    uint64_t read_bytes, write_bytes, discard_bytes;
    uint64_t reads, writes, discards;
};
struct cgroup_hugetlb {
    char page_size[16]; /* "2MB" */
    uint64_t usage, peak, failures;
};
struct cgroup_rdma {
    char device[64];
    uint64_t handles, objects;             /* now */
    uint64_t handles_limit, objects_limit; /* CGROUP_NO_LIMIT */
};

enum { /* cgroup_stats.has */
       CGROUP_HAS_CPU = 1,
       CGROUP_HAS_MEMORY = 2,
       CGROUP_HAS_PIDS = 4,
       CGROUP_HAS_IO = 8,
       CGROUP_HAS_HUGETLB = 16,
       CGROUP_HAS_RDMA = 32,
};
struct cgroup_stats {
    unsigned has; /* whose counters were there; what was not is 0 */
    struct cgroup_cpu_stats cpu;
    struct cgroup_memory_stats memory;
    struct {
        uint64_t current, limit; /* CGROUP_NO_LIMIT */
    } pids;
    struct {
        struct cgroup_io_device *v;
        size_t n;
        struct cgroup_io_device sum; /* major and minor are 0 */
        struct cgroup_pressure pressure;
    } io;
    struct {
        struct cgroup_hugetlb *v;
        size_t n;
    } hugetlb;
    struct {
        struct cgroup_rdma *v;
        size_t n;
    } rdma;
};

/*
 * Reads what the n folders count: one per hierarchy, as a plan or a record lists them
 * ("/sys/fs/cgroup/memory/zlayer/c/2k7q"). A folder that is not there counts nothing; NOT_FOUND
 * when none is. ret is set whenever this returns 0, and then the caller's to end.
 */
int cgroup_stats_read(const char *const *dirs, size_t n, struct cgroup_stats *ret,
                      struct zl_error *err);
void cgroup_stats_done(struct cgroup_stats *s);

#endif
