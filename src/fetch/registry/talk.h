// SPDX-License-Identifier: Apache-2.0
/*
 * A registry, as the process sees it that keeps the store: all talk is done by another one
 * (talker.h), which has the sockets and the credentials, and of the disk nothing. What it says may
 * be a lie: digests and sizes are compared here, bounds are looked at, and a talker that breaks the
 * protocol ends the whole.
 */
#ifndef ZL_FETCH_REGISTRY_TALK_H
#define ZL_FETCH_REGISTRY_TALK_H

#include "base/buf.h"
#include "base/imageref.h"
#include "fetch/order.h"
#include "fetch/registry/talkwire.h"

struct talk {
    int sock, process; /* process: a pidfd */
    uint64_t op;       /* the last one */
    char *packet;      /* ours: the one in hand */
};
#define TALK_NONE                                                                                  \
    {                                                                                              \
        -1, -1, 0, NULL                                                                            \
    }

/* Forks who talks with the registry of ref, and reads the order on standard input for it, which the
 * caller loses. root: the state folder, of which it sees nothing. access: "pull" or "pull,push". Of
 * a process with one thread that is not confined yet. ref is borrowed for the call only. */
int talk_start(const char *root, const struct zl_imageref *ref, const char *access,
               struct talk *ret, struct zl_error *err);
/* Lets it go. */
void talk_end(struct talk *t);

/* The order, without the login and without registries; first of all. doc is the caller's to finish,
 * ret borrows from it. */
int talk_order(struct talk *t, struct zl_json *doc, struct order *ret, struct zl_error *err);
/* Whether the registry lets us in at all. */
int talk_check(struct talk *t, struct zl_error *err);
/* The digest of what the tag means. NOT_FOUND also when the registry does not tell digests. */
int talk_resolve(struct talk *t, const char *tag, char digest[DIGEST_SIZE], struct zl_error *err);
/* The manifest or index called reference: its bytes, which have the digest that is asked for when
 * one is; their digest; what the registry says that they are. */
int talk_manifest(struct talk *t, const char *reference, struct zl_buf *body,
                  char digest[DIGEST_SIZE], char type[128], struct zl_error *err);
/* A small blob, whole and checked. */
int talk_document(struct talk *t, const char *digest, uint64_t size, struct zl_buf *body,
                  struct zl_error *err);

struct push_parts;
/* All of it, as reference; on_sent is told of each stretch of a part. */
int talk_push(struct talk *t, const struct push_parts *parts,
              void (*on_sent)(void *arg, size_t part, uint64_t bytes), void *arg,
              struct zl_error *err);

enum { TALK_TURN_MS = 100 };

struct talk_event {
    uint64_t op;
    const char *bytes; /* NULL: the end; valid until the next call */
    size_t n;
    struct talk_end end; /* its kind may be an error: nobody could give the blob */
};
/* Asks for bytes of a blob; ret_op is what they will be known by. */
int talk_blob(struct talk *t, const struct talk_blob *blob, uint64_t *ret_op, struct zl_error *err);
/* 1: something of a blob; 0: nothing within TALK_TURN_MS. */
int talk_next(struct talk *t, struct talk_event *ret, struct zl_error *err);

#endif
