// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

char zl_buf_nothing[1] = ""; /* what data points to before the first append; never written */

void zl_buf_init(struct zl_buf *b, size_t max)
{
    *b = (struct zl_buf)ZL_BUF(max);
}

void zl_buf_done(struct zl_buf *b)
{
    if (b->data != zl_buf_nothing)
        free(b->data);
    zl_buf_init(b, b->max);
}

void zl_buf_reset(struct zl_buf *b)
{
    if (b->len)
        b->data[0] = '\0';
    b->len = 0;
    b->failed = false;
}

char *zl_buf_reserve(struct zl_buf *b, size_t n)
{
    if (b->failed || n > b->max || b->len > b->max - n) {
        b->failed = true;
        return NULL;
    }
    if (b->len + n + 1 > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < b->len + n + 1)
            cap *= 2;
        char *grown = realloc(b->data == zl_buf_nothing ? NULL : b->data, cap);
        if (!grown) {
            b->failed = true;
            return NULL;
        }
        b->data = grown;
        b->cap = cap;
        b->data[b->len] = '\0';
    }
    return b->data + b->len;
}

void zl_buf_add(struct zl_buf *b, const void *bytes, size_t n)
{
    char *room = n ? zl_buf_reserve(b, n) : NULL;
    if (!room)
        return;
    memcpy(room, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void zl_buf_adds(struct zl_buf *b, const char *s)
{
    zl_buf_add(b, s, strlen(s));
}

void zl_buf_addc(struct zl_buf *b, char c)
{
    zl_buf_add(b, &c, 1);
}

void zl_buf_vaddf(struct zl_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *room = n > 0 ? zl_buf_reserve(b, (size_t)n) : NULL;
    if (n < 0)
        b->failed = true;
    if (room)
        b->len += (size_t)vsnprintf(room, (size_t)n + 1, fmt, again);
    va_end(again);
}

void zl_buf_addf(struct zl_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    zl_buf_vaddf(b, fmt, ap);
    va_end(ap);
}

void zl_buf_consume(struct zl_buf *b, size_t n)
{
    if (!n)
        return;
    memmove(b->data, b->data + n, b->len - n + 1);
    b->len -= n;
}

char *zl_buf_steal(struct zl_buf *b)
{
    char *s = NULL;
    if (!b->failed)
        s = b->data == zl_buf_nothing ? strdup("") : b->data;
    if (s && b->data != zl_buf_nothing)
        b->data = zl_buf_nothing;
    zl_buf_done(b);
    return s;
}

int zl_buf_check(const struct zl_buf *b, const char *what, struct zl_error *err)
{
    if (!b->failed)
        return 0;
    return zl_fail(err, ZL_ERR_INVALID, "%s is larger than %zu bytes", what, b->max);
}
