// SPDX-License-Identifier: Apache-2.0
/*
 * The layers of an image, from their bytes into the store, in one pass each and side by side:
 *
 *   input ─▶ digest ─▶ pipe │ gunzip/unzstd ─▶ diff id ─▶ tar ─▶ folder   layer_unpack(): any
 * thread ours │ a hand (crew.h, pipeline.h) … all of them ─▶ what the layers below decide ─▶ sync
 * ─▶ rename       layers_commit()
 *
 * Where the bytes come from, and keeping them as a blob, is the input's business.
 */
#ifndef ZL_FETCH_LAYER_LAYER_H
#define ZL_FETCH_LAYER_LAYER_H

#include "fetch/input.h"
#include "fetch/store/work.h"

struct layer {
    char digest[DIGEST_SIZE];  /* of the blob; given when it is known before, else "" */
    char diff_id[DIGEST_SIZE]; /* of the uncompressed archive; the same */
    uint64_t size, diff_size;  /* bytes of the two */
    const char *media_type;    /* as the bytes are: static storage */
    uint32_t number;           /* layers/<number> once it is there; 0: it is not */

    char chain[DIGEST_SIZE]; /* the rest is ours */
    char blobs[DIGEST_SIZE], key[2 * DIGEST_SIZE];
    int root, notes; /* notes: of what is to be settled; -1: nothing */
    char slot[16];
};

/* n layers, all of them empty; NULL: *err says why. */
struct layer *layers_new(size_t n, struct zl_error *err);
void layers_free(struct layer *l, size_t n);

/* For layers with diff ids: fills in the number of those that are unpacked already, which needs no
 * bytes of theirs. */
int layers_find(struct work *w, struct layer *l, size_t n, struct zl_error *err);

/*
 * Reads in to its end. l->digest and l->diff_id, unless empty, must come out, or it is INVALID; the
 * digest is taken for granted when in->is_summed. The layers below need not be there. Thread-safe
 * for different i, the place of the layer in its image; of w only the work folder is used.
 */
int layer_unpack(struct work *w, size_t i, const struct input *in, struct layer *l,
                 struct zl_error *err);

/* What layer_unpack() left of a try that failed goes; it may be called again. */
int layer_reset(struct work *w, struct layer *l, struct zl_error *err);

/* All n layers of an image, lowest first, each unpacked or found before, become part of the store,
 * and with them the blobs that were added to w; afterwards all have numbers and are on the disk. */
int layers_commit(struct work *w, struct layer *l, size_t n, struct zl_error *err);

/* Whether the store's layers of these numbers are what unpacking the n layers again has given, with
 * the right chain ids. -1 INVALID names the first difference. */
int layers_compare(struct work *w, struct layer *l, size_t n, const uint32_t *numbers,
                   struct zl_error *err);

#endif
