// SPDX-License-Identifier: Apache-2.0
/* linux.resources → the files of cgroup v1 (Documentation/admin-guide/cgroup-v1). */
#include <inttypes.h>

#include "sandbox/plan/limits.h"

int memory_v1(struct limits *l)
{
    const struct oci_memory *m = &l->r->memory;

    limits_put_i64(l, 0, "memory.limit_in_bytes", m->limit);
    /* cannot be less than the limit: comes after; without swap accounting there is no file */
    limits_put_i64(l, m->swap.v < 0 ? PLAN_FILE_OPTIONAL : 0, "memory.memsw.limit_in_bytes",
                   m->swap);
    limits_put_i64(l, 0, "memory.soft_limit_in_bytes", m->reservation);
    limits_put_i64(l, m->kernel_tcp.v < 0 ? PLAN_FILE_OPTIONAL : 0,
                   "memory.kmem.tcp.limit_in_bytes", m->kernel_tcp);
    if (m->swappiness.set) /* 0 means something here */
        limits_put(l, 0, "memory.swappiness", "%" PRIu64, m->swappiness.v);
    if (m->disable_oom_killer)
        limits_put(l, 0, "memory.oom_control", "1");
    if (m->use_hierarchy) /* since Linux 5.11 always */
        limits_put(l, PLAN_FILE_OPTIONAL, "memory.use_hierarchy", "1");
    if (m->kernel.v > 0)
        build_note(l->b, "linux.resources.memory.kernel: no kernel limits it any more: left out");
    return 0;
}

int cpu_v1(struct limits *l)
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

int devices_v1(struct limits *l)
{
    return build_device_rules(l->b, l->r, &l->rows);
}

/* ---- block devices ---- */

static void throttle(struct limits *l, const char *file, const struct oci_throttles *t)
{
    for (size_t i = 0; i < t->n; i++)
        limits_put(l, 0, file, "%" PRId64 ":%" PRId64 " %" PRIu64, t->v[i].major, t->v[i].minor,
                   t->v[i].rate);
}

/* CFQ had weights until Linux 5.0; since then BFQ has, under another name. */
static void weights(struct limits *l)
{
    const struct oci_block_io *b = &l->r->block_io;

    if (b->weight.set && b->weight.v) {
        limits_put_u64(l, PLAN_FILE_OR_NEXT, "blkio.weight", b->weight);
        limits_put_u64(l, 0, "blkio.bfq.weight", b->weight);
    }
    limits_put_u64(l, 0, "blkio.leaf_weight", b->leaf_weight);
    for (size_t i = 0; i < b->weight_devices.n; i++) {
        const struct oci_weight_device *d = &b->weight_devices.v[i];
        if (d->weight.set && d->weight.v) {
            limits_put(l, PLAN_FILE_OR_NEXT, "blkio.weight_device",
                       "%" PRId64 ":%" PRId64 " %" PRIu64, d->major, d->minor, d->weight.v);
            limits_put(l, 0, "blkio.bfq.weight_device", "%" PRId64 ":%" PRId64 " %" PRIu64,
                       d->major, d->minor, d->weight.v);
        }
        if (d->leaf_weight.set && d->leaf_weight.v)
            limits_put(l, 0, "blkio.leaf_weight_device", "%" PRId64 ":%" PRId64 " %" PRIu64,
                       d->major, d->minor, d->leaf_weight.v);
    }
}

int blkio_v1(struct limits *l)
{
    const struct oci_block_io *b = &l->r->block_io;

    weights(l);
    throttle(l, "blkio.throttle.read_bps_device", &b->read_bps);
    throttle(l, "blkio.throttle.write_bps_device", &b->write_bps);
    throttle(l, "blkio.throttle.read_iops_device", &b->read_iops);
    throttle(l, "blkio.throttle.write_iops_device", &b->write_iops);
    return 0;
}

/* ---- the rest ---- */

/* Reservations are limited where the kernel counts them (Linux 5.7), page faults always. */
int hugetlb_v1(struct limits *l)
{
    for (size_t i = 0; i < l->r->hugepages.n; i++) {
        const struct oci_hugepage_limit *h = &l->r->hugepages.v[i];
        char file[64];
        if (check_page_size(l, i) < 0)
            return -1;
        (void)snprintf(file, sizeof file, "hugetlb.%.24s.rsvd.limit_in_bytes", h->page_size);
        limits_put(l, PLAN_FILE_OPTIONAL, file, "%" PRIu64, h->limit);
        (void)snprintf(file, sizeof file, "hugetlb.%.24s.limit_in_bytes", h->page_size);
        limits_put(l, 0, file, "%" PRIu64, h->limit);
    }
    return 0;
}

int net_cls_v1(struct limits *l)
{
    limits_put_u64(l, 0, "net_cls.classid", l->r->network.class_id);
    return 0;
}

int net_prio_v1(struct limits *l)
{
    for (size_t i = 0; i < l->r->network.priorities.n; i++)
        limits_put(l, 0, "net_prio.ifpriomap", "%s %u", l->r->network.priorities.v[i].name,
                   l->r->network.priorities.v[i].priority);
    return 0;
}
