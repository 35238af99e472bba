// SPDX-License-Identifier: Apache-2.0
/* Jobs side by side, one thread for each core: layers know nothing of each other. */
#ifndef ZL_FETCH_PARALLEL_H
#define ZL_FETCH_PARALLEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/*
 * Calls fn(arg, i, …) for i in [0, n), in this order as far as threads become free, and waits for
 * all. Once one fails *stop is true, no other begins, and those under way had better look at it;
 * the first failure is the answer.
 */
int parallel(size_t n, int (*fn)(void *arg, size_t i, struct zl_error *err), void *arg,
             atomic_bool *stop, struct zl_error *err);

#endif
