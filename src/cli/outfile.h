// SPDX-License-Identifier: Apache-2.0
/*
 * A file that a command makes for the user (-o FILE): written under a name of its own and renamed
 * when it is whole, so that a command that fails leaves what was there before. What is no regular
 * file, a pipe or a device, is written to as it is.
 */
#ifndef ZL_CLI_OUTFILE_H
#define ZL_CLI_OUTFILE_H

#include "base/error.h"

struct outfile {
    int fd;           /* to write to */
    char *path, *tmp; /* tmp NULL: path itself is written to */
};

int outfile_open(const char *path, struct outfile *ret, struct zl_error *err);
/* It is whole: takes its place. */
int outfile_keep(struct outfile *f, struct zl_error *err);
/* Closes; what was not kept goes. */
void outfile_done(struct outfile *f);
#define autooutfile ZL_CLEANUP(outfile_done)

#endif
