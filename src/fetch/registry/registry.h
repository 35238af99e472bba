// SPDX-License-Identifier: Apache-2.0
/*
 * One repository, at the registry that a reference names and at the mirrors of that: how each is
 * spoken to (https, or plain http where that is allowed), how one is let in, which URL a thing has,
 * and what a refusal means. Source: OCI distribution-spec v1.1; distribution's api.md.
 */
#ifndef ZL_FETCH_REGISTRY_REGISTRY_H
#define ZL_FETCH_REGISTRY_REGISTRY_H

#include "base/imageref.h"
#include "fetch/digest.h"
#include "fetch/order.h"
#include "fetch/registry/auth.h"
#include "image/credentials.h"

struct endpoint {
    char host[256];   /* "registry-1.docker.io", "localhost:5000" */
    char prefix[256]; /* of a mirror: "/cache"; "" */
    bool may_plain;   /* plain http is allowed: asked for, or this host */
    bool plain;       /* it is what the host speaks */
    bool proven;      /* it has answered: how it is spoken to is settled */
    struct auth auth;
    struct credentials known; /* what auth.login borrows, unless the order has it */
};

enum { ENDPOINTS_MAX = 9 }; /* eight mirrors and the registry */

struct registry {
    struct http *http;
    char name[256]; /* as the reference says */
    char repository[256];
    char tag[129]; /* of the reference; "": it has none */
    char scope[320];
    struct endpoint v[ENDPOINTS_MAX]; /* in the order in which they are asked; the last is it */
    size_t n;
};

/* access: "pull" or "pull,push"; with the latter mirrors are left out. Looks for credentials, which
 * takes files, the environment and helpers: to be called before the process is confined. http and
 * order are borrowed for the life of r. */
int registry_open(struct http *http, const struct order *order, const struct zl_imageref *ref,
                  const char *access, struct registry *r, struct zl_error *err);
void registry_close(struct registry *r);

/* Asks whether the registry lets us in at all. */
int registry_check(struct registry *r, struct zl_error *err);

/* Fills url (which must live until the request has begun) and rq's url, authorization and ways of
 * trust for path: "manifests/latest", "" for the registry itself, or a whole URL. */
int registry_prepare(const struct registry *r, const struct endpoint *e, const char *path,
                     struct zl_buf *url, struct http_request *rq, struct zl_error *err);
/* What an answer teaches about the endpoint. 1: ask again at once; 0: the answer stands; -1: denied
 * for good. tries counts, from 0, over the attempts of one request. */
int registry_mend(struct registry *r, struct endpoint *e, const struct http_answer *a,
                  unsigned *tries, struct zl_error *err);
/* An answer that is not the wanted one, as an error: what it is about, who said it, and the
 * registry's own words from body (NULL: none). -1. */
int registry_refusal(const struct endpoint *e, const struct http_answer *a,
                     const struct zl_buf *body, const char *what, struct zl_error *err);

/* One request with everything that makes it succeed: another try after 401, the other protocol,
 * waits for those who ask for them. The answer, whatever its status, in ret. */
int registry_ask(struct registry *r, struct endpoint *e, const char *path,
                 const struct http_request *rq, struct zl_buf *body, struct http_answer *ret,
                 struct zl_error *err);

/* The manifest or index called reference (a tag or a digest), from the first endpoint that has it:
 * its bytes, checked against reference when that is a digest and against what the registry says;
 * its digest; its media type. */
int registry_manifest(struct registry *r, const char *reference, struct zl_buf *body,
                      char digest[DIGEST_SIZE], char type[128], struct zl_error *err);
/* Only its digest. NOT_FOUND also when a registry does not tell digests. */
int registry_manifest_digest(struct registry *r, const char *reference, char digest[DIGEST_SIZE],
                             struct zl_error *err);
/* A small blob, whole and checked. */
int registry_document(struct registry *r, const char *digest, uint64_t size, struct zl_buf *body,
                      struct zl_error *err);

#endif
