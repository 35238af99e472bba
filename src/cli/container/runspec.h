// SPDX-License-Identifier: Apache-2.0
/* The options of `zlayer run`, and the service mapping that they mean. */
#ifndef ZL_CLI_CONTAINER_RUNSPEC_H
#define ZL_CLI_CONTAINER_RUNSPEC_H

#include "cli/cli.h"

struct run_options {
    bool remove, detach, tty, stdin_open, read_only, no_sig_proxy;
    const char *name, *memory, *cpus, *user, *network, *entrypoint, *workdir, *hostname,
        *stop_signal, *detach_keys;
    int runtime; /* enum cli_runtime */
    uint64_t pids_limit, stop_timeout_ms;
    struct cli_list env, volumes, tmpfs, labels;
};
extern const struct cli_option run_options[];

/* argv: IMAGE [COMMAND…]. A new reference; NULL with INVALID when an option makes no sense. */
json_t *runspec_make(const struct run_options *o, int argc, char **argv, struct zl_error *err);

/* "512", "16m", "1.5g", "2GiB": bytes, as Docker's --memory takes them (units of 1024, any case).
 */
int runspec_parse_size(const char *text, uint64_t *ret, struct zl_error *err);

/* "NAME=value", or "NAME" for the value it has here, into an object. An unset NAME is left out. */
int runspec_add_env(json_t *env, const char *text, struct zl_error *err);

#endif
