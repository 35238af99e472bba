// SPDX-License-Identifier: Apache-2.0
/* Garbage of the store, collected when an entry of the index has gone. */
#ifndef ZL_IMAGE_COLLECT_H
#define ZL_IMAGE_COLLECT_H

#include "image/internal.h"

struct image_collecting {
    bool plan;    /* only count */
    bool partial; /* what pulls that were cut off have downloaded, too */
    int (*in_use)(void *arg, uint32_t layer); /* NULL: none is */
    void *arg;
};
/* Removes blobs and layers that no entry of index needs, and what dead runs of zlayer-fetch left;
 * nothing while one runs. Adds to *freed. Under images/lock. */
int image_collect(struct image_store *s, const struct oci_index *index,
                  const struct image_collecting *how, struct image_freed *freed,
                  struct zl_error *err);

#endif
