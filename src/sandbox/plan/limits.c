// SPDX-License-Identifier: Apache-2.0
/* What the limits of both cgroup versions have in common, and the table of controllers. */
#include "sandbox/plan/limits.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

void limits_put(struct limits *l, uint32_t flags, const char *file, const char *fmt, ...)
{
    zl_autobuf struct zl_buf value = ZL_BUF(PLAN_MAX);
    va_list ap;

    va_start(ap, fmt);
    zl_buf_vaddf(&value, fmt, ap);
    va_end(ap);
    struct plan_file row = { .path = writer_text(&l->b->w, file),
                             .value = writer_text(&l->b->w, value.data),
                             .flags = flags };
    zl_buf_add(&l->rows, &row, sizeof row);
}

void limits_put_i64(struct limits *l, uint32_t flags, const char *file, struct zl_opt_i64 v)
{
    if (v.set && v.v)
        limits_put(l, flags, file, "%" PRId64, v.v);
}

void limits_put_u64(struct limits *l, uint32_t flags, const char *file, struct zl_opt_u64 v)
{
    if (v.set && v.v)
        limits_put(l, flags, file, "%" PRIu64, v.v);
}

void limits_put_max(struct limits *l, uint32_t flags, const char *file, struct zl_opt_i64 v)
{
    if (v.set && v.v < 0)
        limits_put(l, flags, file, "max");
    else
        limits_put_i64(l, flags, file, v);
}

int limits_refuse(struct limits *l, const char *property, const char *why)
{
    return zl_fail(l->b->err, ZL_ERR_UNSUPPORTED, "linux.resources.%s: %s", property, why);
}

/* ---- controllers whose files are the same in v1 and v2 ---- */

/* 0 means no limit, as runc and crun have it. */
int pids_limits(struct limits *l)
{
    struct zl_opt_i64 limit = l->r->pids.limit;

    if (limit.set && limit.v <= 0)
        limits_put(l, 0, "pids.max", "max");
    else
        limits_put_i64(l, 0, "pids.max", limit);
    return 0;
}

int cpuset_limits(struct limits *l)
{
    const struct oci_cpu *c = &l->r->cpu;

    if (c->cpus && c->cpus[0])
        limits_put(l, 0, "cpuset.cpus", "%s", c->cpus);
    if (c->mems && c->mems[0])
        limits_put(l, 0, "cpuset.mems", "%s", c->mems);
    return 0;
}

int rdma_limits(struct limits *l)
{
    for (size_t i = 0; i < l->r->rdma.n; i++) {
        const struct oci_rdma *d = &l->r->rdma.v[i];
        zl_autobuf struct zl_buf value = ZL_BUF(1024);
        if (!d->hca_handles.set && !d->hca_objects.set)
            return zl_fail(l->b->err, ZL_ERR_INVALID,
                           "linux.resources.rdma.%s: hcaHandles or hcaObjects is required",
                           d->device);
        zl_buf_adds(&value, d->device);
        if (d->hca_handles.set)
            zl_buf_addf(&value, " hca_handle=%" PRIu64, d->hca_handles.v);
        if (d->hca_objects.set)
            zl_buf_addf(&value, " hca_object=%" PRIu64, d->hca_objects.v);
        limits_put(l, 0, "rdma.max", "%s", value.data);
    }
    return 0;
}

int check_page_size(struct limits *l, size_t i)
{
    const char *text = l->r->hugepages.v[i].page_size;
    const char *unit = text;

    while (isdigit((unsigned char)*unit))
        unit++;
    if (unit > text &&
        (strcmp(unit, "KB") == 0 || strcmp(unit, "MB") == 0 || strcmp(unit, "GB") == 0))
        return 0;
    return zl_fail(l->b->err, ZL_ERR_INVALID,
                   "linux.resources.hugepageLimits[%zu].pageSize: expected 2MB or the like, found "
                   "'%s'",
                   i, text);
}

/* ---- all controllers ---- */

static int nothing(struct limits *l)
{
    (void)l;
    return 0;
}

/* clang-format off */
const struct controller controllers[] = {
    { "memory",   "memory",  memory_v1,     memory_v2,     true },
    { "pids",     "pids",    pids_limits,   pids_limits,   true },
    { "devices",  NULL,      devices_v1,    nothing,       false }, /* v2: device_bpf.c */
    { "cpu",      "cpu",     cpu_v1,        cpu_v2,        false },
    { "cpuacct",  NULL,      nothing,       nothing,       true },
    { "cpuset",   "cpuset",  cpuset_limits, cpuset_limits, false },
    { "blkio",    "io",      blkio_v1,      io_v2,         true },
    { "hugetlb",  "hugetlb", hugetlb_v1,    hugetlb_v2,    false },
    { "net_cls",  NULL,      net_cls_v1,    network_v2,    false },
    { "net_prio", NULL,      net_prio_v1,   nothing,       false },
    { "rdma",     "rdma",    rdma_limits,   rdma_limits,   false },
    { "freezer",  NULL,      nothing,       nothing,       false },
    { 0 },
};
/* clang-format on */
