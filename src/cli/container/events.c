// SPDX-License-Identifier: Apache-2.0
/* events: what happened, and what happens. */
#include <stdio.h>
#include <string.h>

#include "cli/output.h"

struct events_options {
    bool follow;
};

static int on_event(void *arg, const json_t *line, struct zl_error *err)
{
    const struct cli *cli = arg;
    if (cli->format == CLI_JSON) {
        (void)json_dumpf(line, stdout, JSON_COMPACT);
        (void)fputc('\n', stdout);
    } else {
        (void)printf("%s  %-16s %s%s%s%s%s\n", jstr(line, "time"), jstr(line, "type"),
                     jstr(line, "deployment"), *jstr(line, "service") ? "/" : "",
                     jstr(line, "service"), *jstr(line, "text") ? ": " : "", jstr(line, "text"));
    }
    if (fflush(stdout) == EOF)
        return zl_fail_errno(err, "write to the standard output");
    return 0;
}

static int events_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct events_options *o = options;
    struct zl_error err = { 0 };
    (void)argc;
    (void)argv;
    if (cli_connect(cli, &err) < 0 ||
        api_client_stream(cli->client, "GET",
                          o->follow ? "/api/v1/events?follow=1" : "/api/v1/events", NULL, on_event,
                          cli, &err) < 0)
        return cli_fail(&err);
    return CLI_OK;
}

/* clang-format off */
static const struct cli_option events_options[] = {
    { 'f', "follow", CLI_FLAG, offsetof(struct events_options, follow), NULL, "go on as things happen", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command events_command = {
    .name = "events",
    .group = GROUP_DEPLOY,
    .summary = "Print what happened to containers since the agent started",
    .options = events_options,
    .options_size = sizeof(struct events_options),
    .run = events_run,
};
