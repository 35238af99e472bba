// SPDX-License-Identifier: Apache-2.0
/* zlayer: finds the command, parses its options by its table, runs it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "spec/suggest.h"

static const struct cli_command *find_sub(const struct cli_command *c, const char *name)
{
    for (const struct cli_command *s = c->sub; s->name; s++)
        if (cli_is_called(s, name))
            return s;
    return NULL;
}

static int unknown_command(const char *name)
{
    struct spec_nearest near = { .typed = name };
    for (size_t i = 0; cli_commands()[i]; i++)
        spec_nearest_try(&near, cli_commands()[i]->name);
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
    int rc = CLI_OK;
    if (n < 0)
        rc = usage_error(parent, c, err.msg);
    else if (help)
        cli_print_help(parent, c);
    else if ((rc = check_count(parent, c, n, argv)) == CLI_OK)
        rc = cli_resolve_paths(cli, &err) < 0 ? cli_fail(&err) : c->run(cli, options, n, argv);
    cli_options_done(c->options, options);
    return rc;
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
    const struct cli_command *c = cli_find_command(argv[0]);
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
    static char version[] = "version";

    (void)signal(SIGPIPE, SIG_IGN); /* `zlayer ps | head` ends by EPIPE, with our own cleanup */
    zl_log_init("zlayer", ZL_LOG_WARN, ZL_LOG_TEXT);
    if (argc > 1 && strcmp(argv[1], "--version") == 0) /* as every program has it */
        argv[1] = version;
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
