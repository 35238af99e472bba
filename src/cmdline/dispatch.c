// SPDX-License-Identifier: Apache-2.0
/* From argv to a command's run: finds the command, parses its options by its table, counts. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cmdline/command.h"
#include "spec/value/suggest.h"

static bool is_called(const struct cli_command *c, const char *name)
{
    return strcmp(c->name, name) == 0 || (c->alias && strcmp(c->alias, name) == 0);
}

const struct cli_command *cli_find_command(const char *name)
{
    for (const struct cli_command *const *c = cli_program.commands; *c; c++)
        if (is_called(*c, name))
            return *c;
    return NULL;
}

int cli_usage(struct cli *cli, const char *fmt, ...)
{
    struct zl_error err = { .kind = ZL_ERR_INVALID };
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(err.msg, sizeof err.msg, fmt, ap);
    va_end(ap);
    (void)cli_program.fail(cli, &err);
    return cli_program.usage_exit;
}

const struct cli_command *cli_find_sub(const struct cli_command *c, const char *name)
{
    for (const struct cli_command *s = c->sub; s && s->name; s++)
        if (is_called(s, name))
            return s;
    return NULL;
}

static int unknown_command(struct cli *cli, const char *name)
{
    struct spec_nearest near = { .typed = name };
    for (const struct cli_command *const *c = cli_program.commands; *c; c++)
        spec_nearest_try(&near, (*c)->name);
    if (near.word)
        return cli_usage(cli, "there is no command '%s'; did you mean '%s'?", name, near.word);
    return cli_usage(cli, "there is no command '%s'; see `%s help`", name, cli_program.name);
}

static int unknown_sub(struct cli *cli, const struct cli_command *c, const char *name)
{
    struct spec_nearest near = { .typed = name };
    for (const struct cli_command *s = c->sub; s->name; s++)
        spec_nearest_try(&near, s->name);
    if (near.word)
        return cli_usage(cli, "there is no command '%s %s'; did you mean '%s %s'?", c->name, name,
                         c->name, near.word);
    return cli_usage(cli, "there is no command '%s %s'; see `%s %s --help`", c->name, name,
                     cli_program.name, c->name);
}

static int usage_error(struct cli *cli, const struct cli_command *parent,
                       const struct cli_command *c, const char *what)
{
    (void)cli_usage(cli, "%s", what);
    (void)fprintf(stderr, "Usage: %s %s%s%s [OPTIONS] %s\n", cli_program.name,
                  parent ? parent->name : "", parent ? " " : "", c->name, c->args ? c->args : "");
    return c->own_failure ? cli_program.own_exit : cli_program.usage_exit;
}

static int check_count(struct cli *cli, const struct cli_command *parent,
                       const struct cli_command *c, int n, char **args)
{
    char what[256];
    if (n < c->min_args)
        return usage_error(cli, parent, c, "an argument is missing");
    if (c->max_args < 0 || n <= c->max_args)
        return 0;
    (void)snprintf(what, sizeof what, "'%s' is one argument too many", args[c->max_args]);
    return usage_error(cli, parent, c, what);
}

static int run_command(struct cli *cli, const struct cli_command *c, const void *options, int argc,
                       char **argv)
{
    struct zl_error err = { 0 };

    if (cli_program.prepare(cli, &err) < 0)
        return cli_program.fail(cli, &err);
    if (c->run)
        return c->run(cli, options, argc, argv);
    return c->act(cli, options, argc, argv, &err) < 0 ? cli_program.fail(cli, &err) : 0;
}

/* argv begins after the command's name. */
static int run_command_line(struct cli *cli, const struct cli_command *parent,
                            const struct cli_command *c, int argc, char **argv)
{
    struct zl_error err = { 0 };
    bool help = false;
    max_align_t options[64] = { 0 }; /* every command's struct fits, checked here */
    if (c->options_size > sizeof options) {
        (void)zl_fail(&err, ZL_ERR_INTERNAL, "the options of '%s' are too large", c->name);
        return cli_program.fail(cli, &err);
    }
    int n = cli_parse_options(argc, argv, c->options, options, cli_program.globals, cli,
                              c->options_first, &help, &err);
    int rc = 0;
    if (n < 0)
        rc = usage_error(cli, parent, c, err.msg);
    else if (help)
        cli_print_help(parent, c);
    else if ((rc = check_count(cli, parent, c, n, argv)) == 0)
        rc = run_command(cli, c, options, n, argv);
    cli_options_done(c->options, options);
    return rc;
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
    const struct cli_command *c = cli_find_command(argv[0]);
    if (!c)
        return unknown_command(cli, argv[0]);
    if (!c->sub)
        return run_command_line(cli, NULL, c, argc - 1, argv + 1);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        cli_print_help(NULL, c);
        return argc < 2 ? cli_program.usage_exit : 0;
    }
    const struct cli_command *s = cli_find_sub(c, argv[1]);
    return s ? run_command_line(cli, c, s, argc - 2, argv + 2) : unknown_sub(cli, c, argv[1]);
}

int cli_main(struct cli *cli, int argc, char **argv)
{
    struct zl_error err = { 0 };
    bool help = false;
    char version[] = "version";

    if (argc > 1 && strcmp(argv[1], "--version") == 0) /* as every program has it */
        argv[1] = version;
    int n = argc < 1 ? 0
                     : cli_parse_options(argc - 1, argv + 1, cli_program.globals, cli, NULL, NULL,
                                         true, &help, &err);
    if (n < 0)
        return cli_usage(cli, "%s", err.msg);
    if (help || n == 0) {
        cli_print_overview();
        return help ? 0 : cli_program.usage_exit;
    }
    return dispatch(cli, n, argv + 1);
}
