// SPDX-License-Identifier: Apache-2.0
/*
 * Files of a container, for one client: `zlayer-fetch archive`. Descriptor 3 is a listening socket,
 * on which one client is accepted; 4 the root of the running container (an O_PATH folder of its
 * mount namespace), or /dev/null for one that does not run: then its overlay is mounted here.
 *
 * Down to the client go frames as a monitor's, {u8 stream, 0, 0, 0, u32 length big-endian}: stream
 * 1 are the bytes (a tar archive, or lines of JSON), and the last frame, of stream 4, is the
 * outcome:
 * {"status":"done"} with "stat" where one was asked for, or {"status":"error","kind","message"}. Up
 * come the bytes of a tar archive for `put`, ended by shutting down that direction.
 */
#ifndef ZL_FETCH_FILES_ARCHIVE_H
#define ZL_FETCH_FILES_ARCHIVE_H

#include <stdbool.h>

#include "base/error.h"

enum { ARCHIVE_BYTES = 1, ARCHIVE_OUTCOME = 4, ARCHIVE_CLIENT_MS = 60 * 1000 };

struct archive_options {
    const char *op;     /* "get", "put", "stat", "export", "changes" */
    const char *root;   /* the state folder */
    const char *id;     /* of the container */
    const char *layers; /* short numbers, lowest first: "1,4,7" */
    const char *path;   /* in the container, absolute */
    bool keep_owner, same_types;
    const char *const *mounts; /* of `changes`: targets of mounts */
    size_t n_mounts;
};

/* The command line, from the word "archive" on; the exit code. */
int archive_command(int argc, char **argv);
/* 0 also when the client was told of a failure; -1: it could not be told. */
int archive_serve(const struct archive_options *o, struct zl_error *err);

#endif
