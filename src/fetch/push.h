// SPDX-License-Identifier: Apache-2.0
/* An image of the store into a registry. */
#ifndef ZL_FETCH_PUSH_H
#define ZL_FETCH_PUSH_H

#include "fetch/registry.h"
#include "image/layout.h"

/* The manifest with this digest, and all that it names, as ref: blobs first, those that the
 * registry has already left out, those that another repository of it has mounted from there. r was
 * opened for "pull,push". */
int push_image(const struct layout *store, struct registry *r, const struct zl_imageref *ref,
               const char *digest, struct zl_error *err);

#endif
