// SPDX-License-Identifier: Apache-2.0
/*
 * What the agent wants of a pull or a push beside the reference: one JSON object on stdin, so that
 * credentials are in no argument and no environment of ours. Read before the process is confined.
 */
#ifndef ZL_FETCH_ORDER_H
#define ZL_FETCH_ORDER_H

#include "base/json.h"

struct order_registry { /* of agent.yml */
    const char *host;   /* "registry.example.net:5000", as references name it */
    bool insecure;      /* plain HTTP and certificates that nobody vouches for are taken */
    const char *ca_file;
    const char *ca_pem;     /* its content; filled by order_read() */
    struct zl_strs mirrors; /* hosts to be asked first, in this order; perhaps with a path */
};

struct order {
    struct { /* given by whoever asked for it; NULL: not that */
        const char *username, *password, *identity_token, *registry_token;
    } login;
    const char *platform; /* "linux/arm/v7"; NULL: this machine */
    struct zl_strs keys;  /* PEM: by one of them the image has to be signed; none: by nobody */
    const char *have;     /* pull: the manifest that is there; push: the one to be pushed */
    const char *have_of;  /* pull: what the reference meant then; while it is that, have will do */
    struct {
        struct order_registry *v;
        size_t n;
    } registries;
    uint32_t connect_s, stall_s, streams; /* streams: blobs in transfer at the same time */
};

/* Reads fd to its end; an empty one says nothing. doc is the caller's to finish, ret borrows from
 * it. */
int order_read(int fd, struct zl_json *doc, struct order *ret, struct zl_error *err);
/* The same of n bytes; certificates are not read. */
int order_parse(const char *bytes, size_t n, struct zl_json *doc, struct order *ret,
                struct zl_error *err);

#endif
