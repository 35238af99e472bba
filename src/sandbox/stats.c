// SPDX-License-Identifier: Apache-2.0
/*
 * A table of files, each with the function that understands it. Of a v1 folder only the files of
 * its controller are looked for, which its path tells; a v2 folder has those of every controller.
 */
#include "sandbox/stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/fd.h"

enum { FILE_MAX_BYTES = 1 << 20 };

/* Above this a v1 limit means "none": the kernel rounds its maximum down to a page. */
#define V1_NO_LIMIT (UINT64_C(1) << 62)

struct file;
/* Reads the whole file's text into s. */
typedef void (*read_fn)(struct cgroup_stats *s, const struct file *f, const char *text);

struct key { /* of a "name number" line */
    const char *name;
    size_t offset; /* in struct cgroup_stats */
    uint64_t scale;
};
struct file {
    const char *controller; /* v1; NULL: v2 */
    const char *name;
    unsigned has;
    read_fn read;
    size_t offset;          /* number, limit, pressure: where it goes */
    const struct key *keys; /* keyed */
};

#define AT(member) offsetof(struct cgroup_stats, member)

static uint64_t *number_at(struct cgroup_stats *s, size_t offset)
{
    return (uint64_t *)(void *)((char *)s + offset);
}

/* ---- what files look like ---- */

static const char *next_line(const char *at)
{
    at += strcspn(at, "\n");
    return at + (*at == '\n');
}

static uint64_t parse(const char *text)
{
    return strncmp(text, "max", 3) == 0 ? CGROUP_NO_LIMIT : strtoull(text, NULL, 10);
}

static void read_number(struct cgroup_stats *s, const struct file *f, const char *text)
{
    *number_at(s, f->offset) = parse(text);
}

static void read_limit_v1(struct cgroup_stats *s, const struct file *f, const char *text)
{
    uint64_t v = parse(text);
    *number_at(s, f->offset) = v >= V1_NO_LIMIT ? CGROUP_NO_LIMIT : v;
}

/* The line `name number`; false: there is none. */
static bool find_key(const char *text, const char *name, uint64_t *ret)
{
    size_t n = strlen(name);

    for (; *text; text = next_line(text))
        if (strncmp(text, name, n) == 0 && text[n] == ' ') {
            *ret = parse(text + n + 1);
            return true;
        }
    return false;
}

static void read_keyed(struct cgroup_stats *s, const struct file *f, const char *text)
{
    for (const struct key *k = f->keys; k->name; k++) {
        uint64_t v;
        if (find_key(text, k->name, &v))
            *number_at(s, k->offset) = v * k->scale;
    }
}

/* One more zeroed element behind n of them; NULL: no memory, and the list stays as it is. */
static void *grow(void *list, size_t *n, size_t size)
{
    void **v = list;
    void *larger = reallocarray(*v, *n + 1, size);

    if (!larger)
        return NULL;
    *v = larger;
    void *last = (char *)larger + size * (*n)++;
    memset(last, 0, size);
    return last;
}

static void read_memory_stat(struct cgroup_stats *s, const struct file *f, const char *text)
{
    for (const char *at = text; *at; at = next_line(at)) {
        size_t n = strcspn(at, " \n");
        struct cgroup_stat_pair *p;
        if (at[n] != ' ' || n >= sizeof p->name)
            continue;
        p = grow(&s->memory.stat, &s->memory.n_stat, sizeof *p);
        if (!p)
            break;
        memcpy(p->name, at, n);
        p->value = parse(at + n + 1);
    }
    read_keyed(s, f, text);
}

static void read_per_cpu(struct cgroup_stats *s, const struct file *f, const char *text)
{
    (void)f;
    while (*text >= '0' && *text <= '9') {
        char *end;
        uint64_t v = strtoull(text, &end, 10);
        uint64_t *at = grow(&s->cpu.per_cpu_ns, &s->cpu.n_cpus, sizeof *at);
        if (!at)
            return;
        *at = v;
        text = end + strspn(end, " ");
    }
}

/* "0.12" as hundredths. */
static uint32_t hundredths(const char *text)
{
    char *end;
    unsigned long whole = strtoul(text, &end, 10);
    unsigned long part = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;

    return (uint32_t)(whole * 100 + part);
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" */
static void read_pressure_line(const char *line, struct cgroup_pressure_line *ret)
{
    const char *a10 = strstr(line, "avg10="), *a60 = strstr(line, "avg60=");
    const char *a300 = strstr(line, "avg300="), *total = strstr(line, "total=");

    if (!a10 || !a60 || !a300 || !total)
        return;
    ret->avg10 = hundredths(a10 + 6);
    ret->avg60 = hundredths(a60 + 6);
    ret->avg300 = hundredths(a300 + 7);
    ret->total_us = strtoull(total + 6, NULL, 10);
}

static void read_pressure(struct cgroup_stats *s, const struct file *f, const char *text)
{
    struct cgroup_pressure *p = (void *)((char *)s + f->offset);

    for (; *text; text = next_line(text)) {
        p->there = true;
        if (strncmp(text, "some ", 5) == 0)
            read_pressure_line(text, &p->some);
        else if (strncmp(text, "full ", 5) == 0)
            read_pressure_line(text, &p->full);
    }
}

/* ---- block devices ---- */

/* The entry of the device that the line begins with, "8:0 …"; NULL: it begins with none. */
static struct cgroup_io_device *device_of(struct cgroup_stats *s, const char *line,
                                          const char **ret_rest)
{
    char *end;
    unsigned long major = strtoul(line, &end, 10), minor;

    if (end == line || *end != ':')
        return NULL;
    minor = strtoul(end + 1, &end, 10);
    if (*end != ' ')
        return NULL;
    *ret_rest = end + 1;
    for (size_t i = 0; i < s->io.n; i++)
        if (s->io.v[i].major == major && s->io.v[i].minor == minor)
            return &s->io.v[i];
    struct cgroup_io_device *d = grow(&s->io.v, &s->io.n, sizeof *d);
    if (d)
        *d = (struct cgroup_io_device){ .major = (uint32_t)major, .minor = (uint32_t)minor };
    return d;
}

static const struct io_word {
    const char *v2, *v1; /* "rbytes=…"; "Read …", by file bytes or operations */
    size_t offset, offset_ios;
} io_words[] = {
    { "rbytes=", "Read ", offsetof(struct cgroup_io_device, read_bytes),
      offsetof(struct cgroup_io_device, reads) },
    { "wbytes=", "Write ", offsetof(struct cgroup_io_device, write_bytes),
      offsetof(struct cgroup_io_device, writes) },
    { "dbytes=", "Discard ", offsetof(struct cgroup_io_device, discard_bytes),
      offsetof(struct cgroup_io_device, discards) },
    { "rios=", NULL, offsetof(struct cgroup_io_device, reads), 0 },
    { "wios=", NULL, offsetof(struct cgroup_io_device, writes), 0 },
    { "dios=", NULL, offsetof(struct cgroup_io_device, discards), 0 },
};

static void set_word(struct cgroup_io_device *d, size_t offset, const char *text)
{
    *(uint64_t *)(void *)((char *)d + offset) = parse(text);
}

/* blkio.throttle.io_service_bytes_recursive and io_serviced_recursive; f->offset: 0 for the first
 */
static void read_io_v1(struct cgroup_stats *s, const struct file *f, const char *text)
{
    for (const char *at = text; *at; at = next_line(at)) {
        const char *rest;
        struct cgroup_io_device *d = device_of(s, at, &rest);
        for (size_t i = 0; d && i < ZL_ARRAY_LEN(io_words); i++) {
            const struct io_word *w = &io_words[i];
            if (w->v1 && strncmp(rest, w->v1, strlen(w->v1)) == 0)
                set_word(d, f->offset ? w->offset_ios : w->offset, rest + strlen(w->v1));
        }
    }
}

static void read_io_v2(struct cgroup_stats *s, const struct file *f, const char *text)
{
    (void)f;
    for (const char *at = text; *at; at = next_line(at)) {
        const char *rest;
        struct cgroup_io_device *d = device_of(s, at, &rest);
        while (d && *rest && *rest != '\n') {
            for (size_t i = 0; i < ZL_ARRAY_LEN(io_words); i++)
                if (strncmp(rest, io_words[i].v2, strlen(io_words[i].v2)) == 0)
                    set_word(d, io_words[i].offset, rest + strlen(io_words[i].v2));
            rest += strcspn(rest, " \n");
            rest += *rest == ' ';
        }
    }
}

static void sum_devices(struct cgroup_stats *s)
{
    struct cgroup_io_device *sum = &s->io.sum;

    for (size_t i = 0; i < s->io.n; i++) {
        const struct cgroup_io_device *d = &s->io.v[i];
        sum->read_bytes += d->read_bytes;
        sum->write_bytes += d->write_bytes;
        sum->discard_bytes += d->discard_bytes;
        sum->reads += d->reads;
        sum->writes += d->writes;
        sum->discards += d->discards;
    }
}

/* ---- rdma: "mlx4_0 hca_handle=2 hca_object=2000"; f->offset: 0 for what is, 1 for limits ---- */

static struct cgroup_rdma *rdma_of(struct cgroup_stats *s, const char *name, size_t n)
{
    struct cgroup_rdma *d;

    for (size_t i = 0; i < s->rdma.n; i++)
        if (strlen(s->rdma.v[i].device) == n && memcmp(s->rdma.v[i].device, name, n) == 0)
            return &s->rdma.v[i];
    d = n < sizeof d->device ? grow(&s->rdma.v, &s->rdma.n, sizeof *d) : NULL;
    if (d)
        memcpy(d->device, name, n);
    return d;
}

static void read_rdma(struct cgroup_stats *s, const struct file *f, const char *text)
{
    for (const char *at = text; *at; at = next_line(at)) {
        size_t n = strcspn(at, " \n");
        struct cgroup_rdma *d = at[n] == ' ' ? rdma_of(s, at, n) : NULL;
        const char *handles = strstr(at, "hca_handle="), *objects = strstr(at, "hca_object=");
        const char *end = next_line(at);
        if (d && handles && handles < end)
            *(f->offset ? &d->handles_limit : &d->handles) = parse(handles + 11);
        if (d && objects && objects < end)
            *(f->offset ? &d->objects_limit : &d->objects) = parse(objects + 11);
    }
}

/* ---- all files ---- */

/* clang-format off */
static const struct key cpu_stat_v1[] = {
    { "nr_periods",     AT(cpu.periods), 1 },
    { "nr_throttled",   AT(cpu.throttled_periods), 1 },
    { "throttled_time", AT(cpu.throttled_ns), 1 },
    { 0 },
};
static const struct key cpu_stat_v2[] = {
    { "usage_usec",     AT(cpu.usage_ns), 1000 },
    { "user_usec",      AT(cpu.user_ns), 1000 },
    { "system_usec",    AT(cpu.system_ns), 1000 },
    { "nr_periods",     AT(cpu.periods), 1 },
    { "nr_throttled",   AT(cpu.throttled_periods), 1 },
    { "throttled_usec", AT(cpu.throttled_ns), 1000 },
    { 0 },
};
static const struct key memory_stat_v1[] = { /* total_: with the cgroups below */
    { "total_rss",           AT(memory.anon), 1 },
    { "total_cache",         AT(memory.file), 1 },
    { "total_mapped_file",   AT(memory.mapped_file), 1 },
    { "total_inactive_file", AT(memory.inactive_file), 1 },
    { 0 },
};
static const struct key memory_stat_v2[] = {
    { "anon",          AT(memory.anon), 1 },
    { "file",          AT(memory.file), 1 },
    { "file_mapped",   AT(memory.mapped_file), 1 },
    { "inactive_file", AT(memory.inactive_file), 1 },
    { "kernel",        AT(memory.kernel), 1 },
    { 0 },
};
static const struct key oom_control[] = {
    { "oom_kill", AT(memory.oom_kills), 1 },
    { 0 },
};
static const struct key memory_events[] = {
    { "oom_kill", AT(memory.oom_kills), 1 },
    { "max",      AT(memory.failures), 1 },
    { 0 },
};

static const struct file files[] = {
    { "cpuacct", "cpuacct.usage",                    CGROUP_HAS_CPU,    read_number,      AT(cpu.usage_ns), NULL },
    { "cpuacct", "cpuacct.usage_user",               CGROUP_HAS_CPU,    read_number,      AT(cpu.user_ns), NULL },
    { "cpuacct", "cpuacct.usage_sys",                CGROUP_HAS_CPU,    read_number,      AT(cpu.system_ns), NULL },
    { "cpuacct", "cpuacct.usage_percpu",             CGROUP_HAS_CPU,    read_per_cpu,     0, NULL },
    { "cpu",     "cpu.stat",                         0,                 read_keyed,       0, cpu_stat_v1 },
    { "memory",  "memory.usage_in_bytes",            CGROUP_HAS_MEMORY, read_number,      AT(memory.usage), NULL },
    { "memory",  "memory.limit_in_bytes",            0,                 read_limit_v1,    AT(memory.limit), NULL },
    { "memory",  "memory.max_usage_in_bytes",        0,                 read_number,      AT(memory.peak), NULL },
    { "memory",  "memory.failcnt",                   0,                 read_number,      AT(memory.failures), NULL },
    { "memory",  "memory.memsw.usage_in_bytes",      0,                 read_number,      AT(memory.swap), NULL },
    { "memory",  "memory.memsw.limit_in_bytes",      0,                 read_limit_v1,    AT(memory.swap_limit), NULL },
    { "memory",  "memory.kmem.usage_in_bytes",       0,                 read_number,      AT(memory.kernel), NULL },
    { "memory",  "memory.kmem.tcp.usage_in_bytes",   0,                 read_number,      AT(memory.kernel_tcp), NULL },
    { "memory",  "memory.stat",                      0,                 read_memory_stat, 0, memory_stat_v1 },
    { "memory",  "memory.oom_control",               0,                 read_keyed,       0, oom_control },
    { "pids",    "pids.current",                     CGROUP_HAS_PIDS,   read_number,      AT(pids.current), NULL },
    { "pids",    "pids.max",                         0,                 read_number,      AT(pids.limit), NULL },
    { "blkio",   "blkio.throttle.io_service_bytes_recursive", CGROUP_HAS_IO, read_io_v1,  0, NULL },
    { "blkio",   "blkio.throttle.io_serviced_recursive",      CGROUP_HAS_IO, read_io_v1,  1, NULL },
    { "rdma",    "rdma.current",                     CGROUP_HAS_RDMA,   read_rdma,        0, NULL },
    { "rdma",    "rdma.max",                         0,                 read_rdma,        1, NULL },

    { NULL, "cpu.stat",            CGROUP_HAS_CPU,    read_keyed,       0, cpu_stat_v2 },
    { NULL, "cpu.pressure",        0,                 read_pressure,    AT(cpu.pressure), NULL },
    { NULL, "memory.current",      CGROUP_HAS_MEMORY, read_number,      AT(memory.usage), NULL },
    { NULL, "memory.max",          0,                 read_number,      AT(memory.limit), NULL },
    { NULL, "memory.peak",         0,                 read_number,      AT(memory.peak), NULL },
    { NULL, "memory.swap.current", 0,                 read_number,      AT(memory.swap), NULL },
    { NULL, "memory.swap.max",     0,                 read_number,      AT(memory.swap_limit), NULL },
    { NULL, "memory.stat",         0,                 read_memory_stat, 0, memory_stat_v2 },
    { NULL, "memory.events",       0,                 read_keyed,       0, memory_events },
    { NULL, "memory.pressure",     0,                 read_pressure,    AT(memory.pressure), NULL },
    { NULL, "pids.current",        CGROUP_HAS_PIDS,   read_number,      AT(pids.current), NULL },
    { NULL, "pids.max",            0,                 read_number,      AT(pids.limit), NULL },
    { NULL, "io.stat",             CGROUP_HAS_IO,     read_io_v2,       0, NULL },
    { NULL, "io.pressure",         0,                 read_pressure,    AT(io.pressure), NULL },
    { NULL, "rdma.current",        CGROUP_HAS_RDMA,   read_rdma,        0, NULL },
    { NULL, "rdma.max",            0,                 read_rdma,        1, NULL },
};
/* clang-format on */

static uint64_t read_alone(int dir_fd, const char *name)
{
    zl_autobuf struct zl_buf text = ZL_BUF(4096);
    return zl_read_file(dir_fd, name, &text, NULL) < 0 ? 0 : parse(text.data);
}

/* Which page sizes there are, only the names of the files tell: hugetlb.<size>.current, or v1's
 * usage_in_bytes. */
static void read_hugetlb(struct cgroup_stats *s, int dir_fd, bool v2)
{
    const char *usage = v2 ? ".current" : ".usage_in_bytes";
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;

    if (!d)
        zl_closep(&fd);
    while (d && (e = readdir(d))) {
        const char *size = e->d_name + 8;
        size_t n = strncmp(e->d_name, "hugetlb.", 8) == 0 ? strcspn(size, ".") : 0;
        struct cgroup_hugetlb *h;
        char file[64];
        if (!n || n >= sizeof h->page_size || strcmp(size + n, usage) != 0)
            continue;
        h = grow(&s->hugetlb.v, &s->hugetlb.n, sizeof *h);
        if (!h)
            break;
        memcpy(h->page_size, size, n);
        h->usage = read_alone(fd, e->d_name);
        (void)snprintf(file, sizeof file, "hugetlb.%s.max_usage_in_bytes", h->page_size);
        h->peak = v2 ? 0 : read_alone(fd, file);
        (void)snprintf(file, sizeof file, "hugetlb.%s.failcnt", h->page_size);
        h->failures = v2 ? 0 : read_alone(fd, file);
        s->has |= CGROUP_HAS_HUGETLB;
    }
    if (d)
        (void)closedir(d);
}

/* ---- folders ---- */

/* "cpu" among "cpu,cpuacct", which is the first folder below /sys/fs/cgroup. */
static bool is_of(const char *dir, const char *controller)
{
    static const char root[] = "/sys/fs/cgroup/";
    size_t n = strlen(controller);

    if (strncmp(dir, root, sizeof root - 1) != 0)
        return false;
    for (dir += sizeof root - 1; *dir && *dir != '/'; dir += *dir == ',') {
        size_t word = strcspn(dir, ",/");
        if (word == n && memcmp(dir, controller, n) == 0)
            return true;
        dir += word;
    }
    return false;
}

static void read_folder(struct cgroup_stats *s, const char *dir, int fd, bool v2)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(files); i++) {
        zl_autobuf struct zl_buf text = ZL_BUF(FILE_MAX_BYTES);
        const struct file *f = &files[i];
        if (v2 != !f->controller || (!v2 && !is_of(dir, f->controller)))
            continue;
        if (zl_read_file(fd, f->name, &text, NULL) < 0)
            continue; /* not of this kernel, or its controller is not switched on */
        f->read(s, f, text.data);
        s->has |= f->has;
    }
    if (v2 || is_of(dir, "hugetlb"))
        read_hugetlb(s, fd, v2);
}

/* v1 counts memory and swap together, and limits them so. */
static void take_swap_apart(struct cgroup_memory_stats *m)
{
    m->swap = m->swap > m->usage ? m->swap - m->usage : 0;
    if (m->swap_limit != CGROUP_NO_LIMIT && m->limit != CGROUP_NO_LIMIT)
        m->swap_limit = m->swap_limit > m->limit ? m->swap_limit - m->limit : 0;
}

int cgroup_stats_read(const char *const *dirs, size_t n, struct cgroup_stats *ret,
                      struct zl_error *err)
{
    struct cgroup_stats s = { .memory = { .limit = CGROUP_NO_LIMIT, .swap_limit = CGROUP_NO_LIMIT },
                              .pids = { .limit = CGROUP_NO_LIMIT } };
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        struct statfs fs;
        zl_autoclose int fd = open(dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstatfs(fd, &fs) < 0)
            continue;
        bool v2 = (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC;
        found++;
        read_folder(&s, dirs[i], fd, v2);
        if (!v2 && is_of(dirs[i], "memory"))
            take_swap_apart(&s.memory);
    }
    if (!found)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "read statistics: none of its cgroups is there");
    sum_devices(&s);
    *ret = s;
    return 0;
}

void cgroup_stats_done(struct cgroup_stats *s)
{
    free(s->cpu.per_cpu_ns);
    free(s->memory.stat);
    free(s->io.v);
    free(s->hugetlb.v);
    free(s->rdma.v);
    *s = (struct cgroup_stats){ 0 };
}
