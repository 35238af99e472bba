// SPDX-License-Identifier: Apache-2.0
/* Starting an agent in the background. */
#ifndef ZL_CLI_START_H
#define ZL_CLI_START_H

#include "cli/cli.h"

/*
 * Starts zlayerd and waits until it serves the socket, unless somebody else did so meanwhile: of
 * several clients at once one starts it, the others wait for that. On failure the message ends with
 * the last lines of agent.log.
 */
int agent_start(const struct cli *cli, struct zl_error *err);

/* argv for zlayerd with the folders of cli; ready_fd -1: none. Pointers into cli and `number`.
 * Returns how many there are; at least AGENT_MORE fit behind them, before the NULL. */
enum { AGENT_MORE = 20, AGENT_ARGS = 10 + AGENT_MORE };
size_t agent_argv(const struct cli *cli, const char *program, int ready_fd, char number[12],
                  const char *argv[AGENT_ARGS]);

#endif
