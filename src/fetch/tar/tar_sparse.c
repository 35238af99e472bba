// SPDX-License-Identifier: Apache-2.0
/* Sparse files in their four forms: GNU's entry type 'S' and pax formats 0.0, 0.1 and 1.0 (GNU tar
 * manual, "Storing Sparse Files"). All become a list of extents. */
#include <stdlib.h>
#include <string.h>

#include "fetch/tar/tar_inner.h"

static int damaged(struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_INVALID, "the map of the sparse file is damaged");
}

int tar_sparse_add(struct tar_sparse *s, uint64_t offset, uint64_t length, struct zl_error *err)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        if (cap > TAR_EXTENTS_MAX)
            return zl_fail(err, ZL_ERR_INVALID, "a sparse file has more than %d parts",
                           TAR_EXTENTS_MAX);
        struct tar_extent *grown = reallocarray(s->extents, cap, sizeof *grown);
        if (!grown)
            return zl_fail_errno(err, "read a sparse file");
        s->extents = grown;
        s->cap = cap;
    }
    s->extents[s->n++] = (struct tar_extent){ offset, length };
    return 0;
}

/* ---- GNU's own ------------------------------------------------------------------------------- */

enum { ENTRY = 24, IN_HEADER = 4, IN_BLOCK = 21, AT_MAP = 386, AT_MORE = 482, AT_SIZE = 483 };

/* A map of up to `max` pairs of numbers; an empty first byte ends it. */
static int add_pairs(struct tar_sparse *s, const uint8_t *map, size_t max, struct zl_error *err)
{
    for (size_t i = 0; i < max && map[i * ENTRY]; i++) {
        int64_t offset, length;
        if (tar_number(map + i * ENTRY, 12, &offset) < 0 ||
            tar_number(map + i * ENTRY + 12, 12, &length) < 0 || offset < 0 || length < 0)
            return damaged(err);
        if (tar_sparse_add(s, (uint64_t)offset, (uint64_t)length, err) < 0)
            return -1;
    }
    return 0;
}

int tar_sparse_gnu(struct tar *t, struct zl_error *err)
{
    int64_t size;
    uint8_t block[TAR_BLOCK_SIZE];
    if (tar_number(t->block + AT_SIZE, 12, &size) < 0 || size < 0)
        return damaged(err);
    t->sparse.is = true;
    t->sparse.n = 0;
    t->sparse.size = (uint64_t)size;
    if (add_pairs(&t->sparse, t->block + AT_MAP, IN_HEADER, err) < 0)
        return -1;
    for (bool more = t->block[AT_MORE]; more; more = block[IN_BLOCK * ENTRY]) {
        if (tar_take(t, block, sizeof block, err) < 0 ||
            add_pairs(&t->sparse, block, IN_BLOCK, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- pax ------------------------------------------------------------------------------------- */

/* A decimal number and a line's end, of the content. */
static int take_line(struct tar *t, uint64_t *ret, struct zl_error *err)
{
    char text[24];
    size_t n = 0;
    for (;; n++) {
        if (n == sizeof text || !t->left)
            return damaged(err);
        if (tar_take(t, text + n, 1, err) < 0)
            return -1;
        t->left--;
        if (text[n] == '\n')
            break;
    }
    text[n] = '\0';
    return tar_decimal(text, ret) < 0 ? damaged(err) : 0;
}

/* Format 1.0: how many, then offset and length of each, a line a number; padded to a block. */
static int take_map(struct tar *t, struct zl_error *err)
{
    uint64_t n = 0, offset = 0, length = 0, before = t->left;
    if (take_line(t, &n, err) < 0)
        return -1;
    for (uint64_t i = 0; i < n; i++) {
        if (take_line(t, &offset, err) < 0 || take_line(t, &length, err) < 0 ||
            tar_sparse_add(&t->sparse, offset, length, err) < 0)
            return -1;
    }
    uint64_t padding = (before - t->left) % TAR_BLOCK_SIZE;
    padding = padding ? TAR_BLOCK_SIZE - padding : 0;
    if (padding > t->left)
        return damaged(err);
    t->left -= padding;
    return tar_skip(t, padding, err);
}

int tar_sparse_pax(struct tar *t, struct zl_error *err)
{
    const struct tar_pax *p = &t->pax;
    bool in_content = p->sparse_major && p->sparse_minor && strcmp(p->sparse_major, "1") == 0 &&
                      strcmp(p->sparse_minor, "0") == 0;
    if (!in_content && !p->sparse_map)
        return 0;
    if (!p->sparse_size || tar_decimal(p->sparse_size, &t->sparse.size) < 0)
        return damaged(err);
    t->sparse.is = true;
    if (!in_content)
        return 0;
    t->sparse.n = 0;
    return take_map(t, err);
}

int tar_sparse_check(const struct tar *t, struct zl_error *err)
{
    const struct tar_sparse *s = &t->sparse;
    uint64_t end = 0, stored = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct tar_extent *e = &s->extents[i];
        if (e->offset < end || e->length > s->size || e->offset > s->size - e->length)
            return damaged(err);
        end = e->offset + e->length;
        stored += e->length;
    }
    return s->size <= INT64_MAX && stored == t->left ? 0 : damaged(err);
}
