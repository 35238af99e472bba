// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static const char *const kind_names[ZL_ERR_KINDS] = {
    [ZL_OK] = "ok",
    [ZL_ERR_SYSTEM] = "system",
    [ZL_ERR_INVALID] = "invalid",
    [ZL_ERR_NOT_FOUND] = "not_found",
    [ZL_ERR_EXISTS] = "exists",
    [ZL_ERR_CONFLICT] = "conflict",
    [ZL_ERR_UNSUPPORTED] = "unsupported",
    [ZL_ERR_CONFIGURATION] = "configuration",
    [ZL_ERR_TIMEOUT] = "timeout",
    [ZL_ERR_CANCELLED] = "cancelled",
    [ZL_ERR_UNREACHABLE] = "unreachable",
    [ZL_ERR_PROTOCOL] = "protocol",
    [ZL_ERR_DENIED] = "denied",
    [ZL_ERR_INTERNAL] = "internal",
};

const char *zl_err_kind_name(enum zl_err_kind kind)
{
    return (unsigned)kind < ZL_ERR_KINDS ? kind_names[kind] : "unknown";
}

/* A message that did not fit ends in "...", so nobody takes the rest for the whole. */
static void put_message(struct zl_error *err, const char *text)
{
    static const char cut[] = "...";
    if (zl_utf8_escape(text, err->msg, sizeof err->msg))
        return;
    (void)zl_utf8_escape(text, err->msg, sizeof err->msg - strlen(cut));
    memcpy(err->msg + strlen(err->msg), cut, sizeof cut);
}

/* "<text>: <tail>", or the text alone when tail is NULL; tail may be the message so far. */
static void set_message(struct zl_error *err, const char *tail, const char *fmt, va_list ap)
{
    char text[2 * sizeof err->msg] = ""; /* what it has no room for, err->msg has none for either */
    int n = vsnprintf(text, sizeof text, fmt, ap);
    if (tail && n >= 0 && (size_t)n < sizeof text)
        (void)snprintf(text + n, sizeof text - (size_t)n, ": %s", tail);
    put_message(err, text);
}

int zl_fail_at(struct zl_error *err, enum zl_err_kind kind, const char *where, const char *fmt, ...)
{
    if (!err)
        return -1;
    int saved = errno;
    va_list ap;

    err->kind = kind;
    err->errnum = 0;
    err->where = where;
    va_start(ap, fmt);
    set_message(err, NULL, fmt, ap);
    va_end(ap);
    errno = saved;
    return -1;
}

int zl_fail_errno_at(struct zl_error *err, const char *where, const char *fmt, ...)
{
    if (!err)
        return -1;
    int saved = errno;
    va_list ap;

    err->kind = ZL_ERR_SYSTEM;
    err->errnum = saved;
    err->where = where;
    va_start(ap, fmt);
    set_message(err, strerror(saved), fmt, ap);
    va_end(ap);
    errno = saved;
    return -1;
}

int zl_wrap(struct zl_error *err, const char *fmt, ...)
{
    if (!err)
        return -1;
    va_list ap;

    va_start(ap, fmt);
    set_message(err, err->msg, fmt, ap);
    va_end(ap);
    return -1;
}
