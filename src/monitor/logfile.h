// SPDX-License-Identifier: Apache-2.0
/*
 * Writing a container's log (logformat.h). Output goes to the page cache with the read that brought
 * it, in one write(2) of whole records, so nothing is kept back from a reader and nothing is lost
 * with the monitor, but for an incomplete line, which may be held for a moment. Writing never fails
 * towards the workload: what a full disk did not take is counted, and told in the log itself as
 * soon as it takes bytes again. Not thread-safe.
 */
#ifndef ZL_MONITOR_LOGFILE_H
#define ZL_MONITOR_LOGFILE_H

#include "base/error.h"
#include "monitor/logformat.h"

struct logfile;

/*
 * Opens or makes dir_fd/name for appending; dir_fd is duplicated. max_bytes: of all rotated files
 * together (0: LOG_MAX_BYTES_DEFAULT; at least LOG_FILES * LOG_FILE_MIN). What an earlier writer
 * left torn is ended, so the records that follow are whole lines.
 */
int logfile_open(int dir_fd, const char *name, uint64_t max_bytes, struct logfile **ret,
                 struct zl_error *err);
void logfile_free(struct logfile *l); /* incomplete lines are to be ended before */
ZL_DEFINE_CLEANUP(struct logfile *, logfile_free)
#define autologfile ZL_CLEANUP(logfile_freep)

/* Output as it was read, of any length, at wall_ns. */
void logfile_write(struct logfile *l, enum log_stream stream, int64_t wall_ns, const char *bytes,
                   size_t n);
/* Whether the start of a line is held back. Its owner calls logfile_release soon, so that a prompt
 * is seen though no newline follows it. */
bool logfile_holds(const struct logfile *l);
void logfile_release(struct logfile *l, int64_t wall_ns);
/* The stream ended: a line without newline is written as that. */
void logfile_end(struct logfile *l, enum log_stream stream, int64_t wall_ns);

uint64_t logfile_bytes_lost(const struct logfile *l); /* of output, since it was opened */

#endif
