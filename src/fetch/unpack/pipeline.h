// SPDX-License-Identifier: Apache-2.0
/* One layer, in one pass:   input ─▶ gunzip/unzstd ─▶ diff id ─▶ tar ─▶ folder */
#ifndef ZL_FETCH_UNPACK_PIPELINE_H
#define ZL_FETCH_UNPACK_PIPELINE_H

#include "fetch/digest.h"
#include "fetch/input.h"
#include "fetch/tar/decompress.h"

/* What is known of a layer when it is unpacked. */
struct unpacked {
    char diff_id[DIGEST_SIZE]; /* of what came out; "": that is what went in */
    uint64_t diff_size;
    enum packing packing;
    bool unsettled; /* notes were written: unpack_settle() is needed */
};

/* Reads in to its end. root and notes: of unpack_tar(). */
int pipeline_unpack(const struct input *in, int root, int notes, struct unpacked *ret,
                    struct zl_error *err);

#endif
