// SPDX-License-Identifier: Apache-2.0
/*
 * stats and top. What containers use is counted from their start; percent of CPU is the difference
 * of two samples: of the whole machine, so 100 is all of its CPUs.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/output.h"
#include "cli/resolve.h"

enum { ROUND_MS = 1000, FIRST_MS = 250 };

/* ---- samples ------------------------------------------------------------------------------- */

/* An array of {name, id, stats}: of each container that runs among those that are named (argc 0:
 * all). Who has ended since is left out. */
static int sample(struct cli *cli, int argc, char **argv, json_t **ret, struct zl_error *err)
{
    json_t *list = NULL, *all = json_array();
    if (cli_call(cli, "GET", "/api/v1/containers", NULL, NULL, NULL, &list, err) < 0) {
        json_decref(all);
        return -1;
    }
    int rc = 0;
    for (int i = 0; rc == 0 && i < (argc ? argc : 1); i++) {
        json_t *found = NULL;
        if (argc)
            rc = resolve_in_list(list, argv[i], &found, err);
        else
            found = json_incref(list);
        for (size_t n = 0; n < json_array_size(found); n++) {
            const json_t *c = json_array_get(found, n);
            json_t *stats = NULL;
            struct zl_error why;
            if (jint(c, "pid") && cli_call(cli, "GET", "/api/v1/containers/{}/stats", jstr(c, "id"),
                                           NULL, NULL, &stats, &why) == 0)
                (void)json_array_append_new(all,
                                            json_pack("{s:s, s:s, s:O}", "id", jstr(c, "id"),
                                                      "name", jstr(c, "name"), "stats", stats));
            json_decref(stats);
        }
        json_decref(found);
    }
    json_decref(list);
    if (rc == 0)
        *ret = all;
    else
        json_decref(all);
    return rc;
}

static const json_t *stats_of(const json_t *samples, const char *id)
{
    for (size_t i = 0; i < json_array_size(samples); i++) {
        const json_t *s = json_array_get(samples, i);
        if (strcmp(jstr(s, "id"), id) == 0)
            return json_object_get(s, "stats");
    }
    return NULL;
}

static const json_t *part(const json_t *stats, const char *key)
{
    return json_object_get(stats, key);
}

/* Below 0: there is no sample before it. */
static double cpu_percent(const json_t *before, const json_t *now)
{
    double wall = (double)(jint(now, "mono_ns") - jint(before, "mono_ns"));
    double used =
        (double)(jint(part(now, "cpu"), "usage_ns") - jint(part(before, "cpu"), "usage_ns"));
    double cpus = (double)jint(part(now, "cpu"), "online_cpus");
    return before && wall > 0 && cpus > 0 && used >= 0 ? used / (wall * cpus) * 100 : -1;
}

static double memory_percent(const json_t *now)
{
    double limit = (double)jint(part(now, "memory"), "limit");
    return limit > 0 ? (double)jint(part(now, "memory"), "usage") / limit * 100 : 0;
}

/* ---- what is printed ----------------------------------------------------------------------- */

static void add_two(struct table *t, int64_t a, int64_t b, bool b_is_limit)
{
    char left[32], right[32];
    format_size((uint64_t)a, left);
    format_size((uint64_t)b, right);
    table_add(t, STYLE_PLAIN, "%s / %s", left, b_is_limit && b == 0 ? "-" : right);
}

static void add_size(struct table *t, uint64_t bytes)
{
    char text[32];
    format_size(bytes, text);
    table_add(t, bytes ? STYLE_PLAIN : STYLE_DIM, "%s", bytes ? text : "-");
}

static bool any_has_linear(const json_t *samples)
{
    for (size_t i = 0; i < json_array_size(samples); i++)
        if (jint(part(part(json_array_get(samples, i), "stats"), "memory"), "linear"))
            return true;
    return false;
}

static void add_row(struct table *t, const json_t *s, const json_t *before, bool linear)
{
    const json_t *now = part(s, "stats");
    const json_t *net = part(now, "network"), *io = part(now, "block_io");
    double cpu = cpu_percent(before, now);
    table_add(t, STYLE_PLAIN, "%s", jstr(s, "id"));
    table_add(t, STYLE_PLAIN, "%s", jstr(s, "name"));
    if (cpu < 0)
        table_add(t, STYLE_DIM, "-");
    else
        table_add(t, STYLE_PLAIN, "%.1f%%", cpu);
    add_two(t, jint(part(now, "memory"), "usage"), jint(part(now, "memory"), "limit"), true);
    table_add(t, STYLE_PLAIN, "%.1f%%", memory_percent(now));
    if (linear)
        add_size(t, (uint64_t)jint(part(now, "memory"), "linear"));
    add_two(t, jint(net, "rx_bytes"), jint(net, "tx_bytes"), false);
    add_two(t, jint(io, "read_bytes"), jint(io, "write_bytes"), false);
    table_add(t, STYLE_PLAIN, "%lld", (long long)jint(part(now, "pids"), "current"));
}

static void print_table(const struct cli *cli, const json_t *samples, const json_t *before)
{
    static const char *const headers[] = { "CONTAINER ID",   "NAME",   "CPU",
                                           "MEMORY / LIMIT", "MEMORY", "NET RX / TX",
                                           "BLOCK R / W",    "PIDS",   NULL };
    static const char *const with_linear[] = {
        "CONTAINER ID", "NAME",        "CPU",         "MEMORY / LIMIT", "MEMORY",
        "LINEAR",       "NET RX / TX", "BLOCK R / W", "PIDS",           NULL
    };
    bool linear = any_has_linear(samples);
    autotable struct table t;
    table_init(&t, linear ? with_linear : headers);
    for (size_t i = 0; i < json_array_size(samples); i++) {
        const json_t *s = json_array_get(samples, i);
        add_row(&t, s, stats_of(before, jstr(s, "id")), linear);
    }
    table_print(cli, &t);
}

static void print_lines(const json_t *samples, const json_t *before)
{
    for (size_t i = 0; i < json_array_size(samples); i++) {
        json_t *s = json_array_get(samples, i);
        const json_t *now = part(s, "stats");
        double cpu = cpu_percent(stats_of(before, jstr(s, "id")), now);
        (void)json_object_set_new(s, "cpu_percent", cpu < 0 ? json_null() : json_real(cpu));
        (void)json_object_set_new(s, "memory_percent", json_real(memory_percent(now)));
        (void)json_dumpf(s, stdout, JSON_COMPACT);
        (void)fputc('\n', stdout);
    }
}

static void print(const struct cli *cli, const json_t *samples, const json_t *before, bool again)
{
    if (cli->format == CLI_JSON) {
        print_lines(samples, before);
        return;
    }
    if (again && terminal_width() > 0)
        (void)printf("\033[H\033[J"); /* home, and clear to the end: ECMA-48 */
    print_table(cli, samples, before);
}

struct stats_options {
    bool no_stream;
};

static int stats_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct stats_options *o = options;
    struct zl_error err = { 0 };
    json_t *before = NULL, *now = NULL;
    int rc = sample(cli, argc, argv, &before, &err);
    for (int round = 0; rc == 0; round++) {
        (void)poll(NULL, 0, round || o->no_stream ? ROUND_MS : FIRST_MS);
        rc = sample(cli, argc, argv, &now, &err);
        if (rc < 0)
            break;
        print(cli, now, before, !o->no_stream);
        json_decref(before);
        before = zl_take_ptr(now);
        bool over = argc > 0 && json_array_size(before) == 0;
        if (fflush(stdout) == EOF || o->no_stream || over)
            break;
    }
    json_decref(before);
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}

/* clang-format off */
static const struct cli_option stats_options[] = {
    { 0, "no-stream", CLI_FLAG, offsetof(struct stats_options, no_stream), NULL, "once, then end", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command stats_command = {
    .name = "stats",
    .group = GROUP_CONTAINER,
    .args = "[CONTAINER|[DEPLOYMENT/]SERVICE…]",
    .summary = "Show what containers use, every second",
    .about =
        "Of all that run, or of those that are named, until these have ended. CPU is in percent "
        "of\n"
        "the whole machine, over the last second. With --format json, an object a line, with all\n"
        "that is counted; pressure (PSI) where cgroup v2 has it. LINEAR is the memory of "
        "WebAssembly\n"
        "guests as they see it.",
    .options = stats_options,
    .options_size = sizeof(struct stats_options),
    .max_args = -1,
    .completes = "container",
    .run = stats_run,
};

/* ---- top ----------------------------------------------------------------------------------- */

static void print_processes(const struct cli *cli, const json_t *top)
{
    const json_t *titles = json_object_get(top, "titles"),
                 *rows = json_object_get(top, "processes");
    const char *headers[TABLE_COLUMNS + 1] = { NULL };
    size_t n = json_array_size(titles);
    autotable struct table t;
    for (size_t i = 0; i < n && i < TABLE_COLUMNS; i++)
        headers[i] = json_string_value(json_array_get(titles, i));
    table_init(&t, headers);
    for (size_t r = 0; r < json_array_size(rows); r++)
        for (size_t i = 0; i < n && i < TABLE_COLUMNS; i++)
            table_add(&t, STYLE_PLAIN, "%s",
                      json_string_value(json_array_get(json_array_get(rows, r), i)));
    table_print(cli, &t);
}

static void join_words(struct zl_buf *out, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        zl_buf_addf(out, "%s%s", i ? " " : "", argv[i]);
}

struct top_options {
    const char *columns;
    bool every, full; /* as ps(1) users type them: that is what is shown anyway */
};

static int top_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct top_options *o = options;
    struct zl_error err = { 0 };
    json_t *found = NULL, *top = NULL;
    zl_autobuf struct zl_buf words = ZL_BUF(1024);
    if (o->columns)
        zl_buf_addf(&words, "-o %s", o->columns);
    join_words(&words, argc - 1, argv + 1);
    const json_t *c = NULL;
    if (resolve_containers(cli, argv[0], &found, &err) == 0)
        c = pick_replica(found, 0, argv[0], &err);
    int rc = c ? cli_call(cli, "GET",
                          words.len ? "/api/v1/containers/{}/top?ps_args={}"
                                    : "/api/v1/containers/{}/top",
                          jstr(c, "id"), words.len ? words.data : NULL, NULL, &top, &err)
               : -1;
    json_decref(found);
    return cli_show(cli, rc, top, print_processes, &err);
}

/* clang-format off */
static const struct cli_option top_options[] = {
    { 'o', "columns", CLI_STRING, offsetof(struct top_options, columns), "COLUMN,…", "these columns", NULL },
    { 'e', "every",   CLI_FLAG,   offsetof(struct top_options, every),   NULL,       "every process, as always", NULL },
    { 'f', "full",    CLI_FLAG,   offsetof(struct top_options, full),    NULL,       "the usual columns, as always", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command top_command = {
    .name = "top",
    .group = GROUP_CONTAINER,
    .args = "CONTAINER|[DEPLOYMENT/]SERVICE [aux]",
    .summary = "Show the processes of a container",
    .about = "Process ids and users are the host's, times are UTC. Columns: uid pid ppid pgid sid\n"
             "ni nlwp stat vsz rss time pcpu etime stime comm cmd.",
    .examples = "zlayer top web -o pid,rss,cmd",
    .options = top_options,
    .options_size = sizeof(struct top_options),
    .min_args = 1,
    .max_args = 2,
    .completes = "container",
    .run = top_run,
};
