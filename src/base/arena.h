// SPDX-License-Identifier: Apache-2.0
/*
 * Memory that is freed all at once. What a document becomes is hundreds of small strings and
 * arrays with one life, so they are cut from a few blocks. Going beyond the maximum, or running out
 * of memory, answers NULL and sets `failed`, so that several allocations may be checked once.
 * Not thread-safe.
 */
#ifndef ZL_BASE_ARENA_H
#define ZL_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct zl_arena_block;

struct zl_arena {
    struct zl_arena_block *newest;
    size_t used, max; /* bytes handed out, and how many may be */
    bool failed;
};

/* An initialised value: zl_autoarena struct zl_arena a = ZL_ARENA(1 << 20); */
#define ZL_ARENA(maximum)                                                                          \
    {                                                                                              \
        .max = (maximum)                                                                           \
    }

void zl_arena_done(struct zl_arena *a); /* frees all; a may be used anew */

/* n zeroed bytes, aligned for integers and pointers; never NULL for n = 0 unless out of memory. */
void *zl_arena_alloc(struct zl_arena *a, size_t n);
/* count elements of size bytes, zeroed; the product is checked. */
void *zl_arena_array(struct zl_arena *a, size_t count, size_t size);
/* n bytes of s and a NUL. */
char *zl_arena_strndup(struct zl_arena *a, const char *s, size_t n);
char *zl_arena_strdup(struct zl_arena *a, const char *s);
char *zl_arena_printf(struct zl_arena *a, const char *fmt, ...) ZL_PRINTF(2, 3);

static inline void zl_arena_donep(struct zl_arena *a)
{
    int saved = errno;
    zl_arena_done(a);
    errno = saved;
}
#define zl_autoarena ZL_CLEANUP(zl_arena_donep)

#endif
