// SPDX-License-Identifier: Apache-2.0
/* What the command line of zlayer is made of, but for the commands, which commands.h lists. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"

static const char *const format_words[] = { "table", "json", NULL };

/* clang-format off */
static const struct cli_option globals[] = {
    { 'H', "socket",      CLI_STRING, offsetof(struct cli, socket),      "PATH", "socket of the agent [RUNTIME_DIR/zlayer.sock]", NULL },
    { 0,   "root-dir",    CLI_STRING, offsetof(struct cli, root_dir),    "DIR",  "images, containers, state [$ZLAYER_ROOT_DIR, /var/lib/zlayer]", NULL },
    { 0,   "data-dir",    CLI_STRING, offsetof(struct cli, root_dir),    "DIR",  "the same as --root-dir", NULL },
    { 0,   "runtime-dir", CLI_STRING, offsetof(struct cli, runtime_dir), "DIR",  "sockets [$ZLAYER_RUNTIME_DIR, /var/run/zlayer]", NULL },
    { 0,   "format",      CLI_CHOICE, offsetof(struct cli, format),      "FORMAT", "table or json", format_words },
    { 0,   "no-color",    CLI_FLAG,   offsetof(struct cli, no_color),    NULL,   "no colours, as with $NO_COLOR", NULL },
    { 'v', "verbose",     CLI_FLAG,   offsetof(struct cli, verbose),     NULL,   "say where an error comes from", NULL },
    { 0 },
};

#define POINTER(name) &name##_command,
static const struct cli_command *const commands[] = { CLI_COMMANDS(POINTER) NULL };
#undef POINTER

static const char *const groups[] = {
    [GROUP_DEPLOY] = "Deployments", [GROUP_CONTAINER] = "Containers", [GROUP_IMAGE] = "Images",
    [GROUP_AGENT] = "Agent",        [GROUP_OTHER] = "Other",          NULL,
};

static const struct cli_exit_text exits[] = {
    { "0", "success" },
    { "1", "a runtime error" },
    { "2", "wrong usage; nothing was done" },
    { "3", "the document is invalid; nothing was changed" },
    { "4", "the agent does not answer and cannot be started" },
    { "5", "not ready in time" },
    { "n", "run and exec: the command's own code, or 128 + the signal that ended it; 125 when "
           "zlayer failed, 126 when the command cannot be executed, 127 when there is none" },
    { 0 },
};

static const struct { const char *kind, *path, *key; } word_sources[] = {
    { "deployment", "/api/v1/deployments", "name" },
    { "service",    "/api/v1/services",    "name" },
    { "container",  "/api/v1/containers",  "name" },
    { "image",      "/api/v1/images",      "reference" },
    { "job",        "/api/v1/jobs",        "name" },
    { "cron",       "/api/v1/cron",        "name" },
    { "volume",     "/api/v1/volumes",     "name" },
};
/* clang-format on */

/* Of an agent that runs: completing never starts one. */
static void words(struct cli *cli, const char *kind)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(word_sources); i++) {
        json_t *list = NULL;
        if (strcmp(word_sources[i].kind, kind) != 0 || cli_connect_running(cli, NULL) < 0)
            continue;
        if (api_client_call(cli->client, "GET", word_sources[i].path, NULL, &list, NULL, NULL) == 0)
            for (size_t n = 0; n < json_array_size(list); n++)
                (void)printf("%s\n", jstr(json_array_get(list, n), word_sources[i].key));
        json_decref(list);
    }
}

static int fail(struct cli *cli, const struct zl_error *err)
{
    (void)cli;
    return cli_fail(err);
}

const struct cli_program cli_program = {
    .name = "zlayer",
    .purpose = "run what a deployment file describes, and keep it running",
    .about = "zlayer runs what a deployment file describes, and keeps it running.",
    .section = "1",
    .commands = commands,
    .globals = globals,
    .groups = groups,
    .exits = exits,
    .environment = "ZLAYER_ROOT_DIR (or ZLAYER_DATA_DIR), ZLAYER_RUNTIME_DIR, NO_COLOR",
    .usage_exit = CLI_USAGE,
    .own_exit = CLI_RUN_OURS,
    .prepare = cli_resolve_paths,
    .fail = fail,
    .words = words,
};
