// SPDX-License-Identifier: Apache-2.0
/*
 * Beginnings of blobs in images/partial, which the next pull goes on with. Some are never gone on
 * with: the tag has moved, nobody asks again. They go by age and by size, when a fetch begins.
 */
#ifndef ZL_FETCH_STORE_PARTIALS_H
#define ZL_FETCH_STORE_PARTIALS_H

#include "image/layout.h"

enum { PARTIALS_MAX_AGE_S = 7 * 24 * 3600 };
enum { PARTIALS_MAX_PART = 20 }; /* of the disk, all together: the twentieth part */

/* Removes, of those that nobody is writing, what is older than that at the time now_s (seconds
 * since the epoch), then the oldest until the others take no more than max_bytes; and what has a
 * name that nobody looks for. Their modification time counts: that of the last byte. */
int partials_tidy(const struct layout *l, int64_t now_s, uint64_t max_bytes, struct zl_error *err);
/* The bound for the disk that they are on. */
uint64_t partials_max_bytes(const struct layout *l);
/* Removes all that nobody is writing; how many bytes they took. */
uint64_t partials_drop(const struct layout *l);

#endif
