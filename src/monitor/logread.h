// SPDX-License-Identifier: Apache-2.0
/*
 * Reading a container's log while it is written and rotated: line by line, the pieces of long lines
 * joined, from a time or the last n lines on, to the end or following it. Pulled: logread_next()
 * never blocks, logread_fd() tells when to call it again, so a command may poll and the agent may
 * watch. Not thread-safe.
 */
#ifndef ZL_MONITOR_LOGREAD_H
#define ZL_MONITOR_LOGREAD_H

#include "base/error.h"
#include "monitor/logformat.h"

struct logread;

enum { LOGREAD_LINE_MAX = 256 * 1024 }; /* a longer line comes in parts */
#define LOGREAD_ALL UINT64_MAX

struct logread_opts {
    int64_t since_ns; /* lines from then on; 0: from the first */
    int64_t until_ns; /* lines before then; 0: no end */
    uint64_t tail;    /* the last so many of them; LOGREAD_ALL */
    bool follow;
    unsigned streams; /* 1 << LOG_STDOUT, 1 << LOG_STDERR; 0: all. Counts for tail as well */
};

struct logread_line {
    int64_t wall_ns; /* when its end was written */
    enum log_stream stream;
    const char
        *bytes; /* exactly what was written, its newline included; borrowed until the next call */
    size_t length;
    bool whole; /* ends with a newline; else it goes on in the next line of this stream, or the
                 * stream ended there */
};

/* path: of the newest file ("…/default-1.log"). A log that does not exist yet has no lines; a
 * directory that does not is ZL_ERR_NOT_FOUND. */
int logread_open(const char *path, const struct logread_opts *opts, struct logread **ret,
                 struct zl_error *err);
void logread_free(struct logread *r);
ZL_DEFINE_CLEANUP(struct logread *, logread_free)
#define autologread ZL_CLEANUP(logread_freep)

/* 1 a line; 0 none now (following: poll logread_fd; else: the end); -1 an error. Following, the
 * start of a line that is not finished is given out rather than kept back. */
int logread_next(struct logread *r, struct logread_line *ret, struct zl_error *err);
int logread_fd(const struct logread *r); /* borrowed; -1 when not following */

#endif
