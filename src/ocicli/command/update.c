// SPDX-License-Identifier: Apache-2.0
/*
 * update: new limits for a container that is there. The single options become the same JSON as
 * --resources takes, over which they win, so that one decoder checks all.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "ocicli/systemd/unit.h"

enum { RESOURCES_MAX = 8 << 20 };

struct update_options {
    const char *resources;
    const char *blkio_weight, *cpu_period, *cpu_quota, *cpu_burst, *cpu_share, *cpu_idle;
    const char *cpu_rt_period, *cpu_rt_runtime, *cpuset_cpus, *cpuset_mems;
    const char *memory, *memory_reservation, *memory_swap, *kernel_memory, *kernel_memory_tcp;
    const char *pids_limit, *l3_cache_schema, *mem_bw_schema;
};

/* ---- options to JSON ---- */

enum kind { NUMBER, SIZE, TEXT };

/* clang-format off */
static const struct {
    size_t offset; /* of the option's text */
    enum kind kind;
    const char *object, *key; /* linux.resources.<object>.<key> */
} members[] = {
    { offsetof(struct update_options, blkio_weight),       NUMBER, "blockIO", "weight" },
    { offsetof(struct update_options, cpu_period),         NUMBER, "cpu",     "period" },
    { offsetof(struct update_options, cpu_quota),          NUMBER, "cpu",     "quota" },
    { offsetof(struct update_options, cpu_burst),          NUMBER, "cpu",     "burst" },
    { offsetof(struct update_options, cpu_share),          NUMBER, "cpu",     "shares" },
    { offsetof(struct update_options, cpu_idle),           NUMBER, "cpu",     "idle" },
    { offsetof(struct update_options, cpu_rt_period),      NUMBER, "cpu",     "realtimePeriod" },
    { offsetof(struct update_options, cpu_rt_runtime),     NUMBER, "cpu",     "realtimeRuntime" },
    { offsetof(struct update_options, cpuset_cpus),        TEXT,   "cpu",     "cpus" },
    { offsetof(struct update_options, cpuset_mems),        TEXT,   "cpu",     "mems" },
    { offsetof(struct update_options, memory),             SIZE,   "memory",  "limit" },
    { offsetof(struct update_options, memory_reservation), SIZE,   "memory",  "reservation" },
    { offsetof(struct update_options, memory_swap),        SIZE,   "memory",  "swap" },
    { offsetof(struct update_options, kernel_memory),      SIZE,   "memory",  "kernel" },
    { offsetof(struct update_options, kernel_memory_tcp),  SIZE,   "memory",  "kernelTCP" },
    { offsetof(struct update_options, pids_limit),         NUMBER, "pids",    "limit" },
};
/* clang-format on */

/* A unit of Docker's sizes ("k", "mb", "GiB"), all powers of 1024; -1: none. */
static int shift_of(const char *unit)
{
    static const char letters[] = "kmgtp";
    const char *at = *unit ? strchr(letters, *unit | 0x20) : NULL;

    if (!*unit || strcasecmp(unit, "b") == 0)
        return 0;
    if (!at || (unit[1] && strcasecmp(unit + 1, "b") != 0 && strcasecmp(unit + 1, "ib") != 0))
        return -1;
    return 10 * (int)(at - letters + 1);
}

/* "-1", "512000", with SIZE also "512m". */
static json_t *parse(enum kind kind, const char *text)
{
    char *end;
    long long n;
    int shift;

    if (kind == TEXT)
        return json_string(text);
    errno = 0;
    n = strtoll(text, &end, 10);
    shift = kind == SIZE ? shift_of(end) : *end ? -1 : 0;
    if (errno || end == text || shift < 0 || n > (INT64_MAX >> shift) || (n < 0 && shift))
        return NULL;
    return json_integer(n * (1LL << shift));
}

static int add_member(json_t *root, size_t i, const char *text, struct zl_error *err)
{
    const char *object = members[i].object;
    json_t *value = parse(members[i].kind, text);
    json_t *in = json_object_get(root, object);

    if (!value)
        return zl_fail(err, ZL_ERR_INVALID, "update: %s.%s: expected a %s, found '%s'", object,
                       members[i].key, members[i].kind == SIZE ? "size" : "number", text);
    if (!in) {
        in = json_object();
        (void)json_object_set_new(root, object, in);
    }
    if (!json_is_object(in)) {
        json_decref(value);
        return zl_fail(err, ZL_ERR_INVALID, "update: %s: expected an object", object);
    }
    return json_object_set_new(in, members[i].key, value) < 0
               ? zl_fail(err, ZL_ERR_SYSTEM, "update: out of memory")
               : 0;
}

/* FILE, or - for standard input. */
static int read_resources(const char *path, json_t **ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(RESOURCES_MAX);
    json_error_t why;
    int rc = strcmp(path, "-") == 0 ? zl_read_fd(STDIN_FILENO, &text, "standard input", err)
                                    : zl_read_file(AT_FDCWD, path, &text, err);

    if (rc < 0)
        return -1;
    *ret = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    if (!*ret)
        return zl_fail(err, ZL_ERR_INVALID, "%s:%d:%d: %s", path, why.line, why.column, why.text);
    if (json_is_object(*ret))
        return 0;
    json_decref(*ret);
    return zl_fail(err, ZL_ERR_INVALID, "%s: expected an object", path);
}

static int to_text(const struct update_options *o, struct zl_buf *out, struct zl_error *err)
{
    json_t *root = NULL;
    int rc = 0;

    if (o->resources && read_resources(o->resources, &root, err) < 0)
        return -1;
    if (!root)
        root = json_object();
    for (size_t i = 0; rc == 0 && i < ZL_ARRAY_LEN(members); i++) {
        const char *text = *(const char *const *)((const char *)o + members[i].offset);
        if (text)
            rc = add_member(root, i, text, err);
    }
    if (rc == 0)
        rc = zl_json_dump(root, JSON_COMPACT, out, err);
    json_decref(root);
    return rc;
}

/* ---- doing it ---- */

static int apply(struct cli *cli, struct found *f, const struct oci_resources *r,
                 struct zl_error *err)
{
    zl_autobuf struct zl_buf notes = ZL_BUF(65536), bytes = ZL_BUF(PLAN_MAX);
    const struct plan_update *u;

    if (container_load_plan(&f->container, err) < 0 ||
        plan_update_build(r, &notes, &bytes, err) < 0 ||
        plan_update_check(bytes.data, bytes.len, &u, err) < 0)
        return -1;
    oci_warn_lines(cli, &notes);
    if (carry_update(f->container.carry, u, err) < 0)
        return -1;
    if (!unit_is_there(&f->container))
        return 0;
    /* systemd writes what it is told in its own measures: ours come last */
    return unit_set_limits(cli, &f->container, u, u->cgroups, err) < 0
               ? -1
               : carry_update(f->container.carry, u, err);
}

static int update(struct cli *cli, const void *options, int argc, char **argv, struct zl_error *err)
{
    const struct update_options *o = options;
    zl_autobuf struct zl_buf text = ZL_BUF(RESOURCES_MAX);
    const char *what = o->resources ? o->resources : "update";
    struct zl_json document = { 0 };
    struct oci_resources *r;
    autofound struct found f;
    int rc;

    (void)argc;
    if (container_find(cli, argv[0], &f, err) < 0 ||
        found_check(&f, "update", FOUND_LIVING, err) < 0)
        return -1;
    if (o->l3_cache_schema || o->mem_bw_schema)
        return zl_fail(err, ZL_ERR_UNSUPPORTED,
                       "update: Intel RDT (cache and memory bandwidth) is not supported");
    if (to_text(o, &text, err) < 0)
        return -1;
    rc = oci_resources_parse(&document, text.data, text.len, what, &r, err);
    if (rc == 0)
        rc = apply(cli, &f, r, err);
    zl_json_done(&document);
    return rc;
}

/* clang-format off */
#define O(letter, name, member, arg, help) { letter, name, CLI_STRING, offsetof(struct update_options, member), arg, help, NULL }
static const struct cli_option update_options[] = {
    O('r', "resources",          resources,          "FILE",  "linux.resources as JSON; - is standard input. Options win"),
    O(0,   "memory",             memory,             "SIZE",  "limit; 512m, 2g, -1 for none"),
    O(0,   "memory-reservation", memory_reservation, "SIZE",  "soft limit"),
    O(0,   "memory-swap",        memory_swap,        "SIZE",  "limit of memory and swap together; -1 for none"),
    O(0,   "kernel-memory",      kernel_memory,      "SIZE",  "no kernel has it any more: warned of"),
    O(0,   "kernel-memory-tcp",  kernel_memory_tcp,  "SIZE",  "limit of TCP buffers (v1)"),
    O(0,   "pids-limit",         pids_limit,         "N",     "limit of processes; -1 for none"),
    O(0,   "cpu-quota",          cpu_quota,          "US",    "microseconds of CPU in a period; -1 for all"),
    O(0,   "cpu-period",         cpu_period,         "US",    "that period"),
    O(0,   "cpu-burst",          cpu_burst,          "US",    "what may be saved up"),
    O(0,   "cpu-share",          cpu_share,          "N",     "weight against others, 1024 is usual"),
    O(0,   "cpu-idle",           cpu_idle,           "0|1",   "1: only what nobody else wants"),
    O(0,   "cpu-rt-runtime",     cpu_rt_runtime,     "US",    "realtime microseconds in a period (v1)"),
    O(0,   "cpu-rt-period",      cpu_rt_period,      "US",    "that period (v1)"),
    O(0,   "cpuset-cpus",        cpuset_cpus,        "LIST",  "on which CPUs: 0-3,8"),
    O(0,   "cpuset-mems",        cpuset_mems,        "LIST",  "memory of which nodes"),
    O(0,   "blkio-weight",       blkio_weight,       "N",     "weight of block IO, 10 to 1000"),
    O(0,   "l3-cache-schema",    l3_cache_schema,    "TEXT",  "not supported"),
    O(0,   "mem-bw-schema",      mem_bw_schema,      "TEXT",  "not supported"),
    { 0 },
};
/* clang-format on */

const struct cli_command update_command = {
    .name = "update",
    .group = GROUP_CHANGE,
    .args = "ID",
    .summary = "Change the limits of a container",
    .about =
        "What is not said stays as it is. All of it, or an error and the old limits, but for "
        "what cannot be put back:\nlimits by device, device rules, v1's switch of the OOM killer, "
        "and all when systemd refuses them.",
    .examples = "zlayer-oci update --memory 512m --pids-limit 100 web\tsingle limits\n"
                "zlayer-oci update --resources - web < resources.json\tas engines do",
    .options = update_options,
    .options_size = sizeof(struct update_options),
    .completes = "container",
    .min_args = 1,
    .max_args = 1,
    .act = update,
};
