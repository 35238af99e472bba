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
#include "cli/commands.h"

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

/* ---- call.c: what is asked of the agent, and what becomes of the answer ---- */
/* One call to the agent, connecting if need be. fmt, a, b as api_path(). */
int cli_call(struct cli *cli, const char *method, const char *fmt, const char *a, const char *b,
             const json_t *body, json_t **ret, struct zl_error *err);
/* POST. body is what json_pack() made of words of the command line, and freed; it is NULL when one
 * of them is not UTF-8: then nothing is asked, since without a body a request means something else.
 */
int cli_post(struct cli *cli, const char *fmt, const char *a, json_t *body, json_t **ret,
             struct zl_error *err);
/* Prints an answer for people. */
typedef void (*cli_show_fn)(const struct cli *cli, const json_t *answer);
/* The end of a command that shows what was answered: rc and err are the call's. JSON when that is
 * wanted or show is NULL; answer (NULL is fine) is freed. The exit code. */
int cli_show(const struct cli *cli, int rc, json_t *answer, cli_show_fn show,
             const struct zl_error *err);
/* A whole command: GET of fmt with a, shown. */
int cli_get(struct cli *cli, const char *fmt, const char *a, cli_show_fn show);
/* One call for each of names[0..n), fmt as api_path() with one name. Prints the names that it was
 * done for; goes on after a failure, which is told. The exit code of the last failure, else CLI_OK.
 */
int cli_each(struct cli *cli, const char *method, const char *fmt, const json_t *body, int n,
             char **names);
/* GET of each, printed as JSON. */
int cli_get_each(struct cli *cli, const char *fmt, int n, char **names);

#endif
