// SPDX-License-Identifier: Apache-2.0
/* An image from a registry into the store. */
#ifndef ZL_FETCH_REGISTRY_PULL_H
#define ZL_FETCH_REGISTRY_PULL_H

#include "fetch/order.h"
#include "fetch/registry/talk.h"
#include "fetch/store/work.h"

struct pulled {
    char digest[DIGEST_SIZE];   /* of the manifest that is in the store now */
    char resolved[DIGEST_SIZE]; /* what the reference means: it, or an index that lists it */
};

/* t talks with ref's registry. The index is not touched: naming the image is the agent's. */
int pull_image(struct work *w, struct talk *t, const struct order *order,
               const struct zl_imageref *ref, struct pulled *ret, struct zl_error *err);

#endif
