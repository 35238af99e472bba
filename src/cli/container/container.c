// SPDX-License-Identifier: Apache-2.0
/* container ls, inspect, stop, rm, logs. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/container/logs.h"
#include "cli/output.h"

struct container_options {
    bool force;
    uint64_t grace_ms;
};

static void add_row(struct table *t, const json_t *c, int64_t now)
{
    char age[16];
    const json_t *exit = json_object_get(c, "exit");
    format_age(jstr(c, "created_at"), now, age);
    table_add(t, STYLE_PLAIN, "%s", *jstr(c, "id") ? jstr(c, "id") : "-");
    table_add(t, STYLE_PLAIN, "%s", jstr(c, "name"));
    if (strcmp(jstr(c, "state"), "exited") == 0 && json_is_object(exit))
        table_add(t, STYLE_DIM, "exited (%lld)%s", (long long)jint(exit, "code"),
                  jbool(exit, "oom") ? ", out of memory" : "");
    else
        table_add(t, style_of(jstr(c, "state")), "%s%s", jstr(c, "state"),
                  jbool(c, "paused") ? " (paused)" : "");
    table_add(t, STYLE_PLAIN, "%s", age);
    table_add(t, STYLE_PLAIN, "%s", jstr(c, "image"));
}

static void print_containers(const struct cli *cli, const json_t *list)
{
    static const char *const headers[] = { "CONTAINER ID", "NAME",  "STATUS",
                                           "CREATED",      "IMAGE", NULL };
    autotable struct table t;
    table_init(&t, headers);
    for (size_t i = 0; i < json_array_size(list); i++)
        add_row(&t, json_array_get(list, i), zl_wall_ms());
    table_print(cli, &t);
}

static int ls_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)options;
    (void)argc;
    (void)argv;
    return cli_get(cli, "/api/v1/containers", NULL, print_containers);
}

static int inspect_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)options;
    return cli_get_each(cli, "/api/v1/containers/{}", argc, argv);
}

static int stop_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct container_options *o = options;
    json_t *body = json_pack("{s:I, s:b}", "grace_ms", (json_int_t)o->grace_ms, "force", o->force);
    int code = cli_each(cli, "POST", "/api/v1/containers/{}/stop?wait=1", body, argc, argv);
    json_decref(body);
    return code;
}

static int rm_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct container_options *o = options;
    return cli_each(cli, "DELETE",
                    o->force ? "/api/v1/containers/{}?wait=1&force=1"
                             : "/api/v1/containers/{}?wait=1",
                    NULL, argc, argv);
}

/* What `run` made and what has ended: nobody else would remove it. */
static int prune_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    json_t *list = NULL;
    int code = CLI_OK;
    (void)options;
    (void)argc;
    (void)argv;
    if (cli_call(cli, "GET", "/api/v1/containers?deployment=-", NULL, NULL, NULL, &list, &err) < 0)
        return cli_fail(&err);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        if (strcmp(jstr(c, "state"), "exited") != 0)
            continue;
        if (cli_call(cli, "DELETE", "/api/v1/containers/{}?wait=1", jstr(c, "id"), NULL, NULL, NULL,
                     &err) < 0)
            code = err.kind == ZL_ERR_NOT_FOUND ? code : cli_fail(&err); /* another was quicker */
        else
            (void)printf("%s\n", jstr(c, "name"));
    }
    json_decref(list);
    return code;
}

/* clang-format off */
static const struct cli_option stop_options[] = {
    { 'f', "force", CLI_FLAG,     offsetof(struct container_options, force),    NULL,   "kill at once", NULL },
    { 't', "grace", CLI_GRACE,    offsetof(struct container_options, grace_ms), "TIME", "time before it is killed, 0: at once", NULL },
    { 0 },
};
static const struct cli_option rm_options[] = {
    { 'f', "force", CLI_FLAG, offsetof(struct container_options, force), NULL, "even if it runs", NULL },
    { 0 },
};

static const struct cli_command container_commands[] = {
    { .name = "ls", .alias = "list", .summary = "List every container", .run = ls_run },
    { .name = "inspect", .args = "CONTAINER", .summary = "Print everything about a container as JSON",
      .min_args = 1, .max_args = 1, .completes = "container", .run = inspect_run },
    { .name = "stop", .args = "CONTAINER…", .summary = "Stop containers in order", .options = stop_options,
      .options_size = sizeof(struct container_options), .min_args = 1, .max_args = -1, .completes = "container",
      .run = stop_run },
    { .name = "rm", .alias = "remove", .args = "CONTAINER…", .summary = "Remove containers that `run` made",
      .options = rm_options, .options_size = sizeof(struct container_options), .min_args = 1, .max_args = -1,
      .completes = "container", .run = rm_run },
    { .name = "prune", .summary = "Remove all containers that `run` made and that have ended", .run = prune_run },
    { .name = "logs", .args = "CONTAINER", .summary = "Print what a container wrote", .options = logs_options,
      .options_size = sizeof(struct logs_options), .min_args = 1, .max_args = 1, .completes = "container",
      .run = logs_command_run },
    { 0 },
};
/* clang-format on */

const struct cli_command container_command = {
    .name = "container",
    .group = GROUP_CONTAINER,
    .summary = "List, inspect, stop and remove containers",
    .about = "A container is named by its name, its id, a unique prefix of that, or\n"
             "DEPLOYMENT/NAME.",
    .examples = "zlayer container ls\nzlayer container rm -f cache\tstops it first",
    .sub = container_commands,
};
