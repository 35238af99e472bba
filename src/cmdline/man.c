// SPDX-License-Identifier: Apache-2.0
/* Manual pages in roff, man(7), from the tables: `zlayer man ps | man -l -`. A
 * program has a page for each command, or one for all. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cmdline/command.h"

/* Text as roff wants it: a leading dot or quote is no request, a hyphen is one. */
static void put(const char *text, size_t n)
{
    bool line_start = true;
    for (size_t i = 0; i < n; i++) {
        if (line_start && (text[i] == '.' || text[i] == '\''))
            (void)fputs("\\&", stdout);
        line_start = text[i] == '\n';
        if (text[i] == '\\')
            (void)fputs("\\e", stdout);
        else if (text[i] == '-')
            (void)fputs("\\-", stdout);
        else
            (void)fputc(text[i], stdout);
    }
}

static void puts_roff(const char *text)
{
    put(text, strlen(text));
}

/* heading: a request of man(7) that begins the list */
static void put_options(const char *heading, const struct cli_option *table)
{
    if (!table || !table->name)
        return;
    (void)printf("%s\n", heading);
    for (; table->name; table++) {
        (void)printf(".TP\n.B ");
        if (table->letter)
            (void)printf("\\-%c, ", table->letter);
        (void)printf("\\-\\-");
        puts_roff(table->name);
        if (table->arg)
            (void)printf(" \\fI%s\\fR", table->arg);
        (void)printf("\n");
        puts_roff(table->help);
        (void)printf("\n");
    }
}

static void put_examples(const char *heading, const char *examples)
{
    (void)printf("%s\n", heading);
    while (*examples) {
        size_t line = strcspn(examples, "\n"), command = strcspn(examples, "\t\n");
        (void)printf(".TP\n.B ");
        put(examples, command);
        (void)printf("\n");
        if (command < line) {
            put(examples + command + 1, line - command - 1);
            (void)printf("\n");
        }
        examples += line + (examples[line] == '\n');
    }
}

static void put_upper(const char *text)
{
    for (; *text; text++) {
        char upper[2] = { (char)toupper((unsigned char)*text) };
        puts_roff(upper);
    }
}

static void put_synopsis(const char *before, const struct cli_command *c)
{
    (void)printf(".B ");
    puts_roff(cli_program.name);
    (void)printf(" %s%s\n", before, c->name);
    if (c->options)
        (void)printf("[\\fIOPTIONS\\fR]\n");
    if (c->args) {
        puts_roff(c->args);
        (void)printf("\n");
    }
    (void)printf(".br\n");
}

static void put_exit_codes(void)
{
    (void)printf(".SH EXIT STATUS\n");
    for (const struct cli_exit_text *e = cli_program.exits; e->code; e++)
        (void)printf(".TP\n.B %s\n%s\n", e->code, e->text);
}

static void put_title(const struct cli_command *c, const char *purpose)
{
    (void)printf(".TH ");
    put_upper(cli_program.name);
    if (c)
        (void)printf("\\-");
    put_upper(c ? c->name : "");
    (void)printf(" %s \"\" \"zlayer " ZL_VERSION "\"\n.SH NAME\n", cli_program.section);
    puts_roff(cli_program.name);
    (void)printf("%s%s \\- ", c ? "\\-" : "", c ? c->name : "");
    puts_roff(purpose);
    (void)printf("\n");
}

static void put_synopses(const struct cli_command *c)
{
    char before[64];
    (void)snprintf(before, sizeof before, "%s ", c->name);
    (void)printf(".SH SYNOPSIS\n");
    if (!c->sub)
        put_synopsis("", c);
    for (const struct cli_command *s = c->sub; s && s->name; s++)
        put_synopsis(before, s);
}

static void put_about(const struct cli_command *c)
{
    puts_roff(c->about ? c->about : c->summary);
    (void)printf("\n");
}

static void put_command(const struct cli_command *c)
{
    put_title(c, c->summary);
    put_synopses(c);
    (void)printf(".SH DESCRIPTION\n");
    put_about(c);
    for (const struct cli_command *s = c->sub; s && s->name; s++) {
        (void)printf(".SS %s %s\n", c->name, s->name);
        put_about(s);
        put_options(".PP\nOptions:", s->options);
    }
    put_options(".SH OPTIONS", c->options);
    if (c->examples)
        put_examples(".SH EXAMPLES", c->examples);
    put_exit_codes();
    (void)printf(".SH SEE ALSO\n%s(%s)\n", cli_program.name, cli_program.section);
}

/* On the only page: a command with all that there is to say about it. */
static void put_section(const struct cli_command *c)
{
    (void)printf(".SS %s\n", c->name);
    put_synopsis("", c);
    (void)printf(".PP\n");
    put_about(c);
    put_options(".PP", c->options);
    if (c->examples)
        put_examples(".PP\nExamples:", c->examples);
}

static void put_summaries(void)
{
    for (const struct cli_command *const *c = cli_program.commands; *c; c++) {
        (void)printf(".TP\n.B %s\n", (*c)->name);
        puts_roff((*c)->summary);
        (void)printf("\n");
    }
}

static void put_overview(void)
{
    put_title(NULL, cli_program.purpose);
    (void)printf(".SH SYNOPSIS\n.B ");
    puts_roff(cli_program.name);
    (void)printf("\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR\n");
    if (cli_program.one_page) {
        (void)printf(".SH DESCRIPTION\n");
        puts_roff(cli_program.about);
        (void)printf("\n");
    }
    (void)printf(".SH COMMANDS\n");
    if (!cli_program.one_page)
        put_summaries();
    for (const struct cli_command *const *c = cli_program.commands; cli_program.one_page && *c; c++)
        put_section(*c);
    put_options(".SH OPTIONS", cli_program.globals);
    put_exit_codes();
    (void)printf(".SH ENVIRONMENT\n%s\n", cli_program.environment);
}

void cli_print_man(const struct cli_command *c)
{
    if (c)
        put_command(c);
    else
        put_overview();
}

static int man_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)options;
    const struct cli_command *c = argc ? cli_find_command(argv[0]) : NULL;
    if (argc && !c)
        return cli_usage(cli, "there is no command '%s'", argv[0]);
    cli_print_man(c);
    return 0;
}

const struct cli_command man_command = {
    .name = "man",
    .group = CLI_LAST_GROUP,
    .args = "[COMMAND]",
    .summary = "Print a manual page in roff",
    .about =
        "Prints the manual page of a command, or the overview. To read one: pipe it to man -l -",
    .max_args = 1,
    .completes = "command",
    .run = man_run,
};
