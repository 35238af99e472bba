// SPDX-License-Identifier: Apache-2.0
/*
 * Images of the store as one tar archive: an OCI image layout (image-spec v1.1, image-layout.md),
 * so that importing it gives the same digests; with `docker` also a manifest.json beside it, so
 * that docker load and podman load read the same archive. The same images make the same bytes.
 */
#ifndef ZL_FETCH_IMPORT_SAVE_H
#define ZL_FETCH_IMPORT_SAVE_H

#include "fetch/ordered.h"
#include "fetch/store/work.h"

/* Writes the archive to fd, which may be a pipe. */
int save_images(const struct work *w, const struct ordered *o, int fd, struct zl_error *err);

#endif
