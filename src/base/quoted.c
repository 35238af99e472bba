// SPDX-License-Identifier: Apache-2.0
/*
 * libfyaml finds where a quoted scalar ends, but 0.7 does not read its text well: 'a''''b' becomes
 * a''' and what follows an escaped line break before an empty line is lost. So the text is read
 * here.
 */
#include "base/quoted.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct unquoting {
    const char *at, *end; /* of what is read; end: the closing quote */
    char *out;
    size_t n, kept; /* written; of these, what a line break does not take away again */
};

/* The closing quote; NULL: there is none. */
static const char *closing_quote(const char *from, const char *end)
{
    char quote = from[-1];
    for (const char *p = from; p < end; p++) {
        bool doubled = quote == '\'' && *p == quote && p + 1 < end && p[1] == quote;
        if (doubled || (*p == '\\' && quote == '"'))
            p++; /* what follows is no end */
        else if (*p == quote)
            return p;
    }
    return NULL;
}

size_t zl_unquoted_max(const char *from, const char *end)
{
    const char *quote = closing_quote(from, end);
    return quote ? (size_t)(quote - from) * 3 / 2 + 1 : 0; /* \L, two bytes, becomes three */
}

static bool is_break(const struct unquoting *u)
{
    return u->at < u->end && (*u->at == '\n' || *u->at == '\r');
}

static bool is_blank(const struct unquoting *u)
{
    return u->at < u->end && (*u->at == ' ' || *u->at == '\t');
}

/* Lines are joined: one break is a space, or nothing when it is escaped; of more, the first goes.
 */
static void fold(struct unquoting *u, bool escaped)
{
    size_t breaks = 0;
    if (!escaped)
        u->n = u->kept;
    while (is_break(u) || is_blank(u)) {
        if (is_break(u)) {
            u->at += *u->at == '\r' && u->at + 1 < u->end && u->at[1] == '\n';
            breaks++;
        }
        u->at++;
    }
    if (breaks == 1 && !escaped)
        u->out[u->n++] = ' ';
    for (; breaks > 1; breaks--)
        u->out[u->n++] = '\n';
    u->kept = u->n;
}

/* ---- escapes --------------------------------------------------------------------------------- */

/* Half a surrogate pair is written too: then it is no UTF-8, as the caller will find. */
static void put_utf8(struct unquoting *u, uint32_t c)
{
    char *o = u->out + u->n;
    if (c < 0x80) {
        o[0] = (char)c;
        u->n += 1;
    } else if (c < 0x800) {
        o[0] = (char)(0xc0 | c >> 6);
        o[1] = (char)(0x80 | (c & 0x3f));
        u->n += 2;
    } else if (c < 0x10000) {
        o[0] = (char)(0xe0 | c >> 12);
        o[1] = (char)(0x80 | (c >> 6 & 0x3f));
        o[2] = (char)(0x80 | (c & 0x3f));
        u->n += 3;
    } else {
        o[0] = (char)(0xf0 | c >> 18);
        o[1] = (char)(0x80 | (c >> 12 & 0x3f));
        o[2] = (char)(0x80 | (c >> 6 & 0x3f));
        o[3] = (char)(0x80 | (c & 0x3f));
        u->n += 4;
    }
    u->kept = u->n;
}

static bool read_hex(struct unquoting *u, int digits, uint32_t *ret)
{
    static const char hex[] = "0123456789abcdef0123456789ABCDEF";
    uint32_t c = 0;
    for (int i = 0; i < digits; i++, u->at++) {
        const char *digit = u->at < u->end && *u->at ? strchr(hex, *u->at) : NULL;
        if (!digit)
            return false;
        c = c << 4 | (uint32_t)((digit - hex) % 16);
    }
    *ret = c;
    return c <= 0x10ffff;
}

/* The second half of a pair, if it follows. */
static uint32_t join_surrogates(struct unquoting *u, uint32_t high)
{
    struct unquoting ahead = *u;
    uint32_t low;
    if (high < 0xd800 || high > 0xdbff || u->end - u->at < 6 || memcmp(u->at, "\\u", 2) != 0)
        return high;
    ahead.at += 2;
    if (!read_hex(&ahead, 4, &low) || low < 0xdc00 || low > 0xdfff)
        return high;
    u->at = ahead.at;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static bool read_escape(struct unquoting *u)
{
    /* clang-format off */
    static const struct { char name; uint32_t is; int digits; } escapes[] = {
        { '0', 0, 0 },   { 'a', 7, 0 },    { 'b', 8, 0 },    { 't', 9, 0 },      { '\t', 9, 0 },
        { 'n', 10, 0 },  { 'v', 11, 0 },   { 'f', 12, 0 },   { 'r', 13, 0 },     { 'e', 27, 0 },
        { ' ', ' ', 0 }, { '"', '"', 0 },  { '/', '/', 0 },  { '\\', '\\', 0 },  { 'N', 0x85, 0 },
        { '_', 0xa0, 0 }, { 'L', 0x2028, 0 }, { 'P', 0x2029, 0 },
        { 'x', 0, 2 },   { 'u', 0, 4 },    { 'U', 0, 8 },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        uint32_t c = escapes[i].is;
        if (escapes[i].name != *u->at)
            continue;
        u->at++;
        if (escapes[i].digits && !read_hex(u, escapes[i].digits, &c))
            return false;
        put_utf8(u, escapes[i].digits == 4 ? join_surrogates(u, c) : c);
        return true;
    }
    return false;
}

/* ---- the text -------------------------------------------------------------------------------- */

static bool read_backslash(struct unquoting *u)
{
    u->at++;
    if (u->at == u->end)
        return false;
    if (!is_break(u))
        return read_escape(u);
    fold(u, true);
    return true;
}

ptrdiff_t zl_unquote(const char *from, const char *end, char *out)
{
    struct unquoting u = { .at = from, .end = closing_quote(from, end), .out = out };
    bool escapes = from[-1] == '"';
    if (!u.end)
        return -1;
    while (u.at < u.end) {
        if (is_break(&u)) {
            fold(&u, false);
        } else if (escapes && *u.at == '\\') {
            if (!read_backslash(&u))
                return -1;
        } else {
            bool blank = is_blank(&u);
            u.at += !escapes && *u.at == '\''; /* the first of two */
            out[u.n++] = *u.at++;
            if (!blank)
                u.kept = u.n;
        }
    }
    return (ptrdiff_t)u.n;
}
