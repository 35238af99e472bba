// SPDX-License-Identifier: Apache-2.0
/*
 * The client half of the API: blocking calls over the agent's unix socket, one connection that is
 * kept open between them. Not thread-safe.
 */
#ifndef ZL_API_CLIENT_H
#define ZL_API_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

struct api_client;

/* Connects. UNREACHABLE, with the reason in words (no socket, nobody listens, not allowed: DENIED),
 * when no agent answers there. path may be of any length. */
int api_client_open(const char *path, struct api_client **ret, struct zl_error *err);
void api_client_free(struct api_client *c); /* NULL is fine */
ZL_DEFINE_CLEANUP(struct api_client *, api_client_free)
#define auto_api_client ZL_CLEANUP(api_client_freep)

/*
 * One request. body (borrowed) is sent as JSON, NULL: none. Success is a status of 2xx: *ret (may
 * be NULL) is a new reference, NULL after 204; ret_status (may be NULL) the status. Otherwise *err
 * has the kind and message of the server, and *ret, when the answer was JSON, the whole error,
 * whose `details` the caller may want; so *ret is to be set to NULL before and released after
 * either way.
 */
int api_client_call(struct api_client *c, const char *method, const char *target,
                    const json_t *body, json_t **ret, int *ret_status, struct zl_error *err);

/* A line of an NDJSON stream, borrowed. Returns 0 to go on, 1 to stop reading, -1 with *err. */
typedef int (*api_line_fn)(void *arg, const json_t *line, struct zl_error *err);
/* Reads a stream to its end, or until fn stops it. A line that has the form of an error ends it
 * with that error. 0 or 1: as fn's last. The connection is used up. */
int api_client_stream(struct api_client *c, const char *method, const char *target,
                      const json_t *body, api_line_fn fn, void *arg, struct zl_error *err);

/* Appends fmt, in which each "{}" stands for the next argument, escaped as one segment:
 * api_path(out, "/api/v1/containers/{}/stop", name, NULL) */
void api_path(struct zl_buf *out, const char *fmt, const char *a, const char *b);

#endif
