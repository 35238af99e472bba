// SPDX-License-Identifier: Apache-2.0
/*
 * The commands there are, in the order of help: of each X(NAME) a file of the folders below has the
 * `const struct cli_command NAME_command`. From here come their declarations, the table of
 * commands.c, and (meson.build reads the lines) the manual pages.
 */
#ifndef ZL_CLI_COMMANDS_H
#define ZL_CLI_COMMANDS_H

#include "cmdline/command.h"

/* clang-format off */
#define CLI_COMMANDS(X) \
    X(up)            \
    X(deploy)        \
    X(down)          \
    X(stop)          \
    X(restart)       \
    X(ps)            \
    X(logs)          \
    X(exec)          \
    X(status)        \
    X(validate)      \
    X(job)           \
    X(cron)          \
    X(spec)          \
    X(debug)         \
    X(events)        \
    X(run)           \
    X(attach)        \
    X(wait)          \
    X(kill)          \
    X(pause)         \
    X(unpause)       \
    X(update)        \
    X(stats)         \
    X(top)           \
    X(cp)            \
    X(diff)          \
    X(export)        \
    X(container)     \
    X(volume)        \
    X(image)         \
    X(pull)          \
    X(push)          \
    X(import)        \
    X(load)          \
    X(save)          \
    X(login)         \
    X(logout)        \
    X(wasm)          \
    X(serve)         \
    X(daemon)        \
    X(version)       \
    X(completion)    \
    X(man)           \
    X(help)
/* clang-format on */

#define CLI_DECLARE(name) extern const struct cli_command name##_command;
CLI_COMMANDS(CLI_DECLARE)
#undef CLI_DECLARE

#endif
