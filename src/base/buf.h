// SPDX-License-Identifier: Apache-2.0
/*
 * A growing byte buffer with a stated maximum. data is never NULL and always ends in a NUL that is
 * not counted, so it may be used as a string when its content is text. Going beyond the maximum, or
 * running out of memory, sets `failed` and drops the addition: several appends may be made in a row
 * and checked once, with zl_buf_check().
 */
#ifndef ZL_BASE_BUF_H
#define ZL_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct zl_buf {
    char *data;
    size_t len, cap;
    size_t max; /* of len */
    bool failed;
};

void zl_buf_init(struct zl_buf *b, size_t max);
void zl_buf_done(struct zl_buf *b); /* frees; b may be initialised anew or done again */
void zl_buf_reset(struct zl_buf *b);

void zl_buf_add(struct zl_buf *b, const void *bytes, size_t n);
void zl_buf_adds(struct zl_buf *b, const char *s);
void zl_buf_addc(struct zl_buf *b, char c);
void zl_buf_addf(struct zl_buf *b, const char *fmt, ...) ZL_PRINTF(2, 3);
void zl_buf_vaddf(struct zl_buf *b, const char *fmt, va_list ap) ZL_PRINTF(2, 0);
/* Drops the first n bytes (n <= len). */
void zl_buf_consume(struct zl_buf *b, size_t n);
/* Room for n more bytes at data + len, for a read(); NULL when that would pass the maximum. */
char *zl_buf_reserve(struct zl_buf *b, size_t n);
/* The bytes as an owned, NUL-terminated string; b is empty afterwards. NULL when b failed. */
char *zl_buf_steal(struct zl_buf *b);
/* 0, or -1 when an append since init or reset did not fit; `what` names the content. */
int zl_buf_check(const struct zl_buf *b, const char *what, struct zl_error *err);

static inline void zl_buf_donep(struct zl_buf *b)
{
    int saved = errno;
    zl_buf_done(b);
    errno = saved;
}
#define zl_autobuf ZL_CLEANUP(zl_buf_donep)
/* An initialised value: zl_autobuf struct zl_buf b = ZL_BUF(4096); */
#define ZL_BUF(maximum)                                                                            \
    {                                                                                              \
        .data = zl_buf_nothing, .max = (maximum)                                                   \
    }
extern char zl_buf_nothing[1];

#endif
