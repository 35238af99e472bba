// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
static void mark_cut(char *msg, size_t size, int wanted)
{
    if (wanted >= 0 && (size_t)wanted >= size)
        memcpy(msg + size - 4, "...", 4);
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
    mark_cut(err->msg, sizeof err->msg, vsnprintf(err->msg, sizeof err->msg, fmt, ap));
    va_end(ap);
    errno = saved;
    return -1;
}

int zl_fail_errno_at(struct zl_error *err, const char *where, const char *fmt, ...)
{
    if (!err)
        return -1;
    int saved = errno;
    char text[sizeof err->msg];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap); /* cut below, if at all */
    va_end(ap);
    err->kind = ZL_ERR_SYSTEM;
    err->errnum = saved;
    err->where = where;
    mark_cut(err->msg, sizeof err->msg,
             snprintf(err->msg, sizeof err->msg, "%s: %s", text, strerror(saved)));
    errno = saved;
    return -1;
}

int zl_wrap(struct zl_error *err, const char *fmt, ...)
{
    if (!err)
        return -1;
    char inner[sizeof err->msg];
    char outer[sizeof err->msg];
    va_list ap;

    memcpy(inner, err->msg, sizeof inner);
    va_start(ap, fmt);
    (void)vsnprintf(outer, sizeof outer, fmt, ap); /* cut below, if at all */
    va_end(ap);
    mark_cut(err->msg, sizeof err->msg,
             snprintf(err->msg, sizeof err->msg, "%s: %s", outer, inner));
    return -1;
}
