// SPDX-License-Identifier: Apache-2.0
/*
 * A hash table of things that carry their own link, so that adding one cannot fail: without memory
 * to grow, the chains only become longer. Keys are 64 bits, random ids or hashes, and may repeat.
 * Not thread-safe.
 */
#ifndef ZL_BASE_MAP_H
#define ZL_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

enum { ZL_MAP_SMALL = 16 };

struct zl_map_node {
    struct zl_map_node *next, **link; /* link NULL: in no map */
    uint64_t key;
};

/* All zeros is an empty one. */
struct zl_map {
    struct zl_map_node *small[ZL_MAP_SMALL], **grown; /* grown NULL: small is in use */
    size_t n, size;                                   /* size of grown, a power of two */
};

/* x is borrowed until it is removed; it is in no map yet. */
void zl_map_add(struct zl_map *m, struct zl_map_node *x, uint64_t key);
/* Of one that is in no map: nothing. */
void zl_map_remove(struct zl_map *m, struct zl_map_node *x);
/* The first with that key; NULL: there is none. */
struct zl_map_node *zl_map_find(const struct zl_map *m, uint64_t key);
/* The next one with the key of x, or NULL. */
struct zl_map_node *zl_map_next(const struct zl_map_node *x);
/* Frees the table, not what is in it. */
void zl_map_done(struct zl_map *m);

#endif
