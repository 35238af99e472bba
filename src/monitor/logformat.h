// SPDX-License-Identifier: Apache-2.0
/*
 * The format of a container's log, shared by its writer and its reader; docs/log-format.md is the
 * same in words. A record is one line of the CRI text format,
 *
 *     2026-11-23T18:28:01.123456789Z stdout F the bytes of the line
 *
 * where P instead of F says that the line goes on in the next record of its stream. One thing is
 * ours: a last record whose time ends in "+00:00" instead of "Z" is of a stream that ended without
 * a newline. Both are UTC, so every other reader sees an ordinary full line.
 */
#ifndef ZL_MONITOR_LOGFORMAT_H
#define ZL_MONITOR_LOGFORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_stream { LOG_STDOUT, LOG_STDERR, LOG_STREAMS };

enum {
    LOG_PIECE_MAX = 16384, /* bytes of output in one record */
    LOG_HEAD_MAX = 48,     /* bytes before them: time, stream, tag, three spaces */
    LOG_RECORD_MAX = LOG_PIECE_MAX + LOG_HEAD_MAX + 1,
    LOG_FILES = 3,               /* name, name.1 (older), name.2 (oldest) */
    LOG_INDEX_EVERY = 64 * 1024, /* bytes of log between two entries of the index */
    LOG_FILE_MIN =
        32 * 1024, /* a file is not rotated before; LOG_FILES times that is the least total */
};
#define LOG_MAX_BYTES_DEFAULT (UINT64_C(30) * 1024 * 1024)

/*
 * <file>.idx beside each log file: entries of this form in the machine's byte order. An entry says
 * that a record of this time begins at this offset; a reader believes it only when it finds such a
 * record there, so an index that is torn, stale or missing costs time and nothing else.
 */
struct log_index_entry {
    int64_t wall_ns;
    uint64_t offset;
};

enum log_end {
    LOG_LINE,
    LOG_PART,
    LOG_UNFINISHED
}; /* newline, more follows, end without newline */

/* Writes the head of a record with its last space; returns its length, at most LOG_HEAD_MAX. */
size_t log_format_head(char out[LOG_HEAD_MAX], int64_t wall_ns, enum log_stream stream,
                       enum log_end end);

struct log_record {
    int64_t wall_ns;
    enum log_stream stream;
    enum log_end end;
    const char *bytes; /* borrowed from the line */
    size_t length;
};

/* `line` without its newline. False when it is no record (a torn one). */
bool log_parse_record(const char *line, size_t n, struct log_record *ret);

/* RFC 3339 in UTC with up to nine digits of a second, "Z" or "+00:00". Returns how many bytes of
 * text were taken, 0 when it is no time. */
size_t log_parse_time(const char *text, size_t n, int64_t *ret_wall_ns);

/* "name", "name.1", "name.2" for age 0, 1, 2, with the suffix ("", ".idx"). False: too long. */
bool log_file_name(char out[300], const char *name, int age, const char *suffix);

#endif
