// SPDX-License-Identifier: Apache-2.0
/*
 * memory: v1 limits memory with swap, v2 swap alone; config.json means v1's. What v2 counts
 * otherwise is converted as the spec's other implementations do it, so that one config.json means
 * the same under each.
 */
#include <inttypes.h>

#include "sandbox/plan/limits/limits.h"

static int write_v1(struct limits *l)
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

static int write_v2(struct limits *l)
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

const struct controller memory_controller = {
    .v1 = "memory",
    .v2 = "memory",
    .write_v1 = write_v1,
    .write_v2 = write_v2,
    .counts = true,
    .always = true,
};
