// SPDX-License-Identifier: Apache-2.0
/* blkio of v1, io of v2: weights and limits of block devices. */
#include <inttypes.h>

#include "sandbox/plan/limits/limits.h"

/* "8:0 100", "8:0 rbps=100" */
static void put_of_device(struct limits *l, uint32_t flags, const char *file, int64_t major,
                          int64_t minor, const char *key, uint64_t value)
{
    limits_put(l, flags, file, "%" PRId64 ":%" PRId64 " %s%" PRIu64, major, minor, key, value);
}

/* ---- v1 ---- */

static void throttle_v1(struct limits *l, const char *file, const struct oci_throttles *t)
{
    for (size_t i = 0; i < t->n; i++)
        put_of_device(l, 0, file, t->v[i].major, t->v[i].minor, "", t->v[i].rate);
}

/* CFQ had weights until Linux 5.0; since then BFQ has, under another name. */
static void weights_v1(struct limits *l)
{
    const struct oci_block_io *b = &l->r->block_io;

    if (b->weight.v) {
        limits_put_u64(l, PLAN_FILE_OR_NEXT, "blkio.weight", b->weight);
        limits_put_u64(l, 0, "blkio.bfq.weight", b->weight);
    }
    limits_put_u64(l, 0, "blkio.leaf_weight", b->leaf_weight);
    for (size_t i = 0; i < b->weight_devices.n; i++) {
        const struct oci_weight_device *d = &b->weight_devices.v[i];
        if (d->weight.v) {
            put_of_device(l, PLAN_FILE_OR_NEXT, "blkio.weight_device", d->major, d->minor, "",
                          d->weight.v);
            put_of_device(l, 0, "blkio.bfq.weight_device", d->major, d->minor, "", d->weight.v);
        }
        if (d->leaf_weight.v)
            put_of_device(l, 0, "blkio.leaf_weight_device", d->major, d->minor, "",
                          d->leaf_weight.v);
    }
}

static int write_v1(struct limits *l)
{
    const struct oci_block_io *b = &l->r->block_io;

    weights_v1(l);
    throttle_v1(l, "blkio.throttle.read_bps_device", &b->read_bps);
    throttle_v1(l, "blkio.throttle.write_bps_device", &b->write_bps);
    throttle_v1(l, "blkio.throttle.read_iops_device", &b->read_iops);
    throttle_v1(l, "blkio.throttle.write_iops_device", &b->write_iops);
    return 0;
}

/* ---- v2 ---- */

/* BFQ's 1 … 1000 → io.weight's 1 … 10000 */
static uint64_t io_weight(uint64_t weight)
{
    return weight < 10 ? 1 : 1 + (weight - 10) * 9999 / 990;
}

static int weights_v2(struct limits *l)
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
        put_of_device(l, PLAN_FILE_OR_NEXT, "io.bfq.weight", d->major, d->minor, "", d->weight.v);
        put_of_device(l, 0, "io.weight", d->major, d->minor, "", io_weight(d->weight.v));
    }
    return leaf ? limits_refuse(l, "blockIO.leafWeight", "cgroup v2 has none") : 0;
}

static void throttle_v2(struct limits *l, const char *key, const struct oci_throttles *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct oci_throttle_device *d = &t->v[i];
        if (d->rate)
            put_of_device(l, 0, "io.max", d->major, d->minor, key, d->rate);
        else /* v1's way to say that there is no limit any more */
            limits_put(l, 0, "io.max", "%" PRId64 ":%" PRId64 " %smax", d->major, d->minor, key);
    }
}

static int write_v2(struct limits *l)
{
    const struct oci_block_io *b = &l->r->block_io;

    if (weights_v2(l) < 0)
        return -1;
    throttle_v2(l, "rbps=", &b->read_bps);
    throttle_v2(l, "wbps=", &b->write_bps);
    throttle_v2(l, "riops=", &b->read_iops);
    throttle_v2(l, "wiops=", &b->write_iops);
    return 0;
}

const struct controller io_controller = {
    .v1 = "blkio",
    .v2 = "io",
    .write_v1 = write_v1,
    .write_v2 = write_v2,
    .counts = true,
};
