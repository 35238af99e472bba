// SPDX-License-Identifier: Apache-2.0
/* cpu, cpuacct and cpuset: one object of config.json. */
#include <inttypes.h>

#include "sandbox/plan/limits/limits.h"

/* ---- cpu: shares of v1 are weights of v2, converted as the spec's other implementations do ----
 */

static int write_v1(struct limits *l)
{
    const struct oci_cpu *c = &l->r->cpu;
    bool idle = c->idle.set && c->idle.v;

    if (!idle) /* an idle group has no shares: the kernel refuses them */
        limits_put_u64(l, 0, "cpu.shares", c->shares);
    limits_put_u64(l, 0, "cpu.cfs_period_us", c->period);
    limits_put_i64(l, 0, "cpu.cfs_quota_us", c->quota);
    limits_put_u64(l, 0, "cpu.cfs_burst_us", c->burst);
    limits_put_u64(l, 0, "cpu.rt_period_us", c->realtime_period);
    limits_put_i64(l, 0, "cpu.rt_runtime_us", c->realtime_runtime);
    if (c->idle.set)
        limits_put(l, idle ? 0 : PLAN_FILE_OPTIONAL, "cpu.idle", "%d", idle);
    return 0;
}

/* 2 … 262144, 1024 by default → 1 … 10000, 100 by default (not exactly: 39) */
static uint64_t weight_of_shares(uint64_t shares)
{
    shares = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
    return 1 + (shares - 2) * 9999 / 262142;
}

static void bandwidth(struct limits *l)
{
    const struct oci_cpu *c = &l->r->cpu;
    uint64_t period = c->period.v ? c->period.v : 100000;

    if (!c->quota.v && !c->period.v)
        return;
    if (c->quota.v > 0)
        limits_put(l, 0, "cpu.max", "%" PRId64 " %" PRIu64, c->quota.v, period);
    else
        limits_put(l, 0, "cpu.max", "max %" PRIu64, period);
}

static int write_v2(struct limits *l)
{
    const struct oci_cpu *c = &l->r->cpu;
    bool idle = c->idle.set && c->idle.v;

    if (c->realtime_runtime.v || c->realtime_period.v)
        return limits_refuse(l, "cpu.realtimeRuntime", "cgroup v2 has no realtime limits");
    if (c->shares.v && !idle) /* an idle group has no weight: the kernel refuses it */
        limits_put(l, 0, "cpu.weight", "%" PRIu64, weight_of_shares(c->shares.v));
    bandwidth(l);
    limits_put_u64(l, 0, "cpu.max.burst", c->burst);
    if (c->idle.set)
        limits_put(l, idle ? 0 : PLAN_FILE_OPTIONAL, "cpu.idle", "%d", idle);
    return 0;
}

const struct controller cpu_controller = {
    .v1 = "cpu",
    .v2 = "cpu",
    .write_v1 = write_v1,
    .write_v2 = write_v2,
    .always = true,
};

/* v2 counts in cpu.stat, which every cgroup has. */
const struct controller cpuacct_controller = { .v1 = "cpuacct", .counts = true };

/* ---- cpuset ---- */

static int cpuset(struct limits *l)
{
    const struct oci_cpu *c = &l->r->cpu;

    if (c->cpus && c->cpus[0])
        limits_put(l, 0, "cpuset.cpus", "%s", c->cpus);
    if (c->mems && c->mems[0])
        limits_put(l, 0, "cpuset.mems", "%s", c->mems);
    return 0;
}

const struct controller cpuset_controller = {
    .v1 = "cpuset",
    .v2 = "cpuset",
    .write_v1 = cpuset,
    .write_v2 = cpuset,
};
