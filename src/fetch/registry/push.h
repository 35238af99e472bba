// SPDX-License-Identifier: Apache-2.0
/*
 * An image of the store into a registry. Who keeps the store opens what is to be pushed, and who
 * talks with the registry gets that and nothing else of the store.
 */
#ifndef ZL_FETCH_REGISTRY_PUSH_H
#define ZL_FETCH_REGISTRY_PUSH_H

#include "fetch/registry/registry.h"
#include "fetch/registry/talk.h"
#include "fetch/store/work.h"

struct push_parts {
    char digest[DIGEST_SIZE]; /* of the manifest */
    int fds[TALK_PARTS + 1];  /* of the manifest, its config, its layers in their order */
    size_t n_fds;
    struct zl_buf sources; /* talkwire.h, struct talk_push */
};

/* The keeper's half: the manifest with this digest, and all that it names, to the registry of ref
 * by t. Progress is told. */
int push_by_talker(struct work *w, struct talk *t, const struct zl_imageref *ref,
                   const char *digest, struct zl_error *err);

/* The talker's half: blobs first, those that the registry has already left out, those that another
 * repository of it has mounted from there. r was opened for "pull,push"; on_sent is told how much
 * of which part (0: the config; then the layers) has gone. */
typedef int (*push_sent_fn)(void *arg, size_t part, uint64_t bytes, struct zl_error *err);
int push_image(const struct push_parts *parts, struct registry *r, push_sent_fn on_sent, void *arg,
               struct zl_error *err);

#endif
