// SPDX-License-Identifier: Apache-2.0
/* Manual pages in roff, man(7), from the tables: `zlayer man ps | man -l -`. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

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

static void put_examples(const char *examples)
{
    (void)printf(".SH EXAMPLES\n");
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

static void put_synopsis(const char *before, const struct cli_command *c)
{
    (void)printf(".B zlayer %s%s\n", before, c->name);
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
    static const struct {
        const char *code, *text;
    } codes[] = {
        { "0", "success" },
        { "1", "a runtime error" },
        { "2", "wrong usage; nothing was done" },
        { "3", "the document is invalid; nothing was changed" },
        { "4", "the agent does not answer and cannot be started" },
        { "5", "not ready in time" },
        { "n", "run and exec: the command's own code, or 128 + the signal that ended it; 125 when "
               "zlayer failed, 126 when the command cannot be executed, 127 when there is none" },
    };
    (void)printf(".SH EXIT STATUS\n");
    for (size_t i = 0; i < ZL_ARRAY_LEN(codes); i++)
        (void)printf(".TP\n.B %s\n%s\n", codes[i].code, codes[i].text);
}

static void put_title(const struct cli_command *c)
{
    (void)printf(".TH ZLAYER\\-");
    for (const char *p = c->name; *p; p++)
        (void)putchar(toupper((unsigned char)*p));
    (void)printf(" 1 \"\" \"zlayer " ZL_VERSION "\"\n.SH NAME\nzlayer\\-%s \\- ", c->name);
    puts_roff(c->summary);
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
    put_title(c);
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
        put_examples(c->examples);
    put_exit_codes();
    (void)printf(".SH SEE ALSO\nzlayer(1)\n");
}

static void put_overview(void)
{
    (void)printf(".TH ZLAYER 1 \"\" \"zlayer " ZL_VERSION "\"\n"
                 ".SH NAME\nzlayer \\- run what a deployment file describes, and keep it running\n"
                 ".SH SYNOPSIS\n.B zlayer\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR\n.SH COMMANDS\n");
    for (const struct cli_command *const *c = cli_commands(); *c; c++) {
        (void)printf(".TP\n.B %s\n", (*c)->name);
        puts_roff((*c)->summary);
        (void)printf("\n");
    }
    put_options(".SH OPTIONS", cli_global_options);
    put_exit_codes();
    (void)printf(".SH ENVIRONMENT\nZLAYER_ROOT_DIR (or ZLAYER_DATA_DIR), ZLAYER_RUNTIME_DIR, "
                 "NO_COLOR\n");
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
    (void)cli;
    (void)options;
    const struct cli_command *c = argc ? cli_find_command(argv[0]) : NULL;
    if (argc && !c)
        return cli_failf(CLI_USAGE, "there is no command '%s'", argv[0]);
    cli_print_man(c);
    return CLI_OK;
}

const struct cli_command man_command = {
    .name = "man",
    .group = GROUP_OTHER,
    .args = "[COMMAND]",
    .summary = "Print a manual page in roff",
    .examples = "zlayer man ps | man -l -\tread it\n"
                "zlayer man > /usr/local/share/man/man1/zlayer.1\tinstall it",
    .max_args = 1,
    .completes = "command",
    .run = man_run,
};
