// SPDX-License-Identifier: Apache-2.0
/*
 * Where things of the store lie below its root, for the agent's half (this folder) and for
 * zlayer-fetch. Both hold the root by descriptor.
 *
 *   images/oci-layout, images/index.json     the image layout; the index names manifests
 *   images/blobs/sha256/<hex>                manifests, configs, layers as they came
 *   images/partial/<hex>                     the beginning of a blob; flock: of who writes it
 *   images/signed/<hex>                      by whom manifest <hex> is signed (signed.h)
 *   images/lock                              flock: whoever changes the index holds it exclusively
 *   images/fetching                          flock: shared by running zlayer-fetch, so that nobody
 *                                            collects what is stored but not yet in the index
 *   layers/<n>/fs, layers/<n>/chain          an unpacked layer; its chain id, and that of its blobs
 *   layers/of/<hex>                          the layers of manifest <hex>: "3 7 8\n", lowest first
 *   layers/.tmp-<random>/                    work folder of a zlayer-fetch, which holds a flock on
 * it
 */
#ifndef ZL_IMAGE_LAYOUT_H
#define ZL_IMAGE_LAYOUT_H

#include <stdint.h>

#include "base/buf.h"
#include "image/document.h"

#define LAYOUT_IMAGES "images"
#define LAYOUT_INDEX "index.json" /* below images */
#define LAYOUT_BLOBS "blobs/sha256"
#define LAYOUT_PARTIAL "partial"
#define LAYOUT_LOCK "lock"
#define LAYOUT_FETCHING "fetching"
#define LAYOUT_SIGNED "signed"
#define LAYOUT_LAYERS "layers"
#define LAYOUT_OF "of" /* below layers */
#define LAYOUT_TMP ".tmp-"

enum { LAYOUT_PATH = 128 }; /* of any relative path here */

struct layout { /* open folders of a store */
    int images, blobs, partial, layers, of;
};

#define LAYOUT_CLOSED                                                                              \
    {                                                                                              \
        -1, -1, -1, -1, -1                                                                         \
    }
/* Makes what is missing, an empty index included. */
int layout_open(int root_fd, struct layout *ret, struct zl_error *err);
void layout_close(struct layout *l);

/* flock of a file below images, made when missing: LOCK_SH or LOCK_EX, with LOCK_NB or not. The
 * lock is held until the fd is closed. -1 with EWOULDBLOCK in errnum when LOCK_NB and held. */
int layout_lock(const struct layout *l, const char *name, int operation, struct zl_error *err);

/* The part of "sha256:<hex>" that names its file. The digest was checked. */
const char *layout_hex(const char *digest);
/* A blob that holds a document, whole. */
int layout_read_blob(const struct layout *l, const char *digest, struct zl_buf *out,
                     struct zl_error *err);

/* What a tree takes on the disk, each file once; what cannot be read counts nothing. */
uint64_t layout_tree_bytes(int dir_fd, const char *name);

/* The layers of a manifest. 0; -1 NOT_FOUND when it was never unpacked. ret has room for max. */
int layout_read_layers(const struct layout *l, const char *digest, uint32_t *ret, size_t max,
                       size_t *n, struct zl_error *err);
int layout_write_layers(const struct layout *l, const char *digest, const uint32_t *layers,
                        size_t n, struct zl_error *err);

/* Calls fn for each layer number there is, in no order; -1 from it ends that. */
typedef int (*layout_layer_fn)(void *arg, uint32_t layer, struct zl_error *err);
int layout_each_layer(const struct layout *l, layout_layer_fn fn, void *arg, struct zl_error *err);
/* Whether it is on its way into the store, or out of it. */
bool layout_is_tmp(const char *name);

#endif
