// SPDX-License-Identifier: Apache-2.0
/*
 * resources → cgroups: which hierarchies are joined and what is written into which file. One table
 * per version names the files; v2's values are computed from v1's as runtime-spec,
 * config-linux.md, and the kernel's cgroup-v2.rst define them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/plan/parts.h"

/* ---- where ---- */

/* "." is refused as well: it would name the hierarchy's root, whose processes are the host's. */
static bool has_dots(const char *path)
{
    for (const char *at = path; *at; at += strcspn(at, "/"), at += *at == '/') {
        size_t n = strcspn(at, "/");
        if ((n == 1 || n == 2) && strncmp(at, "..", n) == 0)
            return true;
    }
    return false;
}

static int choose_path(struct build *b)
{
    const char *given = b->config->linux_.cgroups_path;
    const char *parent = b->options->cgroup_parent ? b->options->cgroup_parent : "/zlayer";
    int n;

    while (given && *given == '/')
        given++;
    while (*parent == '/')
        parent++;
    if (given && *given && strchr(given, ':') && !strchr(given, '/'))
        return zl_fail(b->err, ZL_ERR_UNSUPPORTED,
                       "linux.cgroupsPath: '%s' is meant for systemd, whose cgroup driver is not "
                       "supported",
                       given);
    n = given && *given ? snprintf(b->cgroup_path, sizeof b->cgroup_path, "%s", given)
                        : snprintf(b->cgroup_path, sizeof b->cgroup_path, "%s%sc/%s", parent,
                                   *parent ? "/" : "", b->options->id);
    if (n < 0 || (size_t)n >= sizeof b->cgroup_path || has_dots(b->cgroup_path))
        return zl_fail(b->err, ZL_ERR_INVALID, "linux.cgroupsPath: '%s' cannot be used",
                       given ? given : parent);
    return 0;
}

/* ---- rows of one cgroup ---- */

struct files {
    struct build *b;
    struct zl_buf rows; /* struct plan_file */
};

static void put(struct files *f, const char *name, const char *value, bool optional)
{
    struct plan_file row = { .path = writer_text(&f->b->w, name),
                             .value = writer_text(&f->b->w, value),
                             .optional = optional };
    zl_buf_add(&f->rows, &row, sizeof row);
}

static void put_i64(struct files *f, const char *name, struct zl_opt_i64 v)
{
    char text[24];

    if (!v.set)
        return;
    (void)snprintf(text, sizeof text, "%" PRId64, v.v);
    put(f, name, text, false);
}

static void put_u64(struct files *f, const char *name, struct zl_opt_u64 v)
{
    char text[24];

    if (!v.set)
        return;
    (void)snprintf(text, sizeof text, "%" PRIu64, v.v);
    put(f, name, text, false);
}

/* A number, or "max" where v1 says -1 or 0. */
static void put_max(struct files *f, const char *name, struct zl_opt_i64 v)
{
    if (v.set && v.v <= 0)
        put(f, name, "max", false);
    else
        put_i64(f, name, v);
}

/* ---- v1 ---- */

static void memory_v1(struct files *f, const struct oci_resources *r)
{
    put_i64(f, "memory.limit_in_bytes", r->memory.limit); /* memsw cannot be less: it comes after */
    put_i64(f, "memory.memsw.limit_in_bytes", r->memory.swap);
    put_i64(f, "memory.soft_limit_in_bytes", r->memory.reservation);
    put_i64(f, "memory.kmem.tcp.limit_in_bytes", r->memory.kernel_tcp);
    put_u64(f, "memory.swappiness", r->memory.swappiness);
    if (r->memory.disable_oom_killer)
        put(f, "memory.oom_control", "1", false);
}

static void cpu_v1(struct files *f, const struct oci_resources *r)
{
    put_u64(f, "cpu.shares", r->cpu.shares);
    put_u64(f, "cpu.cfs_period_us", r->cpu.period);
    put_i64(f, "cpu.cfs_quota_us", r->cpu.quota);
    put_u64(f, "cpu.cfs_burst_us", r->cpu.burst);
    put_u64(f, "cpu.rt_period_us", r->cpu.realtime_period);
    put_i64(f, "cpu.rt_runtime_us", r->cpu.realtime_runtime);
    put_i64(f, "cpu.idle", r->cpu.idle);
}

static void cpuset_v1(struct files *f, const struct oci_resources *r)
{
    if (r->cpu.cpus && r->cpu.cpus[0])
        put(f, "cpuset.cpus", r->cpu.cpus, false);
    if (r->cpu.mems && r->cpu.mems[0])
        put(f, "cpuset.mems", r->cpu.mems, false);
}

static void pids_v1(struct files *f, const struct oci_resources *r)
{
    put_max(f, "pids.max", r->pids.limit);
}

static void devices_v1(struct files *f, const struct oci_resources *r)
{
    (void)r;
    build_device_rules(f->b, &f->rows);
}

static void nothing(struct files *f, const struct oci_resources *r)
{
    (void)f, (void)r;
}

/* In the order in which the first that is joined tells who is in the container. A hierarchy is
 * joined when something is written in it, or, `counts`, when statistics are wanted. */
static const struct {
    const char *name;
    void (*limits)(struct files *f, const struct oci_resources *r);
    bool counts;
} v1[] = {
    { "memory", memory_v1, true }, { "pids", pids_v1, true },    { "devices", devices_v1, false },
    { "cpu", cpu_v1, true },       { "cpuacct", nothing, true }, { "cpuset", cpuset_v1, false },
};

static void add_cgroup(struct build *b, struct files *f, struct zl_buf *rows,
                       enum plan_cgroup_kind kind, const char *name)
{
    struct plan_cgroup c = { .kind = kind };

    c.mount = writer_textf(&b->w, "%s%s%s", b->layout->root, name[0] ? "/" : "", name);
    c.path = writer_text(&b->w, b->cgroup_path);
    c.controller = writer_text(&b->w, name);
    c.files = writer_rows(&b->w, &f->rows, sizeof(struct plan_file));
    zl_buf_add(rows, &c, sizeof c);
}

static int add_v1(struct build *b, size_t i, bool anyway, struct zl_buf *rows)
{
    struct files f = { .b = b };
    int rc = 0;

    zl_buf_init(&f.rows, PLAN_MAX);
    v1[i].limits(&f, &b->config->linux_.resources);
    if (f.rows.len && !cgroup_layout_has(b->layout, v1[i].name))
        rc = zl_fail(b->err, ZL_ERR_CONFIGURATION,
                     "linux.resources: this host has no cgroup controller '%s'", v1[i].name);
    else if (f.rows.len || (anyway && cgroup_layout_has(b->layout, v1[i].name)))
        add_cgroup(b, &f, rows, PLAN_CGROUP_V1, v1[i].name);
    zl_buf_done(&f.rows);
    return rc;
}

static int cgroups_v1(struct build *b, struct zl_buf *rows)
{
    if (b->config->linux_.resources.unified.n)
        return zl_fail(b->err, ZL_ERR_UNSUPPORTED,
                       "linux.resources.unified: this host has cgroups of version 1");
    for (size_t i = 0; i < ZL_ARRAY_LEN(v1); i++)
        if (add_v1(b, i, b->options->join_all && v1[i].counts, rows) < 0)
            return -1;
    /* one at least: where the container's processes are found, to signal them all */
    return rows->len ? 0 : add_v1(b, 1, true, rows);
}

/* ---- v2 ---- */

/* memory+swap of v1 as swap alone. */
static struct zl_opt_i64 swap_alone(const struct oci_memory *m)
{
    struct zl_opt_i64 swap = m->swap;

    if (swap.set && swap.v > 0 && m->limit.set && m->limit.v > 0)
        swap.v = swap.v > m->limit.v ? swap.v - m->limit.v : 0;
    return swap;
}

static void memory_v2(struct files *f, const struct oci_resources *r)
{
    struct zl_opt_i64 swap = swap_alone(&r->memory);

    put_max(f, "memory.max", r->memory.limit);
    if (swap.set && swap.v < 0)
        put(f, "memory.swap.max", "max", true);
    else
        put_i64(f, "memory.swap.max", swap);
    put_i64(f, "memory.low", r->memory.reservation);
}

static void cpu_v2(struct files *f, const struct oci_resources *r)
{
    char text[64];
    uint64_t period = r->cpu.period.set && r->cpu.period.v ? r->cpu.period.v : 100000;

    if (r->cpu.shares.set && r->cpu.shares.v) {
        uint64_t shares = r->cpu.shares.v < 2 ? 2 : r->cpu.shares.v;
        if (shares > 262144)
            shares = 262144;
        (void)snprintf(text, sizeof text, "%" PRIu64, 1 + (shares - 2) * 9999 / 262142);
        put(f, "cpu.weight", text, false);
    }
    if (r->cpu.quota.set || r->cpu.period.set) {
        if (r->cpu.quota.set && r->cpu.quota.v > 0)
            (void)snprintf(text, sizeof text, "%" PRId64 " %" PRIu64, r->cpu.quota.v, period);
        else
            (void)snprintf(text, sizeof text, "max %" PRIu64, period);
        put(f, "cpu.max", text, false);
    }
    put_u64(f, "cpu.max.burst", r->cpu.burst);
    put_i64(f, "cpu.idle", r->cpu.idle);
    cpuset_v1(f, r); /* the same files */
}

static int cgroups_v2(struct build *b, struct zl_buf *rows)
{
    const struct oci_resources *r = &b->config->linux_.resources;
    struct files f = { .b = b };
    struct plan_cgroup c = { .kind = PLAN_CGROUP_V2 };

    zl_buf_init(&f.rows, PLAN_MAX);
    memory_v2(&f, r);
    cpu_v2(&f, r);
    pids_v1(&f, r); /* the same file */
    for (size_t i = 0; i < r->unified.n; i++)
        put(&f, r->unified.v[i].key, r->unified.v[i].value, false);
    c.mount = writer_text(&b->w, b->layout->root);
    c.path = writer_text(&b->w, b->cgroup_path);
    c.controller = writer_text(&b->w, "");
    c.enable = writer_text(&b->w, "+memory +pids +cpu +cpuset +io +hugetlb");
    c.files = writer_rows(&b->w, &f.rows, sizeof(struct plan_file));
    zl_buf_done(&f.rows);
    if (build_device_bpf(b, &c.device_bpf) < 0)
        return -1;
    zl_buf_add(rows, &c, sizeof c);
    return 0;
}

/* ---- the choice ---- */

static bool limits_anything(const struct oci_resources *r)
{
    return r->memory.limit.set || r->cpu.quota.set || r->cpu.shares.set || r->pids.limit.set ||
           r->unified.n;
}

static void note_left_out(struct build *b, const struct oci_resources *r)
{
    const struct {
        bool there;
        const char *name;
    } left[] = { { r->block_io, "blockIO" },
                 { r->hugepage_limits, "hugepageLimits" },
                 { r->network, "network" },
                 { r->rdma, "rdma" } };

    for (size_t i = 0; i < ZL_ARRAY_LEN(left); i++)
        if (left[i].there)
            build_note(b, "linux.resources.%s is not carried out", left[i].name);
}

int build_cgroups(struct build *b, struct plan *p)
{
    const struct oci_resources *r = &b->config->linux_.resources;
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);

    note_left_out(b, r);
    if (choose_path(b) < 0)
        return -1;
    if (b->layout->mode == CGROUP_NONE)
        return limits_anything(r)
                   ? zl_fail(b->err, ZL_ERR_CONFIGURATION,
                             "linux.resources: no cgroups are mounted at '%s'", b->layout->root)
                   : 0;
    if ((b->layout->mode == CGROUP_V2 ? cgroups_v2 : cgroups_v1)(b, &rows) < 0)
        return -1;
    p->cgroups = writer_rows(&b->w, &rows, sizeof(struct plan_cgroup));
    return 0;
}
