// SPDX-License-Identifier: Apache-2.0
/*
 * One layer from a file, in one pass: the bytes as they come go into the blob and its digest,
 * decompressed into the diff id, and as a tar archive into a folder.
 *
 *   file ─▶ blob, digest ─▶ gunzip/unzstd ─▶ diff id ─▶ tar ─▶ folder
 */
#ifndef ZL_FETCH_LAYER_H
#define ZL_FETCH_LAYER_H

#include "fetch/progress.h"
#include "fetch/work.h"

struct layer {
    char digest[DIGEST_SIZE];  /* of the blob; given when it is known before, else "" */
    char diff_id[DIGEST_SIZE]; /* of the uncompressed archive; the same */
    uint64_t size;             /* of the blob */
    const char *media_type;    /* as the bytes are: static storage */
    uint32_t number;           /* layers/<number> once it is published */
};

/*
 * Reads fd from where it stands to its end. l->digest and l->diff_id, unless empty, must come out;
 * below are the layers under it, lowest first. Leaves the blob and the layer in the store, under
 * the chain id of them all. Nothing is read when both are there already.
 */
int layer_import(struct work *w, int fd, const struct layer *below, size_t n_below, struct layer *l,
                 struct zl_error *err);

#endif
