// SPDX-License-Identifier: Apache-2.0
/* The stream of files between a container and us: docs/api.md, "Archives". */
#ifndef ZL_CLI_CONTAINER_ARCHIVE_H
#define ZL_CLI_CONTAINER_ARCHIVE_H

#include "cli/cli.h"

struct archive_ask {
    const char *op, *path; /* path NULL: "/" */
    bool keep_owner, same_types;
};

/*
 * Asks for it and carries it out: bytes from `in` (or -1) go to the container, what comes goes to
 * `out` (or -1: nothing is expected). *ret_stat (or NULL) is what it is told of the path, a
 * reference.
 */
int archive_run(struct cli *cli, const json_t *container, const struct archive_ask *ask, int in,
                int out, json_t **ret_stat, struct zl_error *err);

#endif
