// SPDX-License-Identifier: Apache-2.0
/* One layer, in one pass:   input ─▶ gunzip/unzstd ─▶ diff id ─▶ tar ─▶ folder */
#ifndef ZL_FETCH_LAYER_PIPELINE_H
#define ZL_FETCH_LAYER_PIPELINE_H

#include "fetch/crew/crew.h"
#include "fetch/input.h"

/* Reads in to its end. root and notes: of unpack_tar(). */
int pipeline_unpack(const struct input *in, int root, int notes, struct crew_layer *ret,
                    struct zl_error *err);

#endif
