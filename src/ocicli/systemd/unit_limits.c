// SPDX-License-Identifier: Apache-2.0
#include "ocicli/systemd/unit_limits.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CPUS_MAX = 8192 };

struct quota {
    struct unit_quota v1;
    bool there;
};

/* "max" and -1: no limit, which systemd writes as the largest number. */
static uint64_t number_of(const char *value)
{
    return value[0] == 'm' || value[0] == '-' ? UINT64_MAX : strtoull(value, NULL, 10);
}

static void put_number(struct zl_buf *out, const char *name, const char *value)
{
    if (strncmp(value, "default ", 8) == 0) /* io.weight */
        value += 8;
    zl_buf_addf(out, "%s=uint64 %" PRIu64 "\n", name, number_of(value));
}

/* Microseconds in a second; systemd counts whole percents, and must not allow less. */
static void put_quota(struct zl_buf *out, uint64_t quota, uint64_t period)
{
    const uint64_t percent = 10000;
    uint64_t per_second = UINT64_MAX;

    if (!period)
        period = 100000;
    if (quota < UINT64_MAX / 1000000)
        per_second = (quota * 1000000 / period + percent - 1) / percent * percent;
    zl_buf_addf(out,
                "CPUQuotaPerSecUSec=uint64 %" PRIu64 "\nCPUQuotaPeriodUSec=uint64 %" PRIu64 "\n",
                per_second, period);
}

/* cpu.max: "QUOTA PERIOD" */
static void put_cpu_max(struct zl_buf *out, const char *name, const char *value)
{
    const char *period = strchr(value, ' ');

    (void)name;
    put_quota(out, number_of(value), period ? strtoull(period + 1, NULL, 10) : 0);
}

/* "0-3,8" as a bit for each. */
static void put_list(struct zl_buf *out, const char *name, const char *value)
{
    uint8_t bits[CPUS_MAX / 8] = { 0 };
    size_t n = 0;
    char *end;

    for (const char *at = value; *at >= '0' && *at <= '9'; at = *end == ',' ? end + 1 : end) {
        unsigned long first = strtoul(at, &end, 10);
        unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;
        for (unsigned long i = first; i <= last && i < CPUS_MAX; i++) {
            bits[i / 8] |= (uint8_t)(1U << i % 8);
            n = i / 8 + 1 > n ? i / 8 + 1 : n;
        }
    }
    zl_buf_addf(out, "%s=[byte ", name);
    for (size_t i = 0; i < n; i++)
        zl_buf_addf(out, "%s%u", i ? ", " : "", bits[i]);
    zl_buf_adds(out, "]\n");
}

/* clang-format off */
static const struct {
    enum plan_cgroup_kind kind;
    const char *file, *property;
    void (*put)(struct zl_buf *out, const char *name, const char *value);
} known[] = {
    { PLAN_CGROUP_V2, "memory.max",            "MemoryMax",          put_number },
    { PLAN_CGROUP_V2, "memory.high",           "MemoryHigh",         put_number },
    { PLAN_CGROUP_V2, "memory.low",            "MemoryLow",          put_number },
    { PLAN_CGROUP_V2, "memory.min",            "MemoryMin",          put_number },
    { PLAN_CGROUP_V2, "memory.swap.max",       "MemorySwapMax",      put_number },
    { PLAN_CGROUP_V2, "pids.max",              "TasksMax",           put_number },
    { PLAN_CGROUP_V2, "cpu.weight",            "CPUWeight",          put_number },
    { PLAN_CGROUP_V2, "cpu.max",               NULL,                 put_cpu_max },
    { PLAN_CGROUP_V2, "cpuset.cpus",           "AllowedCPUs",        put_list },
    { PLAN_CGROUP_V2, "cpuset.mems",           "AllowedMemoryNodes", put_list },
    { PLAN_CGROUP_V2, "io.weight",             "IOWeight",           put_number },
    { PLAN_CGROUP_V1, "memory.limit_in_bytes", "MemoryLimit",        put_number },
    { PLAN_CGROUP_V1, "pids.max",              "TasksMax",           put_number },
    { PLAN_CGROUP_V1, "cpu.shares",            "CPUShares",          put_number },
    { PLAN_CGROUP_V1, "blkio.weight",          "BlockIOWeight",      put_number },
};
/* clang-format on */

static void put_file(const struct plan_cgroup *c, const char *file, const char *value,
                     struct quota *q, struct zl_buf *out)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(known); i++)
        if (known[i].kind == (enum plan_cgroup_kind)c->kind && strcmp(known[i].file, file) == 0)
            known[i].put(out, known[i].property, value);
    if (strcmp(file, "cpu.cfs_quota_us") == 0) {
        q->v1.quota = strtoll(value, NULL, 10);
        q->there = true;
    } else if (strcmp(file, "cpu.cfs_period_us") == 0) {
        q->v1.period = strtoull(value, NULL, 10);
        q->there = true;
    }
}

bool unit_limits_quota(const void *base, struct plan_tab cgroups)
{
    static const char prefix[] = "cpu.cfs_";
    const struct plan_cgroup *c = plan_table(base, cgroups);

    for (uint32_t i = 0; i < cgroups.n; i++) {
        const struct plan_file *f = plan_table(base, c[i].files);
        for (uint32_t k = 0; k < c[i].files.n; k++)
            if (strncmp(plan_text(base, f[k].path), prefix, sizeof prefix - 1) == 0)
                return true;
    }
    return false;
}

void unit_limits(const void *base, struct plan_tab cgroups, struct unit_quota in_force,
                 struct zl_buf *out)
{
    const struct plan_cgroup *c = plan_table(base, cgroups);
    struct quota q = { .v1 = in_force };

    for (uint32_t i = 0; i < cgroups.n; i++) {
        const struct plan_file *f = plan_table(base, c[i].files);
        for (uint32_t k = 0; k < c[i].files.n; k++)
            put_file(&c[i], plan_text(base, f[k].path), plan_text(base, f[k].value), &q, out);
    }
    if (q.there)
        put_quota(out, q.v1.quota < 0 ? UINT64_MAX : (uint64_t)q.v1.quota, q.v1.period);
}
