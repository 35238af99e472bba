// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cli/container/logs.h"
#include "cli/output.h"

enum { LOG_LINES = 20, SCREEN_MAX = 1024 * 1024 };

struct view {
    struct cli *cli;
    const char *deployment;
    bool stay;
    json_t *services; /* name → service, in the order of the document */
    bool live;        /* redraw in place */
    size_t drawn;     /* lines of the table that stands on the terminal */
    bool ready, failed, timed_out, removed;
    char message[1024];
};

/* ---- drawing ------------------------------------------------------------------------------- */

static bool is_job(const json_t *s)
{
    return strcmp(jstr(s, "rtype"), "service") != 0;
}

static void put_counts(const json_t *s, char out[64])
{
    if (is_job(s))
        (void)snprintf(out, 64, "%s", jstr(s, "rtype"));
    else if (jbool(s, "health_check"))
        (void)snprintf(out, 64, "%lld/%lld running, %lld healthy", (long long)jint(s, "running"),
                       (long long)jint(s, "desired"), (long long)jint(s, "healthy"));
    else
        (void)snprintf(out, 64, "%lld/%lld running", (long long)jint(s, "running"),
                       (long long)jint(s, "desired"));
}

static void print_line(const json_t *s)
{
    char counts[64];
    put_counts(s, counts);
    (void)printf("%s: %s, %s%s%s\n", jstr(s, "name"), counts, jstr(s, "status"),
                 *jstr(s, "why") ? ": " : "", jstr(s, "why"));
    (void)fflush(stdout);
}

static size_t terminal_height(void)
{
    struct winsize ws;
    return ioctl(1, TIOCGWINSZ, &ws) == 0 ? ws.ws_row : 0;
}

static void redraw(struct view *v)
{
    static const char *const headers[] = { "SERVICE", "REPLICAS", "STATUS", "REASON", NULL };
    autotable struct table t;
    table_init(&t, headers);
    const char *name;
    json_t *s;
    json_object_foreach(v->services, name, s)
    {
        char counts[64];
        put_counts(s, counts);
        table_add(&t, STYLE_PLAIN, "%s", name);
        table_add(&t, STYLE_PLAIN, "%s", counts);
        table_add(&t, style_of(jstr(s, "status")), "%s", jstr(s, "status"));
        table_add(&t, STYLE_PLAIN, "%s", jstr(s, "why"));
    }
    zl_autobuf struct zl_buf out = ZL_BUF(SCREEN_MAX);
    if (v->drawn > 0)
        zl_buf_addf(&out, "\x1b[%zuA\x1b[J", v->drawn); /* up, and clear from there */
    table_render(&t, terminal_width(), want_colour(v->cli), &out);
    v->drawn = json_object_size(v->services) + 1;
    (void)fwrite(out.data, 1, out.len, stdout);
    (void)fflush(stdout);
}

static void show(struct view *v, const json_t *service)
{
    if (v->live && json_object_size(v->services) + 2 < terminal_height())
        redraw(v);
    else
        print_line(service);
}

/* ---- events -------------------------------------------------------------------------------- */

static int on_service(struct view *v, const json_t *line)
{
    json_t *s = json_object_get(line, "service");
    if (json_object_set(v->services, jstr(s, "name"), s) == 0)
        show(v, s);
    return 0;
}

static int on_ready(struct view *v, const json_t *line)
{
    (void)line;
    v->ready = true;
    v->drawn = 0; /* what follows goes below */
    (void)printf("%s is ready: %zu service%s\n", v->deployment, json_object_size(v->services),
                 json_object_size(v->services) == 1 ? "" : "s");
    (void)fflush(stdout);
    return !v->stay;
}

static int on_failed(struct view *v, const json_t *line)
{
    v->failed = true;
    (void)snprintf(v->message, sizeof v->message, "%s", jstr(line, "message"));
    return 1;
}

static int on_timeout(struct view *v, const json_t *line)
{
    (void)line;
    v->timed_out = true;
    return 1;
}

static int on_removed(struct view *v, const json_t *line)
{
    (void)line;
    v->removed = true;
    return 1;
}

/* clang-format off */
static const struct { const char *name; int (*handle)(struct view *, const json_t *); } handlers[] = {
    { "service", on_service }, { "ready", on_ready },     { "failed", on_failed },
    { "timeout", on_timeout }, { "removed", on_removed },
};
/* clang-format on */

static int on_line(void *arg, const json_t *line, struct zl_error *err)
{
    (void)err;
    for (size_t i = 0; i < ZL_ARRAY_LEN(handlers); i++)
        if (strcmp(handlers[i].name, jstr(line, "event")) == 0)
            return handlers[i].handle(arg, line);
    return 0; /* an event of a newer agent */
}

/* ---- the end ------------------------------------------------------------------------------- */

static bool is_ready(const json_t *s)
{
    bool health = jbool(s, "health_check");
    return is_job(s) || jbool(s, "stopped") ||
           (jint(s, "running") >= jint(s, "desired") &&
            (!health || jint(s, "healthy") >= jint(s, "desired")));
}

static void print_reason(const char *reason)
{
    if (*reason)
        (void)fprintf(stderr, ": %s", reason);
}

static void print_service_logs(struct view *v, const char *service)
{
    json_t *list = NULL;
    struct zl_error err = { 0 };
    if (cli_call(v->cli, "GET", "/api/v1/deployments/{}/services/{}/containers", v->deployment,
                 service, NULL, &list, &err) < 0)
        (void)fprintf(stderr, "    (no log: %s)\n", err.msg);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        (void)fprintf(stderr, "  %s is %s", jstr(c, "name"), jstr(c, "state"));
        print_reason(jstr(c, "why"));
        if (strcmp(jstr(c, "health"), "unhealthy") == 0) {
            (void)fputs(", unhealthy", stderr);
            print_reason(jstr(c, "health_reason"));
        }
        (void)fputs("; its last log lines:\n", stderr);
        logs_print_tail(stderr, jstr(c, "log"), LOG_LINES, "    ");
    }
    json_decref(list);
}

static int not_ready(struct view *v)
{
    (void)cli_failf(CLI_NOT_READY, "%s is not ready%s%s", v->deployment,
                    v->message[0]  ? ": "
                    : v->timed_out ? " in time"
                                   : "",
                    v->message);
    const char *name;
    json_t *s;
    json_object_foreach(v->services, name, s)
    {
        char counts[64];
        if (is_ready(s))
            continue;
        put_counts(s, counts);
        (void)fprintf(stderr, "%s: %s, %s%s%s\n", name, counts, jstr(s, "status"),
                      *jstr(s, "why") ? ": " : "", jstr(s, "why"));
        print_service_logs(v, name);
    }
    return CLI_NOT_READY;
}

int progress_follow(struct cli *cli, const char *deployment, const struct progress_options *o)
{
    struct zl_error err = { 0 };
    struct view v = { .cli = cli,
                      .deployment = deployment,
                      .stay = o->stay,
                      .services = json_object(),
                      .live = isatty(1) };
    zl_autobuf struct zl_buf path = ZL_BUF(1024);
    api_path(&path, "/api/v1/deployments/{}/events", deployment, NULL);
    zl_buf_addf(&path, "?follow=%d&timeout_ms=%llu", o->stay, (unsigned long long)o->timeout_ms);

    int rc = api_client_stream(cli->client, "GET", path.data, NULL, on_line, &v, &err);
    int code = CLI_OK;
    if (rc < 0)
        code = cli_fail_midway(&err, CLI_KEPT);
    else if (v.failed || (v.timed_out && !v.ready))
        code = not_ready(&v);
    else if (v.removed)
        (void)printf("%s was removed\n", deployment);
    else if (!v.ready)
        code = cli_failf(CLI_NO_AGENT, "the agent ended while %s was being deployed\n  " CLI_KEPT,
                         deployment);
    json_decref(v.services);
    return code;
}
