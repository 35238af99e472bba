// SPDX-License-Identifier: Apache-2.0
#include "base/map.h"

#include <stdlib.h>

static size_t size_of(const struct zl_map *m)
{
    return m->grown ? m->size : ZL_MAP_SMALL;
}

/* Fibonacci hashing: the high bits of the product depend on all bits of the key. */
static size_t place_of(uint64_t key, size_t size)
{
    return (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (size - 1);
}

static void put(struct zl_map_node **buckets, size_t size, struct zl_map_node *x)
{
    struct zl_map_node **head = &buckets[place_of(x->key, size)];
    x->next = *head;
    x->link = head;
    if (x->next)
        x->next->link = &x->next;
    *head = x;
}

static void grow(struct zl_map *m)
{
    struct zl_map_node **from = m->grown ? m->grown : m->small;
    size_t old = size_of(m), size = old * 4;
    struct zl_map_node **to = calloc(size, sizeof(struct zl_map_node *));
    if (!to)
        return;
    for (size_t i = 0; i < old; i++) {
        for (struct zl_map_node *x = from[i], *next; x; x = next) {
            next = x->next;
            put(to, size, x);
        }
    }
    free(m->grown);
    m->grown = to;
    m->size = size;
}

void zl_map_add(struct zl_map *m, struct zl_map_node *x, uint64_t key)
{
    if (m->n >= size_of(m))
        grow(m);
    x->key = key;
    put(m->grown ? m->grown : m->small, size_of(m), x);
    m->n++;
}

void zl_map_remove(struct zl_map *m, struct zl_map_node *x)
{
    if (!x->link)
        return;
    *x->link = x->next;
    if (x->next)
        x->next->link = x->link;
    *x = (struct zl_map_node){ 0 };
    m->n--;
}

static struct zl_map_node *same_key(struct zl_map_node *x, uint64_t key)
{
    while (x && x->key != key)
        x = x->next;
    return x;
}

struct zl_map_node *zl_map_find(const struct zl_map *m, uint64_t key)
{
    struct zl_map_node *const *buckets = m->grown ? m->grown : m->small;
    return same_key(buckets[place_of(key, size_of(m))], key);
}

struct zl_map_node *zl_map_next(const struct zl_map_node *x)
{
    return same_key(x->next, x->key);
}

void zl_map_done(struct zl_map *m)
{
    free(m->grown);
    *m = (struct zl_map){ 0 };
}
