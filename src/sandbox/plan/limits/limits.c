// SPDX-License-Identifier: Apache-2.0
/* What the limits of all controllers have in common, and the table of controllers. */
#include "sandbox/plan/limits/limits.h"

#include <inttypes.h>

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

/* ---- all controllers ---- */

/* 0 means no limit, as runc and crun have it. */
static int pids(struct limits *l)
{
    struct zl_opt_i64 limit = l->r->pids.limit;

    if (limit.set && limit.v <= 0)
        limits_put(l, 0, "pids.max", "max");
    else
        limits_put_i64(l, 0, "pids.max", limit);
    return 0;
}

static const struct controller pids_controller = {
    .v1 = "pids",
    .v2 = "pids",
    .write_v1 = pids,
    .write_v2 = pids,
    .counts = true,
    .always = true,
};

static int devices(struct limits *l)
{
    build_device_rules(l->b, l->r, &l->rows);
    return 0;
}

/* v2 has a program in its place: device_bpf.c. */
static const struct controller devices_controller = { .v1 = "devices", .write_v1 = devices };

/* Nobody limits it: pausing uses it (carry/live.c); v2's is a file of every cgroup. */
static const struct controller freezer_controller = { .v1 = "freezer" };

const struct controller *const controllers[] = {
    &memory_controller,
    &pids_controller,
    &devices_controller,
    &cpu_controller,
    &cpuacct_controller,
    &cpuset_controller,
    &io_controller,
    &hugetlb_controller,
    &net_cls_controller,
    &net_prio_controller,
    &rdma_controller,
    &freezer_controller,
    NULL,
};
