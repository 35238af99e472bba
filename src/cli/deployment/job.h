// SPDX-License-Identifier: Apache-2.0
/* What commands about jobs and about crons have in common. */
#ifndef ZL_CLI_DEPLOYMENT_JOB_H
#define ZL_CLI_DEPLOYMENT_JOB_H

#include <jansson.h>

#include "cli/cli.h"

/* Of the API, for "JOB" and for "DEPLOYMENT/JOB"; "{}" stands for each. */
struct job_paths {
    const char *plain, *qualified;
};

/* One request about the job or cron `what`, as the user wrote it. *ret is the caller's. */
int job_ask(struct cli *cli, const char *method, const struct job_paths *paths, const char *what,
            json_t **ret, struct zl_error *err);
/* Runs it now. With wait until it ends: prints its output. Returns the exit code. */
int job_trigger(struct cli *cli, const struct job_paths *paths, const char *what, bool wait);
/* A table of executions, as the API lists them. */
void job_print_executions(const struct cli *cli, const json_t *list);

#endif
