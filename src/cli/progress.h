// SPDX-License-Identifier: Apache-2.0
/* Watching a deploy: lines off a terminal, a table that is redrawn in place on one. */
#ifndef ZL_CLI_PROGRESS_H
#define ZL_CLI_PROGRESS_H

#include "cli/cli.h"

struct progress_options {
    uint64_t timeout_ms; /* 0: as long as the agent takes to decide */
    bool stay;           /* go on after the deployment is ready, until it is removed */
};

/* Follows the deployment. CLI_OK when it is ready, CLI_NOT_READY with each service that is not, its
 * reason and its last log lines, or what cli_fail says. */
int progress_follow(struct cli *cli, const char *deployment, const struct progress_options *o);

#endif
