// SPDX-License-Identifier: Apache-2.0
/*
 * What a layer is packed by is told by its first bytes, as every other tool does, and not by what
 * its media type says: gzip (RFC 1952), several members in a row included, as pigz and eStargz
 * write them; zstd (RFC 8878), several frames and skippable ones included; or nothing.
 */
#ifndef ZL_FETCH_TAR_DECOMPRESS_H
#define ZL_FETCH_TAR_DECOMPRESS_H

#include "fetch/input.h"

enum packing { PACKED_NOT, PACKED_GZIP, PACKED_ZSTD };

struct decompress;

/* Borrows in, and what it stands for. */
int decompress_new(const struct input *in, struct decompress **ret, struct zl_error *err);
void decompress_free(struct decompress *d);
ZL_DEFINE_CLEANUP(struct decompress *, decompress_free)
#define autodecompress ZL_CLEANUP(decompress_freep)

/* What was inside. Borrows d. A cut or damaged stream is INVALID. */
struct input decompress_input(struct decompress *d);
/* Known once something was read. */
enum packing decompress_packing(const struct decompress *d);

#endif
