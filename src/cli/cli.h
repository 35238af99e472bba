// SPDX-License-Identifier: Apache-2.0
/* What every command of zlayer has; commands themselves and their options: cmdline/command.h. */
#ifndef ZL_CLI_CLI_H
#define ZL_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/client.h"
#include "base/buf.h"
#include "base/error.h"
#include "cmdline/command.h"

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

enum cli_group { GROUP_DEPLOY, GROUP_CONTAINER, GROUP_IMAGE, GROUP_AGENT, GROUP_OTHER };

extern const struct cli_command up_command, deploy_command, down_command, ps_command, logs_command,
    exec_command, stop_command, status_command, validate_command, run_command, container_command,
    image_command, volume_command, import_command, load_command, save_command, pull_command,
    push_command, login_command, logout_command, job_command, cron_command, spec_command,
    debug_command, events_command, serve_command, daemon_command, version_command, wasm_command,
    attach_command, cp_command, diff_command, export_command, kill_command, stats_command,
    top_command, pause_command, unpause_command, update_command, wait_command, restart_command;

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
/* DELETE of each of names[0..n), fmt as api_path() with one name. Prints those that are gone; goes
 * on after a failure, which is told. The exit code of the last failure, else CLI_OK. */
int cli_delete_each(struct cli *cli, const char *fmt, int n, char **names);

#endif
