// SPDX-License-Identifier: Apache-2.0
/*
 * The command line: what every command has. A command is an entry of a const table; its options are
 * a table too, from which parsing, --help, the man pages and the shell completions are all made.
 */
#ifndef ZL_CLI_CLI_H
#define ZL_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/client.h"
#include "base/buf.h"
#include "base/error.h"
#include "cli/options.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,    /* a runtime error */
    CLI_USAGE = 2,     /* of zlayer: nothing was done */
    CLI_BAD_SPEC = 3,  /* nothing was changed */
    CLI_NO_AGENT = 4,  /* it does not answer and cannot be started */
    CLI_NOT_READY = 5, /* deployed, but not ready in time */
    /* run and exec, otherwise they give the command's own code or 128 + its signal */
    CLI_RUN_OURS = 125,      /* zlayer failed, not the command */
    CLI_RUN_DENIED = 126,    /* the command cannot be executed */
    CLI_RUN_NOT_FOUND = 127, /* there is no such command */
};

enum cli_format { CLI_TABLE, CLI_JSON };

/* What the options before (or after) the command say, after environment and defaults. */
struct cli {
    const char *socket, *root_dir, *runtime_dir;
    bool verbose, no_color;
    int format;                /* enum cli_format */
    char socket_buf[4096];     /* of the default socket */
    struct api_client *client; /* of cli_connect */
};

enum cli_group { GROUP_DEPLOY, GROUP_CONTAINER, GROUP_IMAGE, GROUP_AGENT, GROUP_OTHER, GROUPS };

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
    enum cli_group group;
    int min_args, max_args; /* max -1: any number */
    bool options_first;     /* what follows the first argument belongs to a command */
    bool own_failure;       /* failures of zlayer itself exit CLI_RUN_OURS: run, exec */
};

/* All commands in the order of help, ended by a NULL name. */
const struct cli_command *const *cli_commands(void);
const struct cli_command *cli_find_command(const char *name);      /* NULL: there is none */
bool cli_is_called(const struct cli_command *c, const char *name); /* or its alias */

extern const struct cli_option cli_global_options[];

extern const struct cli_command up_command, deploy_command, down_command, ps_command, logs_command,
    exec_command, stop_command, status_command, validate_command, run_command, container_command,
    image_command, import_command, job_command, cron_command, spec_command, debug_command,
    events_command, serve_command, daemon_command, version_command, completion_command, man_command,
    help_command;

/* ---- context.c: folders, connection, errors ---- */
/* Fills what no option said from the environment and the defaults. */
int cli_resolve_paths(struct cli *cli, struct zl_error *err);
/* Connects to the agent, and starts one when none answers. */
int cli_connect(struct cli *cli, struct zl_error *err);
/* Connects only; UNREACHABLE when there is none. */
int cli_connect_running(struct cli *cli, struct zl_error *err);
/* Prints "Error: <message>" and gives the exit code that goes with its kind. */
int cli_fail(const struct zl_error *err);
int cli_failf(enum cli_exit code, const char *fmt, ...) ZL_PRINTF(2, 3);
/* The same for a call that the agent had accepted: if the agent is gone, hint says what that means.
 */
int cli_fail_midway(const struct zl_error *err, const char *hint);
#define CLI_KEPT "what was asked for is kept; run the command again: it goes on"
/* One call to the agent, connecting if need be. fmt, a, b as api_path(). */
int cli_call(struct cli *cli, const char *method, const char *fmt, const char *a, const char *b,
             const json_t *body, json_t **ret, struct zl_error *err);

/* ---- help.c, man.c, completion.c ---- */
void cli_print_help(const struct cli_command *parent, const struct cli_command *c);
void cli_print_overview(void);
void cli_print_man(const struct cli_command *c); /* NULL: of zlayer itself */
int cli_print_completion(const char *shell);

#endif
