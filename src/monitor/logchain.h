// SPDX-License-Identifier: Apache-2.0
/*
 * The files of one log as a chain, oldest first, while its writer may rotate them at any moment: a
 * file is known by its inode, which cannot be used anew while it is open here.
 */
#ifndef ZL_MONITOR_LOGCHAIN_H
#define ZL_MONITOR_LOGCHAIN_H

#include <sys/types.h>

#include "base/error.h"
#include "monitor/logformat.h"

struct logchain {
    int dir_fd; /* borrowed */
    const char *name;
    size_t n;
    struct logchain_file {
        int fd, index_fd; /* index_fd -1: none */
        dev_t dev;
        ino_t ino;
    } file[LOG_FILES];
};

struct log_position {
    size_t file; /* index in the chain */
    uint64_t offset;
};

/* Opens what is there; nothing is an empty chain. */
int logchain_open(struct logchain *c, int dir_fd, const char *name, struct zl_error *err);
void logchain_close(struct logchain *c);
/* Looks again: drops the files before file[keep], appends what the writer has made since. Returns
 * whether there is a file after file[keep], which is file[0] afterwards (unless the chain was
 * empty).
 */
bool logchain_extend(struct logchain *c, size_t keep);
/* Where to begin so that every record of wall_ns or later comes: by the index, where there is one.
 */
struct log_position logchain_seek_time(const struct logchain *c, int64_t wall_ns);
/* `bytes` before the end of the chain as it is now, at the start of a record; false when that is
 * before its start (then the start is given). */
bool logchain_seek_back(const struct logchain *c, uint64_t bytes, struct log_position *ret);

#endif
