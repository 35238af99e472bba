// SPDX-License-Identifier: Apache-2.0
/* How a container ended, as the agent knows it. */
#ifndef ZL_CLI_CONTAINER_ENDED_H
#define ZL_CLI_CONTAINER_ENDED_H

#include "cli/cli.h"

/* Waits for the end of the container and gives its exit code; what happened otherwise (it never
 * ran, was removed, its monitor died) is told, and CLI_RUN_OURS where there is no code.
 * container: an object with id and name. */
int ended_code(struct cli *cli, const json_t *container);

#endif
