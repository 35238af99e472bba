// SPDX-License-Identifier: Apache-2.0
/* The counters of a container as runc's events have them. */
#include "ocicli/stats.h"

#include <stdio.h>

/* Numbers beyond what JSON's readers take, "no limit" among them, as the largest they take. */
static json_t *number(uint64_t n)
{
    return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static void put(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value); /* NULL: memory ran out; printing tells */
}

static json_t *numbers(const uint64_t *v, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, number(v[i]));
    return list;
}

static json_t *pressure_line(const struct cgroup_pressure_line *l)
{
    return json_pack("{sf sf sf so}", "avg10", l->avg10 / 100.0, "avg60", l->avg60 / 100.0,
                     "avg300", l->avg300 / 100.0, "total", number(l->total_us));
}

static void put_pressure(json_t *object, const struct cgroup_pressure *p)
{
    if (p->there)
        put(object, "psi",
            json_pack("{so so}", "some", pressure_line(&p->some), "full", pressure_line(&p->full)));
}

static json_t *cpu(const struct cgroup_cpu_stats *s)
{
    json_t *usage = json_pack("{so so so}", "total", number(s->usage_ns), "kernel",
                              number(s->system_ns), "user", number(s->user_ns));
    json_t *all;

    if (s->n_cpus)
        put(usage, "percpu", numbers(s->per_cpu_ns, s->n_cpus));
    all = json_pack("{so s{so so so}}", "usage", usage, "throttling", "periods", number(s->periods),
                    "throttledPeriods", number(s->throttled_periods), "throttledTime",
                    number(s->throttled_ns));
    put_pressure(all, &s->pressure);
    return all;
}

static json_t *memory(const struct cgroup_memory_stats *s)
{
    json_t *raw = json_object();
    json_t *all;

    for (size_t i = 0; i < s->n_stat; i++)
        put(raw, s->stat[i].name, number(s->stat[i].value));
    all = json_pack("{so s{so so so so} s{so so so so} s{so so so so} s{so so so so} so}", "cache",
                    number(s->file), "usage", "limit", number(s->limit), "usage", number(s->usage),
                    "max", number(s->peak), "failcnt", number(s->failures), "swap", "limit",
                    number(s->swap_limit), "usage", number(s->swap), "max", number(0), "failcnt",
                    number(0), "kernel", "limit", number(CGROUP_NO_LIMIT), "usage",
                    number(s->kernel), "max", number(0), "failcnt", number(0), "kernelTCP", "limit",
                    number(CGROUP_NO_LIMIT), "usage", number(s->kernel_tcp), "max", number(0),
                    "failcnt", number(0), "raw", raw);
    put_pressure(all, &s->pressure);
    return all;
}

static json_t *io_entry(const struct cgroup_io_device *d, const char *op, uint64_t value)
{
    return json_pack("{sI sI ss so}", "major", (json_int_t)d->major, "minor", (json_int_t)d->minor,
                     "op", op, "value", number(value));
}

static json_t *block_io(const struct cgroup_io_device *v, size_t n)
{
    json_t *bytes = json_array(), *operations = json_array();

    for (size_t i = 0; i < n; i++) {
        (void)json_array_append_new(bytes, io_entry(&v[i], "Read", v[i].read_bytes));
        (void)json_array_append_new(bytes, io_entry(&v[i], "Write", v[i].write_bytes));
        (void)json_array_append_new(operations, io_entry(&v[i], "Read", v[i].reads));
        (void)json_array_append_new(operations, io_entry(&v[i], "Write", v[i].writes));
    }
    return json_pack("{so so}", "ioServiceBytesRecursive", bytes, "ioServicedRecursive",
                     operations);
}

static json_t *hugetlb(const struct cgroup_hugetlb *v, size_t n)
{
    json_t *all = json_object();

    for (size_t i = 0; i < n; i++)
        put(all, v[i].page_size,
            json_pack("{so so so}", "usage", number(v[i].usage), "max", number(v[i].peak),
                      "failcnt", number(v[i].failures)));
    return all;
}

json_t *stats_json(const struct cgroup_stats *s)
{
    uint64_t limit = s->pids.limit == CGROUP_NO_LIMIT ? 0 : s->pids.limit; /* runc: 0 is none */
    json_t *io = block_io(s->io.v, s->io.n);
    json_t *all;

    put_pressure(io, &s->io.pressure);
    all = json_pack("{so so s{so so} so so}", "cpu", cpu(&s->cpu), "memory", memory(&s->memory),
                    "pids", "current", number(s->pids.current), "limit", number(limit), "blkio", io,
                    "hugetlb", hugetlb(s->hugetlb.v, s->hugetlb.n));
    return all;
}
