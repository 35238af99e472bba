// SPDX-License-Identifier: Apache-2.0
/*
 * Whether an image of the store is whole and unchanged: its documents and blobs have their digests,
 * its layers their diff ids and chain ids, and the unpacked layers are what unpacking gives, file
 * by file: they are unpacked again, into the work folder, and compared.
 */
#ifndef ZL_FETCH_LAYER_VERIFY_H
#define ZL_FETCH_LAYER_VERIFY_H

#include "fetch/store/work.h"

/* -1 INVALID says what is wrong. */
int verify_image(struct work *w, const char *digest, struct zl_error *err);

#endif
