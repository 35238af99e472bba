// SPDX-License-Identifier: Apache-2.0
/*
 * The client side of HTTP/1.1 without any I/O: a request becomes bytes, bytes become a response.
 * The caller owns the socket and the waiting, so the same code serves the command line (blocking),
 * the agent's health probes (on its loop) and tests (byte by byte). Linked as `http1`, apart from
 * the rest of base/, because it needs http-parser.
 */
#ifndef ZL_BASE_HTTP1_H
#define ZL_BASE_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct zl_http1_header {
    const char *name, *value;
};

struct zl_http1_request {
    const char *method; /* "GET" */
    const char *target; /* path and query, already escaped: "/api/v1/info?x=1" */
    const char *host;   /* of the Host header, with ":port" where it is not 80 */
    const struct zl_http1_header *headers;
    size_t n_headers;
    const void *body; /* NULL: none, and no Content-Length is sent */
    size_t body_len;
    bool keep_alive; /* else "Connection: close" is sent */
};

/*
 * Appends the request to out. INVALID when a part of it has a character that would end the line or
 * the word it stands in, so no value can smuggle in a header.
 */
int zl_http1_write_request(const struct zl_http1_request *rq, struct zl_buf *out,
                           struct zl_error *err);

/* Appends text as one segment of a path or one value of a query: all but RFC 3986's unreserved
 * characters become %XX. */
void zl_http1_escape(struct zl_buf *out, const char *text);

enum { ZL_HTTP1_HEAD_MAX = 64 * 1024 }; /* of status line and headers together */

/* What is known so far of one response. Interim responses (1xx but 101) are skipped. */
struct zl_http1;

/* for_head: it answers a HEAD request, so no body follows whatever the headers say. body_max: how
 * many bytes of body may lie unconsumed in the reader. */
int zl_http1_new(bool for_head, size_t body_max, struct zl_http1 **ret, struct zl_error *err);
void zl_http1_free(struct zl_http1 *h); /* NULL is fine */
ZL_DEFINE_CLEANUP(struct zl_http1 *, zl_http1_free)
#define zl_autohttp1 ZL_CLEANUP(zl_http1_freep)

/*
 * Takes n bytes of what the server sent; n == 0 says that it closed the connection. Returns 1 when
 * the response is complete, 0 when more is to come, -1 (PROTOCOL; INVALID when something is too
 * large) when it cannot be. *ret_used (may be NULL): how many of the bytes belong to the response;
 * what follows it, as after a 101, is the caller's. Not to be called again after 1 or -1.
 */
int zl_http1_feed(struct zl_http1 *h, const char *bytes, size_t n, size_t *ret_used,
                  struct zl_error *err);

int zl_http1_status(const struct zl_http1 *h); /* 200; 0 until the headers are complete */
/* The first header of that name, in any case of letters; NULL: absent, or headers incomplete. */
const char *zl_http1_header(const struct zl_http1 *h, const char *name);
/* The body as far as it came, decoded of chunks. The caller consumes from it what it has dealt
 * with. */
struct zl_buf *zl_http1_body(struct zl_http1 *h);
/* Whether the connection may carry another request after this response. */
bool zl_http1_keep_alive(const struct zl_http1 *h);

struct zl_http1_url {
    char host[256];      /* a name or an address; IPv6 without brackets */
    char host_port[264]; /* for the Host header */
    uint16_t port;
    const char *target; /* points into the URL, or is "/" */
};

/* Takes an http:// URL apart. A missing port is 80; user names and fragments are INVALID. */
int zl_http1_split_url(const char *url, struct zl_http1_url *ret, struct zl_error *err);

#endif
