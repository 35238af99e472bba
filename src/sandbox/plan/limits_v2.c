// SPDX-License-Identifier: Apache-2.0
/*
 * linux.resources → the files of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst). The
 * properties are v1's: what v2 counts otherwise is converted as runtime-spec's other
 * implementations do it, so that one config.json means the same under each.
 */
#include <inttypes.h>

#include "sandbox/plan/limits.h"

/* ---- memory ---- */

/* memory+swap of v1 as swap alone. */
static int swap_alone(struct limits *l)
{
    const struct oci_memory *m = &l->r->memory;
    struct zl_opt_i64 swap = m->swap;

    if (!swap.set || !swap.v)
        return 0;
    if (swap.v < 0) { /* without swap there is nothing to limit, and no file */
        limits_put(l, PLAN_FILE_OPTIONAL, "memory.swap.max", "max");
        return 0;
    }
    if (!m->limit.set || m->limit.v <= 0)
        return limits_refuse(l, "memory.swap",
                             "it counts memory as well: memory.limit is required");
    if (swap.v < m->limit.v)
        return zl_fail(l->b->err, ZL_ERR_INVALID,
                       "linux.resources.memory.swap: %" PRId64 " is less than memory.limit",
                       swap.v);
    limits_put(l, swap.v == m->limit.v ? PLAN_FILE_OPTIONAL : 0, "memory.swap.max", "%" PRId64,
               swap.v - m->limit.v);
    return 0;
}

int memory_v2(struct limits *l)
{
    const struct oci_memory *m = &l->r->memory;
    const struct {
        bool there;
        const char *name;
    } left_out[] = { { m->swappiness.set, "swappiness" },
                     { m->disable_oom_killer, "disableOOMKiller" },
                     { m->kernel_tcp.v > 0, "kernelTCP" },
                     { m->kernel.v > 0, "kernel" } };

    limits_put_max(l, m->check_before_update ? PLAN_FILE_NOT_BELOW_USAGE : 0, "memory.max",
                   m->limit);
    if (swap_alone(l) < 0)
        return -1;
    limits_put_max(l, 0, "memory.low", m->reservation);
    for (size_t i = 0; i < ZL_ARRAY_LEN(left_out); i++)
        if (left_out[i].there)
            build_note(l->b, "linux.resources.memory.%s: cgroup v2 has none: left out",
                       left_out[i].name);
    return 0;
}

/* ---- cpu ---- */

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

int cpu_v2(struct limits *l)
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

/* ---- io ---- */

/* BFQ's 1 … 1000 → io.weight's 1 … 10000 */
static uint64_t io_weight(uint64_t weight)
{
    return weight < 10 ? 1 : 1 + (weight - 10) * 9999 / 990;
}

static int weights(struct limits *l)
{
    const struct oci_block_io *b = &l->r->block_io;
    bool leaf = b->leaf_weight.v;

    if (b->weight.v) {
        limits_put_u64(l, PLAN_FILE_OR_NEXT, "io.bfq.weight", b->weight);
        limits_put(l, 0, "io.weight", "default %" PRIu64, io_weight(b->weight.v));
    }
    for (size_t i = 0; i < b->weight_devices.n; i++) {
        const struct oci_weight_device *d = &b->weight_devices.v[i];
        leaf |= d->leaf_weight.v != 0;
        if (!d->weight.v)
            continue;
        limits_put(l, PLAN_FILE_OR_NEXT, "io.bfq.weight", "%" PRId64 ":%" PRId64 " %" PRIu64,
                   d->major, d->minor, d->weight.v);
        limits_put(l, 0, "io.weight", "%" PRId64 ":%" PRId64 " %" PRIu64, d->major, d->minor,
                   io_weight(d->weight.v));
    }
    return leaf ? limits_refuse(l, "blockIO.leafWeight", "cgroup v2 has none") : 0;
}

static void throttle(struct limits *l, const char *key, const struct oci_throttles *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct oci_throttle_device *d = &t->v[i];
        if (d->rate)
            limits_put(l, 0, "io.max", "%" PRId64 ":%" PRId64 " %s=%" PRIu64, d->major, d->minor,
                       key, d->rate);
        else /* v1's way to say that there is no limit any more */
            limits_put(l, 0, "io.max", "%" PRId64 ":%" PRId64 " %s=max", d->major, d->minor, key);
    }
}

int io_v2(struct limits *l)
{
    const struct oci_block_io *b = &l->r->block_io;

    if (weights(l) < 0)
        return -1;
    throttle(l, "rbps", &b->read_bps);
    throttle(l, "wbps", &b->write_bps);
    throttle(l, "riops", &b->read_iops);
    throttle(l, "wiops", &b->write_iops);
    return 0;
}

/* ---- the rest ---- */

int hugetlb_v2(struct limits *l)
{
    for (size_t i = 0; i < l->r->hugepages.n; i++) {
        const struct oci_hugepage_limit *h = &l->r->hugepages.v[i];
        char file[64];
        if (check_page_size(l, i) < 0)
            return -1;
        (void)snprintf(file, sizeof file, "hugetlb.%.24s.rsvd.max", h->page_size);
        limits_put(l, PLAN_FILE_OPTIONAL, file, "%" PRIu64, h->limit);
        (void)snprintf(file, sizeof file, "hugetlb.%.24s.max", h->page_size);
        limits_put(l, 0, file, "%" PRIu64, h->limit);
    }
    return 0;
}

int network_v2(struct limits *l)
{
    if (l->r->network.class_id.v || l->r->network.priorities.n)
        return limits_refuse(l, "network", "cgroup v2 has neither net_cls nor net_prio");
    return 0;
}
