// SPDX-License-Identifier: Apache-2.0
/* zlayer: finds the command, parses its options by its table, runs it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "spec/suggest.h"

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
    &status_command, &validate_command, &job_command, &cron_command, &events_command,
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

static bool is_called(const struct cli_command *c, const char *name)
{
    return strcmp(c->name, name) == 0 || (c->alias && strcmp(c->alias, name) == 0);
}

const struct cli_command *cli_find_command(const struct cli_command *const *from, const char *name)
{
    for (; *from; from++)
        if (is_called(*from, name))
            return *from;
    return NULL;
}

static const struct cli_command *find_sub(const struct cli_command *c, const char *name)
{
    for (const struct cli_command *s = c->sub; s->name; s++)
        if (is_called(s, name))
            return s;
    return NULL;
}

static int unknown_command(const char *name)
{
    struct spec_nearest near = { .typed = name };
    for (size_t i = 0; commands[i]; i++)
        spec_nearest_try(&near, commands[i]->name);
    if (near.word)
        return cli_failf(CLI_USAGE, "there is no command '%s'; did you mean '%s'?", name,
                         near.word);
    return cli_failf(CLI_USAGE, "there is no command '%s'; see `zlayer help`", name);
}

static int unknown_sub(const struct cli_command *c, const char *name)
{
    struct spec_nearest near = { .typed = name };
    for (const struct cli_command *s = c->sub; s->name; s++)
        spec_nearest_try(&near, s->name);
    if (near.word)
        return cli_failf(CLI_USAGE, "there is no command '%s %s'; did you mean '%s %s'?", c->name,
                         name, c->name, near.word);
    return cli_failf(CLI_USAGE, "there is no command '%s %s'; see `zlayer %s --help`", c->name,
                     name, c->name);
}

static int usage_error(const struct cli_command *parent, const struct cli_command *c,
                       const char *what)
{
    (void)cli_failf(CLI_USAGE, "%s", what);
    (void)fprintf(stderr, "Usage: zlayer %s%s%s [OPTIONS] %s\n", parent ? parent->name : "",
                  parent ? " " : "", c->name, c->args ? c->args : "");
    return c->own_failure ? CLI_RUN_OURS : CLI_USAGE;
}

static int check_count(const struct cli_command *parent, const struct cli_command *c, int n,
                       char **args)
{
    char what[256];
    if (n < c->min_args)
        return usage_error(parent, c, "an argument is missing");
    if (c->max_args < 0 || n <= c->max_args)
        return CLI_OK;
    (void)snprintf(what, sizeof what, "'%s' is one argument too many", args[c->max_args]);
    return usage_error(parent, c, what);
}

/* argv begins after the command's name. */
static int run_command_line(struct cli *cli, const struct cli_command *parent,
                            const struct cli_command *c, int argc, char **argv)
{
    struct zl_error err = { 0 };
    bool help = false;
    max_align_t options[64] = { 0 }; /* every command's struct fits, checked here */
    if (c->options_size > sizeof options)
        return cli_failf(CLI_FAILED, "the options of '%s' are too large", c->name);

    int n = cli_parse_options(argc, argv, c->options, options, cli_global_options, cli,
                              c->options_first, &help, &err);
    int rc;
    if (n < 0)
        rc = usage_error(parent, c, err.msg);
    else if (help)
        cli_print_help(parent, c), rc = CLI_OK;
    else if ((rc = check_count(parent, c, n, argv)) == CLI_OK)
        rc = cli_resolve_paths(cli, &err) < 0 ? cli_fail(&err) : c->run(cli, options, n, argv);
    cli_options_done(c->options, options);
    return rc;
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
    const struct cli_command *c = cli_find_command(commands, argv[0]);
    if (!c)
        return unknown_command(argv[0]);
    if (!c->sub)
        return run_command_line(cli, NULL, c, argc - 1, argv + 1);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        cli_print_help(NULL, c);
        return argc < 2 ? CLI_USAGE : CLI_OK;
    }
    const struct cli_command *s = find_sub(c, argv[1]);
    return s ? run_command_line(cli, c, s, argc - 2, argv + 2) : unknown_sub(c, argv[1]);
}

int main(int argc, char **argv)
{
    struct cli cli = { 0 };
    struct zl_error err = { 0 };
    bool help = false;

    (void)signal(SIGPIPE, SIG_IGN); /* `zlayer ps | head` ends by EPIPE, with our own cleanup */
    zl_log_init("zlayer", ZL_LOG_WARN, ZL_LOG_TEXT);
    int n = cli_parse_options(argc - 1, argv + 1, cli_global_options, &cli, NULL, NULL, true, &help,
                              &err);
    if (n < 0)
        return cli_failf(CLI_USAGE, "%s", err.msg);
    if (help || n == 0) {
        cli_print_overview();
        return help ? CLI_OK : CLI_USAGE;
    }
    int rc = dispatch(&cli, n, argv + 1);
    api_client_free(cli.client);
    if (fflush(stdout) == EOF && rc == CLI_OK)
        rc = CLI_FAILED; /* what was asked for was not delivered */
    return rc;
}
