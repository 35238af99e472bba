// SPDX-License-Identifier: Apache-2.0
/*
 * The client's end of a stream of files from or to a container: docs/api.md, "Archives". Frames
 * down, of which the last says how it went; bytes of the archive up.
 */
#ifndef ZL_MONITOR_FILESTREAM_H
#define ZL_MONITOR_FILESTREAM_H

#include "base/json.h"

/*
 * Connects to the socket of the helper and waits for its outcome, which becomes *err when it is no
 * success. Bytes from `in` (or -1) go to the container until its end, what comes goes to `out` (or
 * -1: nothing is expected); both stay the caller's. *ret_stat (or NULL) is what it is told of the
 * path, a reference, NULL when it is told nothing.
 */
int filestream_run(const char *socket, int in, int out, json_t **ret_stat, struct zl_error *err);

#endif
