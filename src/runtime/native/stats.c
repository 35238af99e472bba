// SPDX-License-Identifier: Apache-2.0
/* RT_STATS: read from the cgroups of the record, v1 and v2 alike, by a table of files. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "runtime/native/inner.h"

/* Above this a v1 limit means "none": the kernel rounds its maximum down to a page. */
#define NO_LIMIT (UINT64_C(1) << 62)

static const struct source {
    const char *file;
    const char *key; /* of a "key value" line; NULL: the file is one number */
    size_t offset;   /* in struct rt_stats */
    uint64_t scale;
} sources[] = {
    /* clang-format off */
    { "cpuacct.usage",         NULL,         offsetof(struct rt_stats, cpu_usage_ns), 1 },
    { "cpu.stat",              "usage_usec", offsetof(struct rt_stats, cpu_usage_ns), 1000 },
    { "memory.usage_in_bytes", NULL,         offsetof(struct rt_stats, memory_bytes), 1 },
    { "memory.current",        NULL,         offsetof(struct rt_stats, memory_bytes), 1 },
    { "memory.limit_in_bytes", NULL,         offsetof(struct rt_stats, memory_limit), 1 },
    { "memory.max",            NULL,         offsetof(struct rt_stats, memory_limit), 1 },
    { "pids.current",          NULL,         offsetof(struct rt_stats, pids),         1 },
    /* clang-format on */
};

/* The number behind key and a space, or at the start; false for "max" and for a missing key. */
static bool find_number(const char *text, const char *key, uint64_t *ret)
{
    char *end;
    if (key) {
        size_t n = strlen(key);
        while (text && (strncmp(text, key, n) != 0 || text[n] != ' ')) {
            text = strchr(text, '\n');
            text = text ? text + 1 : NULL;
        }
        if (!text)
            return false;
        text += n + 1;
    }
    errno = 0;
    uint64_t v = strtoull(text, &end, 10);
    if (end == text || errno)
        return false;
    *ret = v;
    return true;
}

static void read_cgroup(const char *dir, struct rt_stats *out)
{
    zl_autoclose int fd = zl_open_dir(AT_FDCWD, dir, NULL);
    for (size_t i = 0; fd >= 0 && i < ZL_ARRAY_LEN(sources); i++) {
        const struct source *s = &sources[i];
        zl_autobuf struct zl_buf text = ZL_BUF(64 * 1024);
        uint64_t v;
        /* A file that is not there belongs to another controller or version. */
        if (zl_read_file(fd, s->file, &text, NULL) == 0 && find_number(text.data, s->key, &v))
            *(uint64_t *)((char *)out + s->offset) = v * s->scale;
    }
}

struct rt_call *native_stats(struct native *n, const struct rt_request *rq, rt_done_fn done,
                             void *arg)
{
    struct zl_error err = { 0 };
    struct rt_answer a = { 0 };
    struct container *c = container_find(n, rq->id);
    struct native_call *k = native_call_new(n, c, rq, done, arg);
    if (!k)
        return NULL;
    if (!c) {
        (void)zl_fail(&err, ZL_ERR_NOT_FOUND, "no such container");
        return native_call_refuse(k, &err);
    }
    for (size_t i = 0; i < c->record.cgroups.n; i++)
        read_cgroup(c->record.cgroups.v[i], &a.stats);
    if (a.stats.memory_limit >= NO_LIMIT)
        a.stats.memory_limit = 0;
    rt_call_answer_soon(&k->call, &a);
    return &k->call;
}
