// SPDX-License-Identifier: Apache-2.0
/* Printing log files; the agent only names them. */
#ifndef ZL_CLI_CONTAINER_LOGS_H
#define ZL_CLI_CONTAINER_LOGS_H

#include <stdio.h>

#include "cli/cli.h"

/* The last `lines` lines of the log at path, each after indent; a log that cannot be read, or has
 * nothing in it, is said in one line. */
void logs_print_tail(FILE *out, const char *path, uint64_t lines, const char *indent);
/* All of it, each stream to ours of the same name, as if it had been attached. */
int logs_copy(const char *path, struct zl_error *err);

/* The logs of what was removed ("shop/web", "box") and is kept for its retention time: an array (a
 * reference), as the API answers. -1: there are none. */
int logs_kept(const struct cli *cli, const char *what, json_t **ret);

struct logs_options {
    bool follow, timestamps;
    const char *lines; /* a number or "all" */
    const char *instance, *deployment;
    const char *since, *until; /* times: logs.c, parse_time */
    int stream;                /* index into its words: 0 both, 1 stdout, 2 stderr */
};
/* `zlayer logs` and `zlayer container logs`. */
int logs_command_run(struct cli *cli, const void *options, int argc, char **argv);
extern const struct cli_option logs_options[];

#endif
