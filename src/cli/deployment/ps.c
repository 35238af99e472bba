// SPDX-License-Identifier: Apache-2.0
/* ps: services, and with -c their containers. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/resolve.h"

struct ps_options {
    bool containers;
    const char *deployment;
};

static bool is_of(const json_t *row, const char *deployment)
{
    return !deployment || strcmp(jstr(row, "deployment"), deployment) == 0;
}

/* A new array of the rows that belong to the deployment. */
static json_t *filter(const json_t *rows, const char *deployment)
{
    json_t *kept = json_array();
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (is_of(json_array_get(rows, i), deployment))
            (void)json_array_append(kept, json_array_get(rows, i));
    return kept;
}

static void add_ports(struct table *t, const json_t *endpoints)
{
    zl_autobuf struct zl_buf out = ZL_BUF(1024);
    for (size_t i = 0; i < json_array_size(endpoints); i++) {
        const json_t *e = json_array_get(endpoints, i);
        zl_buf_addf(&out, "%s%lld/%s", i ? "," : "", (long long)jint(e, "port"),
                    jstr(e, "protocol"));
    }
    table_add(t, STYLE_PLAIN, "%s", out.len ? out.data : "-");
}

static void add_service(struct table *t, const json_t *s, int64_t now)
{
    bool job = strcmp(jstr(s, "rtype"), "service") != 0;
    char age[16];
    format_age(jstr(s, "created_at"), now, age);
    table_add(t, STYLE_PLAIN, "%s", jstr(s, "deployment"));
    table_add(t, STYLE_PLAIN, "%s", jstr(s, "name"));
    if (job)
        table_add(t, STYLE_PLAIN, "%s", jstr(s, "rtype"));
    else
        table_add(t, STYLE_PLAIN, "%lld/%lld", (long long)jint(s, "running"),
                  (long long)jint(s, "desired"));
    if (job || !jbool(s, "health_check"))
        table_add(t, STYLE_PLAIN, "-");
    else
        table_add(t, STYLE_PLAIN, "%lld/%lld", (long long)jint(s, "healthy"),
                  (long long)jint(s, "desired"));
    table_add(t, style_of(jstr(s, "status")), "%s%s%s", jstr(s, "status"),
              *jstr(s, "why") ? ": " : "", jstr(s, "why"));
    add_ports(t, json_object_get(s, "endpoints"));
    table_add(t, STYLE_PLAIN, "%s", age);
}

static void print_services(const struct cli *cli, const json_t *rows)
{
    static const char *const headers[] = { "DEPLOYMENT", "SERVICE", "REPLICAS", "HEALTHY",
                                           "STATUS",     "PORTS",   "AGE",      NULL };
    autotable struct table t;
    table_init(&t, headers);
    int64_t now = zl_wall_ms();
    for (size_t i = 0; i < json_array_size(rows); i++)
        add_service(&t, json_array_get(rows, i), now);
    table_print(cli, &t);
}

/* "waiting" hides why; that it ended too often is what matters then. */
static const char *shown_state(const json_t *c)
{
    const char *state = jstr(c, "state");
    if (jbool(c, "paused"))
        return "paused";
    return jbool(c, "crash_loop") && strcmp(state, "waiting") == 0 ? "crash_loop" : state;
}

static void add_container(struct table *t, const json_t *c)
{
    table_add(t, STYLE_PLAIN, "%s", jstr(c, "deployment"));
    table_add(t, STYLE_PLAIN, "%s", jstr(c, "service"));
    table_add(t, STYLE_PLAIN, "%s", jstr(c, "name"));
    table_add(t, STYLE_DIM, "%s", *jstr(c, "id") ? jstr(c, "id") : "-");
    table_add(t, STYLE_PLAIN, "%s", jstr(c, "image"));
    table_add(t, style_of(shown_state(c)), "%s%s%s", shown_state(c), *jstr(c, "why") ? ": " : "",
              jstr(c, "why"));
    table_add(t, style_of(jstr(c, "health")), "%s", jstr(c, "health"));
    if (jint(c, "pid"))
        table_add(t, STYLE_PLAIN, "%lld", (long long)jint(c, "pid"));
    else
        table_add(t, STYLE_PLAIN, "-");
    table_add(t, STYLE_PLAIN, "%lld", (long long)jint(c, "restarts"));
}

static void print_containers(const struct cli *cli, const json_t *rows)
{
    static const char *const headers[] = { "DEPLOYMENT", "SERVICE", "CONTAINER", "ID",
                                           "IMAGE",      "STATE",   "HEALTH",    "PID",
                                           "RESTARTS",   NULL };
    autotable struct table t;
    table_init(&t, headers);
    for (size_t i = 0; i < json_array_size(rows); i++)
        add_container(&t, json_array_get(rows, i));
    (void)printf("\n");
    table_print(cli, &t);
}

/* A name that nothing has is a mistake, not an empty answer; "-" are the containers of `run`. */
static int check_deployment(struct cli *cli, const char *name, struct zl_error *err)
{
    zl_autofree char *found = NULL;
    if (!name || strcmp(name, "-") == 0)
        return 0;
    return resolve_deployment(cli, name, &found, err);
}

static int ps_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct ps_options *o = options;
    const char *deployment = argc ? argv[0] : o->deployment;
    struct zl_error err = { 0 };
    json_t *all_services = NULL, *all_containers = NULL;
    int code = CLI_OK;
    if (check_deployment(cli, deployment, &err) < 0 ||
        cli_call(cli, "GET", "/api/v1/services", NULL, NULL, NULL, &all_services, &err) < 0 ||
        (o->containers &&
         cli_call(cli, "GET", "/api/v1/containers", NULL, NULL, NULL, &all_containers, &err) < 0)) {
        code = cli_fail(&err);
    } else {
        json_t *services = filter(all_services, deployment);
        json_t *containers = filter(all_containers, deployment);
        json_t *both = json_pack("{s:O, s:O}", "services", services, "containers", containers);
        if (cli->format == CLI_JSON)
            print_json(both);
        else
            print_services(cli, services);
        if (cli->format != CLI_JSON && o->containers)
            print_containers(cli, containers);
        json_decref(both);
        json_decref(services);
        json_decref(containers);
    }
    json_decref(all_services);
    json_decref(all_containers);
    return code;
}

/* clang-format off */
static const struct cli_option ps_options[] = {
    { 'c', "containers", CLI_FLAG,   offsetof(struct ps_options, containers), NULL,   "their containers too", NULL },
    { 'd', "deployment", CLI_STRING, offsetof(struct ps_options, deployment), "NAME", "only this deployment", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command ps_command = {
    .name = "ps",
    .group = GROUP_DEPLOY,
    .args = "[DEPLOYMENT]",
    .summary = "List services and what runs of them",
    .about =
        "With --format json an object {services, containers}; docs/api.md says what they hold.",
    .options = ps_options,
    .options_size = sizeof(struct ps_options),
    .max_args = 1,
    .completes = "deployment",
    .run = ps_run,
};
