// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP to the outside: transfers on one libcurl multi handle, driven by whoever calls http_turn().
 * One thread. A transfer ends in an answer, whatever the status is, or in one of the ways in which
 * none came; what to do about either is the caller's decision. Redirects are followed; credentials
 * stay with the host that they are for. $https_proxy, $http_proxy and $no_proxy are obeyed.
 */
#ifndef ZL_FETCH_REGISTRY_HTTP_H
#define ZL_FETCH_REGISTRY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct http_settings {
    unsigned connect_s; /* until a connection must stand */
    unsigned stall_s;   /* without a byte, in either direction, after which a transfer is broken */
};

struct http; /* NULL of http_new: *err says why */
struct http *http_new(const struct http_settings *s, struct http **ret, struct zl_error *err);
void http_free(struct http *h); /* ends all transfers without a word */
ZL_DEFINE_CLEANUP(struct http *, http_free)
#define autohttp ZL_CLEANUP(http_freep)

enum http_end {
    HTTP_ANSWERED, /* status and body are whole */
    HTTP_BROKEN,   /* not reached, cut off, stalled: another try may do better */
    HTTP_NO_TLS,   /* connected, but the other side does not speak TLS */
    HTTP_REFUSED, /* a certificate that is not trusted, a URL that is none: no try will do better */
    HTTP_STOPPED, /* the sink or the source failed; err is theirs */
};

enum { HTTP_CHALLENGES = 4, HTTP_CHALLENGE_MAX = 1024, HTTP_LOCATION_MAX = 4096 };

struct http_answer { /* of the last hop; -1 and "" for what was not said */
    enum http_end end;
    int status;
    int64_t length;        /* Content-Length */
    int64_t range_from;    /* of a 206: its Content-Range */
    int64_t range_to;      /* of an upload: the last byte that the registry has ("Range: 0-N") */
    int64_t retry_after_s; /* Retry-After, as seconds or as a date */
    char type[128];        /* Content-Type without parameters */
    char digest[140];      /* Docker-Content-Digest */
    char location[HTTP_LOCATION_MAX];                    /* Location, as it was said */
    char challenge[HTTP_CHALLENGES][HTTP_CHALLENGE_MAX]; /* WWW-Authenticate, one each */
    size_t n_challenges;
};

/* A piece of the body. so_far: the head, complete. Other than 0 stops the transfer. */
typedef int (*http_sink_fn)(void *arg, const struct http_answer *so_far, const char *bytes,
                            size_t n, struct zl_error *err);
/* Up to room bytes of the request's body; 0: its end; -1 stops. */
typedef int64_t (*http_source_fn)(void *arg, char *out, size_t room, struct zl_error *err);
/* Once, from http_turn(); why is filled unless the end is HTTP_ANSWERED. */
typedef void (*http_done_fn)(void *arg, const struct http_answer *a, const struct zl_error *why);

struct http_request {
    const char *method, *url;
    const char *accept, *authorization, *content_type, *content_range; /* headers; NULL: none */
    const char *ca_pem; /* trusted beside those of the system; NULL: none */
    bool unverified;    /* any certificate will do */
    bool may_downgrade; /* a redirect from https to http is followed */
    uint64_t from;      /* of the body: Range: bytes=<from>- */
    const char *body;   /* of the request: these bytes, or from source; size bytes */
    http_source_fn source;
    uint64_t size;
    http_sink_fn sink; /* NULL: the body is dropped */
    http_done_fn done;
    void *arg; /* of all three */
};

struct transfer;
/* Strings are copied, body is borrowed until done. NULL: *err says why, done does not come. */
struct transfer *http_begin(struct http *h, const struct http_request *rq, struct zl_error *err);
/* Ends it without done. */
void http_cancel(struct transfer *t);

/* Waits for something to happen on the network or on fds (reading), at most timeout_ms, and calls
 * what there is to call. ready[i] says whether fds[i] is readable. */
int http_turn(struct http *h, const int *fds, bool *ready, size_t n_fds, int timeout_ms,
              struct zl_error *err);

/* One transfer from its beginning to its end; done and arg of rq are not used. The body goes to
 * body (NULL: dropped), no more than its maximum. 0 also for answers like 404. */
int http_perform(struct http *h, const struct http_request *rq, struct zl_buf *body,
                 struct http_answer *ret, struct zl_error *err);

#endif
