// SPDX-License-Identifier: Apache-2.0
/* --help and the overview, from the tables. */
#include <stdio.h>
#include <string.h>

#include "cmdline/command.h"

static void print_option(const struct cli_option *o)
{
    char left[64];
    char letter[5] = "    ";
    if (o->letter)
        (void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
    (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->arg ? " " : "",
                   o->arg ? o->arg : "");
    (void)printf("  %-28s %s\n", left, o->help);
}

static void print_options(const char *title, const struct cli_option *table)
{
    if (!table || !table->name)
        return;
    (void)printf("\n%s:\n", title);
    for (; table->name; table++)
        print_option(table);
}

static void print_examples(const char *examples)
{
    (void)printf("\nExamples:\n");
    while (examples && *examples) {
        size_t line = strcspn(examples, "\n"), command = strcspn(examples, "\t\n");
        (void)printf("  %.*s\n", (int)command, examples);
        if (command < line)
            (void)printf("      %.*s\n", (int)(line - command - 1), examples + command + 1);
        examples += line + (examples[line] == '\n');
    }
}

void cli_print_help(const struct cli_command *parent, const struct cli_command *c)
{
    (void)printf("%s\n\nUsage: %s %s%s%s", c->summary, cli_program.name, parent ? parent->name : "",
                 parent ? " " : "", c->name);
    if (c->sub)
        (void)printf(" COMMAND\n");
    else
        (void)printf(" [OPTIONS]%s%s\n", c->args ? " " : "", c->args ? c->args : "");
    if (c->alias)
        (void)printf("Alias: %s\n", c->alias);
    if (c->about)
        (void)printf("\n%s\n", c->about);
    if (c->sub)
        (void)printf("\nCommands:\n");
    for (const struct cli_command *s = c->sub; s && s->name; s++)
        (void)printf("  %-12s %s\n", s->name, s->summary);
    print_options("Options", c->options);
    print_options("Global options", cli_program.globals);
    if (c->examples)
        print_examples(c->examples);
}

void cli_print_overview(void)
{
    (void)printf("%s\n\nUsage: %s [OPTIONS] COMMAND\n", cli_program.about, cli_program.name);
    for (int g = 0; cli_program.groups[g]; g++) {
        (void)printf("\n%s:\n", cli_program.groups[g]);
        bool last = !cli_program.groups[g + 1];
        for (const struct cli_command *const *c = cli_program.commands; *c; c++)
            if ((*c)->group == g || (last && (*c)->group == CLI_LAST_GROUP))
                (void)printf("  %-12s %s\n", (*c)->name, (*c)->summary);
    }
    print_options("Global options", cli_program.globals);
    (void)printf("\n`%s COMMAND --help` tells more about a command.\n", cli_program.name);
}

static int help_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)options;
    if (argc == 0) {
        cli_print_overview();
        return 0;
    }
    const struct cli_command *c = cli_find_command(argv[0]);
    if (!c)
        return cli_usage(cli, "there is no command '%s'", argv[0]);
    const struct cli_command *s = argc > 1 ? cli_find_sub(c, argv[1]) : NULL;
    if (argc > 1 && !s)
        return cli_usage(cli, "there is no command '%s %s'", argv[0], argv[1]);
    cli_print_help(s ? c : NULL, s ? s : c);
    return 0;
}

const struct cli_command help_command = {
    .name = "help",
    .group = CLI_LAST_GROUP,
    .args = "[COMMAND]",
    .summary = "Explain a command",
    .max_args = 2,
    .completes = "command",
    .run = help_run,
};
