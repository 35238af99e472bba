// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_MIN = 4096, BLOCK_MAX = 256 * 1024, ALIGN = 8 };

struct zl_arena_block {
    struct zl_arena_block *older;
    size_t size, used;
    _Alignas(ALIGN) unsigned char bytes[];
};

static struct zl_arena_block *add_block(struct zl_arena *a, size_t n)
{
    size_t size = a->newest ? a->newest->size * 2 : BLOCK_MIN;
    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    if (size < n)
        size = n;
    struct zl_arena_block *b = malloc(sizeof *b + size);
    if (!b)
        return NULL;
    *b = (struct zl_arena_block){ .older = a->newest, .size = size };
    a->newest = b;
    return b;
}

/* n bytes at the next multiple of align; what a text leaves over is given to the next text. */
static void *take(struct zl_arena *a, size_t n, size_t align)
{
    struct zl_arena_block *b = a->newest;
    size_t start = b ? (b->used + align - 1) / align * align : 0;
    if (n > a->max - a->used) {
        a->failed = true;
        return NULL;
    }
    if (!b || start > b->size || b->size - start < n) {
        b = add_block(a, n);
        start = 0;
    }
    if (!b) {
        a->failed = true;
        return NULL;
    }
    b->used = start + n;
    a->used += n;
    return memset(b->bytes + start, 0, n);
}

void *zl_arena_alloc(struct zl_arena *a, size_t n)
{
    return take(a, n, ALIGN);
}

void *zl_arena_array(struct zl_arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) {
        a->failed = true;
        return NULL;
    }
    return zl_arena_alloc(a, n);
}

char *zl_arena_strndup(struct zl_arena *a, const char *s, size_t n)
{
    char *copy = n < SIZE_MAX ? take(a, n + 1, 1) : NULL;
    return copy ? memcpy(copy, s, n) : NULL;
}

char *zl_arena_strdup(struct zl_arena *a, const char *s)
{
    return zl_arena_strndup(a, s, strlen(s));
}

char *zl_arena_printf(struct zl_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = n >= 0 ? take(a, (size_t)n + 1, 1) : NULL;
    if (!text)
        return NULL;
    va_start(ap, fmt);
    (void)vsnprintf(text, (size_t)n + 1, fmt, ap); /* measured above */
    va_end(ap);
    return text;
}

void zl_arena_done(struct zl_arena *a)
{
    while (a->newest) {
        struct zl_arena_block *older = a->newest->older;
        free(a->newest);
        a->newest = older;
    }
    a->used = 0;
    a->failed = false;
}
