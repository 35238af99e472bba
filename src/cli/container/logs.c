// SPDX-License-Identifier: Apache-2.0
/*
 * logs. The lines of several replicas are merged by their times: each reader holds its next line,
 * the oldest of them is printed. Following, lines come as they are written, for services
 * without end, for a job or a standalone container until it has ended.
 */
#include "cli/container/logs.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/output.h"
#include "cli/resolve.h"
#include "monitor/logread.h"
#include "spec/value/duration.h"

enum { LINES_DEFAULT = 100, ENDED_CHECK_MS = 500 };
enum { UNIX_TIME_MIN = 100000000 }; /* below that, a number is a duration in seconds */

struct source {
    struct logread *reader;
    const json_t *log;        /* {name, deployment, service, path} */
    struct logread_line line; /* the next one, when has_line */
    bool has_line;
};

struct printer {
    struct cli *cli;
    bool names, timestamps;
    const struct source *open; /* whose line has not ended on the terminal yet */
    enum log_stream open_stream;
};

static const char *stream_name(enum log_stream s)
{
    return s == LOG_STDERR ? "stderr" : "stdout";
}

/* ---- printing ------------------------------------------------------------------------------ */

static void print_json_line(const struct source *s)
{
    char time[ZL_RFC3339_SIZE];
    const struct logread_line *l = &s->line;
    size_t n = l->length - (l->length && l->bytes[l->length - 1] == '\n');
    (void)zl_format_rfc3339(l->wall_ns, 9, time);
    json_t *message = json_stringn(l->bytes, n);
    if (!message) /* no UTF-8: a string of JSON cannot say it */
        message = json_string("(bytes that are not UTF-8)");
    json_t *v = json_pack("{s:s, s:s, s:o, s:b, s:s, s:s, s:s}", "timestamp", time, "stream",
                          stream_name(l->stream), "message", message, "whole", l->whole,
                          "container", jstr(s->log, "name"), "service", jstr(s->log, "service"),
                          "deployment", jstr(s->log, "deployment"));
    (void)json_dumpf(v, stdout, JSON_COMPACT);
    (void)fputc('\n', stdout);
    json_decref(v);
}

static void print_prefix(const struct printer *p, const struct source *s)
{
    char time[ZL_RFC3339_SIZE];
    if (p->timestamps) {
        (void)zl_format_rfc3339(s->line.wall_ns, 3, time);
        (void)printf("%s ", time);
    }
    if (p->names)
        (void)printf("%s ", jstr(s->log, "name"));
    (void)printf("[%s] ", stream_name(s->line.stream));
}

static void print_line(struct printer *p, struct source *s)
{
    const struct logread_line *l = &s->line;
    s->has_line = false;
    if (p->cli->format == CLI_JSON) {
        print_json_line(s);
        return;
    }
    bool goes_on = p->open == s && p->open_stream == l->stream;
    if (p->open && !goes_on)
        (void)fputc('\n', stdout);
    if (!goes_on)
        print_prefix(p, s);
    (void)fwrite(l->bytes, 1, l->length, stdout);
    p->open = l->whole ? NULL : s;
    p->open_stream = l->stream;
}

/* ---- reading ------------------------------------------------------------------------------- */

static int fill(struct source *s, struct zl_error *err)
{
    if (s->has_line)
        return 0;
    int rc = logread_next(s->reader, &s->line, err);
    s->has_line = rc > 0;
    return rc < 0 ? -1 : 0;
}

/* Prints what is there, oldest first. */
static int drain(struct printer *p, struct source *v, size_t n, struct zl_error *err)
{
    for (;;) {
        struct source *oldest = NULL;
        for (size_t i = 0; i < n; i++) {
            if (fill(&v[i], err) < 0)
                return zl_wrap(err, "read the log of %s", jstr(v[i].log, "name"));
            if (v[i].has_line && (!oldest || v[i].line.wall_ns < oldest->line.wall_ns))
                oldest = &v[i];
        }
        if (!oldest)
            return 0;
        print_line(p, oldest);
        if (ferror(stdout))
            return zl_fail_errno(err, "write to the standard output");
    }
}

/* Whether these are logs of what runs once: a slot of a service goes on with its next container. */
static bool run_once(const struct source *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (jint(v[i].log, "index") != 0)
            return false;
    return true;
}

/* Whether a container that writes this log is there and has not ended. */
static bool is_written(const json_t *containers, const json_t *log)
{
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *c = json_array_get(containers, i);
        if (strcmp(jstr(c, "deployment"), jstr(log, "deployment")) == 0 &&
            strcmp(jstr(c, "name"), jstr(log, "name")) == 0)
            return strcmp(jstr(c, "state"), "exited") != 0;
    }
    return false;
}

/* An agent that does not answer says nothing about containers. */
static bool all_ended(struct cli *cli, const struct source *v, size_t n)
{
    json_t *list = NULL;
    bool ended = cli_call(cli, "GET", "/api/v1/containers", NULL, NULL, NULL, &list, NULL) == 0;
    for (size_t i = 0; ended && i < n; i++)
        ended = !is_written(list, v[i].log);
    json_decref(list);
    return ended;
}

static int follow(struct printer *p, struct source *v, size_t n, struct zl_error *err)
{
    zl_autofree struct pollfd *fds = calloc(n, sizeof *fds);
    int timeout = run_once(v, n) ? ENDED_CHECK_MS : -1;
    if (!fds)
        return zl_fail_errno(err, "follow %zu logs", n);
    for (;;) {
        if (drain(p, v, n, err) < 0)
            return -1;
        (void)fflush(stdout);
        for (size_t i = 0; i < n; i++)
            fds[i] = (struct pollfd){ .fd = logread_fd(v[i].reader), .events = POLLIN };
        int ready = poll(fds, n, timeout);
        if (ready < 0 && errno != EINTR)
            return zl_fail_errno(err, "wait for log lines");
        if (ready == 0 && all_ended(p->cli, v, n))
            return drain(p, v, n, err);
    }
}

static int print_sources(struct printer *p, struct source *v, size_t n, bool following,
                         struct zl_error *err)
{
    int rc = following ? follow(p, v, n, err) : drain(p, v, n, err);
    if (p->open)
        (void)fputc('\n', stdout);
    return rc;
}

/* ---- choosing ------------------------------------------------------------------------------ */

static bool is_instance(const json_t *log, const char *instance)
{
    char index[24];
    (void)snprintf(index, sizeof index, "%lld", (long long)jint(log, "index"));
    return !instance || strcmp(instance, index) == 0 || strstr(jstr(log, "name"), instance);
}

/* Of a service all its replicas, of a job its newest execution, unless one is asked for. */
static json_t *choose(const json_t *logs, const char *instance)
{
    json_t *kept = json_array();
    for (size_t i = 0; i < json_array_size(logs); i++) {
        json_t *log = json_array_get(logs, i);
        bool execution = jint(log, "index") == 0;
        if (is_instance(log, instance) && !(execution && json_array_size(kept) > 0))
            (void)json_array_append(kept, log);
    }
    return kept;
}

static int logs_of_container(struct cli *cli, const char *what, json_t **ret, struct zl_error *err)
{
    json_t *found = NULL;
    if (resolve_containers(cli, what, &found, err) < 0)
        return -1;
    const json_t *c = json_array_get(found, 0);
    int rc = *jstr(c, "log") ? 0 : zl_fail(err, ZL_ERR_NOT_FOUND, "'%s' has no log", what);
    *ret = json_pack("[{s:s, s:s, s:s, s:I, s:s}]", "name", jstr(c, "name"), "deployment",
                     jstr(c, "deployment"), "service", jstr(c, "service"), "index",
                     (json_int_t)jint(c, "index"), "path", jstr(c, "log"));
    json_decref(found);
    return rc;
}

/* The logs of a service, job or container: an array (a reference). */
static int find_logs(struct cli *cli, const char *what, json_t **ret, struct zl_error *err)
{
    zl_autofree char *deployment = NULL, *service = NULL;
    if (resolve_service(cli, what, &deployment, &service, err) == 0)
        return cli_call(cli, "GET", "/api/v1/deployments/{}/services/{}/logs", deployment, service,
                        NULL, ret, err);
    if (err->kind != ZL_ERR_NOT_FOUND)
        return -1;
    if (logs_of_container(cli, what, ret, err) == 0)
        return 0;
    return err->kind == ZL_ERR_NOT_FOUND && logs_kept(cli, what, ret) == 0 ? 0 : -1;
}

static int parse_lines(const char *text, uint64_t *ret, struct zl_error *err)
{
    char *end;
    *ret = text ? LOGREAD_ALL : LINES_DEFAULT;
    if (!text || strcmp(text, "all") == 0)
        return 0;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    if (*end || errno || *text == '-' || !*text)
        return zl_fail(err, ZL_ERR_INVALID, "--lines takes a number or all, not '%s'", text);
    return 0;
}

/* "10m": so long ago; "2026-11-27T16:00:00Z"; "1767225600", a Unix time: nanoseconds of UTC. */
static int parse_time(const char *option, const char *text, int64_t *ret, struct zl_error *err)
{
    struct spec_flaw flaw;
    uint64_t ago_ns;
    char *end;
    errno = 0;
    long long seconds = strtoll(text, &end, 10);
    bool number = *text && !*end && !errno && seconds >= 0 && seconds < INT64_MAX / 1000000000;
    if (number)
        *ret =
            seconds >= UNIX_TIME_MIN ? seconds * 1000000000 : zl_wall_ns() - seconds * 1000000000;
    else if (spec_parse_duration(text, &ago_ns, &flaw) == 0)
        *ret = zl_wall_ns() - (int64_t)ago_ns;
    else if (zl_parse_rfc3339(text, ret, NULL) < 0)
        return zl_fail(err, ZL_ERR_INVALID,
                       "%s '%s': a duration such as 10m, a time such as 2026-11-27T16:00:00Z or "
                       "Unix seconds",
                       option, text);
    return 0;
}

static int show_logs(struct cli *cli, const struct logs_options *o, const json_t *logs,
                     struct zl_error *err)
{
    size_t wanted = json_array_size(logs), n = 0;
    zl_autofree struct source *v = calloc(wanted, sizeof *v);
    struct printer p = { .cli = cli, .names = wanted > 1, .timestamps = o->timestamps };
    struct logread_opts opts = { .follow = o->follow,
                                 .streams = o->stream == 1   ? 1U << LOG_STDOUT
                                            : o->stream == 2 ? 1U << LOG_STDERR
                                                             : 0 };
    if (!v)
        return zl_fail_errno(err, "read %zu logs", wanted);
    if (parse_lines(o->lines, &opts.tail, err) < 0)
        return -1;
    if ((o->since && parse_time("--since", o->since, &opts.since_ns, err) < 0) ||
        (o->until && parse_time("--until", o->until, &opts.until_ns, err) < 0))
        return -1;
    int rc = 0;
    for (; rc == 0 && n < wanted; n++) {
        v[n].log = json_array_get(logs, n);
        rc = logread_open(jstr(v[n].log, "path"), &opts, &v[n].reader, err);
    }
    if (rc == 0)
        rc = print_sources(&p, v, n, o->follow, err);
    for (size_t i = 0; i < n; i++)
        logread_free(v[i].reader);
    return rc;
}

int logs_command_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct logs_options *o = options;
    struct zl_error err = { 0 };
    json_t *found = NULL, *chosen = NULL;
    zl_autobuf struct zl_buf what = ZL_BUF(512);
    (void)argc;
    if (o->deployment)
        zl_buf_addf(&what, "%s/", o->deployment);
    zl_buf_adds(&what, argv[0]);

    int rc = find_logs(cli, what.data, &found, &err);
    if (rc == 0) {
        chosen = choose(found, o->instance);
        if (json_array_size(chosen) == 0)
            rc = zl_fail(&err, ZL_ERR_NOT_FOUND, "'%s' has no log%s%s", argv[0],
                         o->instance ? " of instance " : "", o->instance ? o->instance : "");
    }
    if (rc == 0)
        rc = show_logs(cli, o, chosen, &err);
    json_decref(chosen);
    json_decref(found);
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}

/* ---- for other commands -------------------------------------------------------------------- */

void logs_print_tail(FILE *out, const char *path, uint64_t lines, const char *indent)
{
    autologread struct logread *r = NULL;
    struct logread_opts opts = { .tail = lines };
    struct logread_line l;
    struct zl_error err = { 0 };
    size_t n = 0;
    int rc = *path ? logread_open(path, &opts, &r, &err) : 0;
    while (rc == 0 && r && (rc = logread_next(r, &l, &err)) > 0) {
        n++;
        rc = 0;
        (void)fprintf(out, "%s[%s] %.*s%s", indent, stream_name(l.stream), (int)l.length, l.bytes,
                      l.length && l.bytes[l.length - 1] == '\n' ? "" : "\n");
    }
    if (rc < 0 && err.kind != ZL_ERR_NOT_FOUND)
        (void)fprintf(out, "%s(%s)\n", indent, err.msg);
    else if (n == 0)
        (void)fprintf(out, "%s(no output)\n", indent);
}

int logs_copy(const char *path, struct zl_error *err)
{
    autologread struct logread *r = NULL;
    struct logread_opts opts = { .tail = LOGREAD_ALL };
    struct logread_line l;
    if (logread_open(path, &opts, &r, err) < 0)
        return -1;
    int rc;
    while ((rc = logread_next(r, &l, err)) > 0)
        (void)fwrite(l.bytes, 1, l.length, l.stream == LOG_STDERR ? stderr : stdout);
    (void)fflush(stdout);
    return rc;
}

static const char *const stream_words[] = { "all", "stdout", "stderr", NULL };

/* clang-format off */
const struct cli_option logs_options[] = {
    { 'f', "follow",     CLI_FLAG,     offsetof(struct logs_options, follow),     NULL,   "go on as lines are written", NULL },
    { 'n', "lines",      CLI_STRING,   offsetof(struct logs_options, lines),      "N",    "the last N lines of each replica, or all [100]", NULL },
    { 'i', "instance",   CLI_STRING,   offsetof(struct logs_options, instance),   "INSTANCE", "only this replica: its number, or a part of its name or id", NULL },
    { 't', "timestamps", CLI_FLAG,     offsetof(struct logs_options, timestamps), NULL,   "say when each line was written", NULL },
    { 0,   "since",      CLI_STRING,   offsetof(struct logs_options, since),      "TIME", "from then on: 10m (ago), 2026-11-27T16:00:00Z, Unix seconds", NULL },
    { 0,   "until",      CLI_STRING,   offsetof(struct logs_options, until),      "TIME", "only what was written before then", NULL },
    { 0,   "stream",     CLI_CHOICE,   offsetof(struct logs_options, stream),     "STREAM", "stdout or stderr only", stream_words },
    { 'd', "deployment", CLI_STRING,   offsetof(struct logs_options, deployment), "NAME", "of this deployment", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command logs_command = {
    .name = "logs",
    .group = GROUP_DEPLOY,
    .args = "[DEPLOYMENT/]SERVICE|CONTAINER",
    .summary = "Print what containers wrote",
    .about =
        "Lines are \"[stdout] text\" or \"[stderr] text\"; of several replicas they are merged\n"
        "by time and begin with the container's name. With --format json, an object a line.\n"
        "What was removed is found by its name (DEPLOYMENT/SERVICE) while it is kept: the log\n"
        "of a container 7 days, of a deployment if it says logs.retention_secs.",
    .examples = "zlayer logs -f web\tfollow all replicas of web\n"
                "zlayer logs -n all -i 2 shop/web\teverything of one replica",
    .options = logs_options,
    .options_size = sizeof(struct logs_options),
    .min_args = 1,
    .max_args = 1,
    .completes = "service",
    .run = logs_command_run,
};
