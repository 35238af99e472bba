// SPDX-License-Identifier: Apache-2.0
/*
 * Command lines by tables, for zlayer and zlayer-oci. A command is an entry of a const table; its
 * options are a table too, from which parsing, --help, the man pages and the shell completions are
 * all made. Each program defines `struct cli` (what the options of all its commands fill) and
 * `cli_program`.
 */
#ifndef ZL_CMDLINE_COMMAND_H
#define ZL_CMDLINE_COMMAND_H

#include "cmdline/options.h"

struct cli; /* the program's own */

enum { CLI_LAST_GROUP = -1 };

struct cli_command {
    const char *name;                 /* "up"; of a subcommand "ls" */
    const char *alias;                /* or NULL */
    const char *args;                 /* "[SPEC]", as usage says it */
    const char *summary;              /* one line, no full stop */
    const char *about;                /* paragraphs for --help and the man page, or NULL */
    const char *examples;             /* lines "command<TAB>what it does", or NULL */
    const struct cli_option *options; /* or NULL */
    size_t options_size;              /* of the struct they fill */
    const char *completes; /* what an argument is: "spec", "deployment", "service", "container",
                            * "image", "job", "command", or NULL */
    const struct cli_command *sub; /* a table of subcommands instead of run */
    /* options points to a struct of options_size; args are argv[0..argc). Returns the exit code. */
    int (*run)(struct cli *cli, const void *options, int argc, char **argv);
    /* The same of a command that succeeds or fails, in place of run: -1 and err, which the
     * program's `fail` tells. */
    int (*act)(struct cli *cli, const void *options, int argc, char **argv, struct zl_error *err);
    int group;              /* index into the program's groups, or CLI_LAST_GROUP */
    int min_args, max_args; /* max -1: any number */
    bool options_first;     /* what follows the first argument belongs to a command */
    bool own_failure;       /* failures of the program itself exit own_exit: run, exec */
};

struct cli_exit_text {
    const char *code, *text; /* "125", "zlayer failed, not the command"; NULL ends the table */
};

struct cli_program {
    const char *name;    /* "zlayer" */
    const char *purpose; /* "run what a deployment file describes, and keep it running" */
    const char *about;   /* the same as a sentence or a paragraph, for the overview */
    const char *section; /* of the manual: "1", "8" */
    const struct cli_command *const *commands; /* in the order of help, ended by NULL */
    const struct cli_option *globals;          /* fill struct cli */
    const char *const *groups;                 /* titles, ended by NULL */
    const struct cli_exit_text *exits;
    const char *environment; /* variables that are read: man page */
    bool one_page;           /* all commands in one man page instead of one each */
    int usage_exit;          /* nothing was done: the command line is wrong */
    int own_exit;            /* the same for commands with own_failure */

    /* Between parsing and a command's run: defaults, checks. -1: the command does not run. */
    int (*prepare)(struct cli *cli, struct zl_error *err);
    /* Tells the user; returns the exit code for an error of this kind. */
    int (*fail)(struct cli *cli, const struct zl_error *err);
    /* Prints what could be completed, one a line; kind as cli_command.completes. */
    void (*words)(struct cli *cli, const char *kind);
};
extern const struct cli_program cli_program;

/* By name or alias; NULL: there is none. */
const struct cli_command *cli_find_command(const char *name);
const struct cli_command *cli_find_sub(const struct cli_command *c, const char *name);

/* The whole command line, program's name first: the exit code. cli is zeroed, or has defaults. */
int cli_main(struct cli *cli, int argc, char **argv);
/* Tells that the command line is wrong; usage_exit. */
int cli_usage(struct cli *cli, const char *fmt, ...) ZL_PRINTF(2, 3);

void cli_print_help(const struct cli_command *parent, const struct cli_command *c);
void cli_print_overview(void);
void cli_print_man(const struct cli_command *c); /* NULL: of the program itself */
int cli_print_completion(const char *shell);     /* -1: there is none for this shell */

/* Commands that every program has: the tables name them as any other. */
extern const struct cli_command completion_command, man_command, help_command;

#endif
