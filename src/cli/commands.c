// SPDX-License-Identifier: Apache-2.0
/* The commands there are, in the order of help, and the options that all of them have. */
#include <string.h>

#include "cli/cli.h"

static const char *const format_words[] = { "table", "json", NULL };

/* clang-format off */
const struct cli_option cli_global_options[] = {
    { 'H', "socket",      CLI_STRING, offsetof(struct cli, socket),      "PATH", "socket of the agent [RUNTIME_DIR/zlayer.sock]", NULL },
    { 0,   "root-dir",    CLI_STRING, offsetof(struct cli, root_dir),    "DIR",  "images, containers, state [$ZLAYER_ROOT_DIR, /var/lib/zlayer]", NULL },
    { 0,   "data-dir",    CLI_STRING, offsetof(struct cli, root_dir),    "DIR",  "the same as --root-dir", NULL },
    { 0,   "runtime-dir", CLI_STRING, offsetof(struct cli, runtime_dir), "DIR",  "sockets [$ZLAYER_RUNTIME_DIR, /var/run/zlayer]", NULL },
    { 0,   "format",      CLI_CHOICE, offsetof(struct cli, format),      "FORMAT", "table or json", format_words },
    { 0,   "no-color",    CLI_FLAG,   offsetof(struct cli, no_color),    NULL,   "no colours, as with $NO_COLOR", NULL },
    { 'v', "verbose",     CLI_FLAG,   offsetof(struct cli, verbose),     NULL,   "say where an error comes from", NULL },
    { 0 },
};

static const struct cli_command *const commands[] = {
    &up_command, &deploy_command, &down_command, &stop_command, &ps_command, &logs_command, &exec_command,
    &status_command, &validate_command, &job_command, &cron_command, &spec_command, &debug_command, &events_command,
    &run_command, &container_command,
    &image_command, &import_command,
    &serve_command, &daemon_command,
    &version_command, &completion_command, &man_command, &help_command,
    NULL,
};
/* clang-format on */

const struct cli_command *const *cli_commands(void)
{
    return commands;
}

bool cli_is_called(const struct cli_command *c, const char *name)
{
    return strcmp(c->name, name) == 0 || (c->alias && strcmp(c->alias, name) == 0);
}

const struct cli_command *cli_find_command(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (cli_is_called(commands[i], name))
            return commands[i];
    return NULL;
}
