// SPDX-License-Identifier: Apache-2.0
#include "spec/value/duration.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

#define NS_PER_S UINT64_C(1000000000)

struct unit {
    const char *name;
    uint64_t ns;   /* its length, or: */
    uint64_t secs; /* in seconds, for units whose fractions must come out whole in seconds */
};

/* clang-format off */
static const struct unit units[] = {
    { "ns", 1, 0 }, { "nsec", 1, 0 }, { "nanos", 1, 0 },
    { "us", 1000, 0 }, { "usec", 1000, 0 }, { "\u00b5s", 1000, 0 },
    { "ms", 1000000, 0 }, { "msec", 1000000, 0 }, { "millis", 1000000, 0 },
    { "s", NS_PER_S, 0 }, { "sec", NS_PER_S, 0 }, { "secs", NS_PER_S, 0 },
    { "second", NS_PER_S, 0 }, { "seconds", NS_PER_S, 0 },
    { "m", 60 * NS_PER_S, 0 }, { "min", 60 * NS_PER_S, 0 }, { "mins", 60 * NS_PER_S, 0 },
    { "minute", 60 * NS_PER_S, 0 }, { "minutes", 60 * NS_PER_S, 0 },
    { "h", 0, 3600 }, { "hr", 0, 3600 }, { "hrs", 0, 3600 }, { "hour", 0, 3600 }, { "hours", 0, 3600 },
    { "d", 0, 86400 }, { "day", 0, 86400 }, { "days", 0, 86400 },
    { "w", 0, 604800 }, { "wk", 0, 604800 }, { "wks", 0, 604800 },
    { "week", 0, 604800 }, { "weeks", 0, 604800 },
    { "M", 0, 2630016 }, { "month", 0, 2630016 }, { "months", 0, 2630016 },
    { "y", 0, 31557600 }, { "yr", 0, 31557600 }, { "yrs", 0, 31557600 },
    { "year", 0, 31557600 }, { "years", 0, 31557600 },
};
/* clang-format on */

static const char unknown_unit[] =
    "unknown unit; known are ns us ms s m h d w M y and their long forms";
static const char too_long[] = "longer than 292 years";
static const char uneven[] = "the fraction does not come out whole (in ns; in s from hours on)";

/* Bytes of the white space character at s; 0: none. The White_Space property of Unicode 15. */
static size_t space_length(const char *s)
{
    static const char *const spaces[] = {
        "\t",     "\n",     "\v",     "\f",     "\r",     " ",      "\xc2\x85", "\u00a0", "\u1680",
        "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",   "\u2007", "\u2008",
        "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000",
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(spaces); i++) {
        size_t n = strlen(spaces[i]);
        if (strncmp(s, spaces[i], n) == 0)
            return n;
    }
    return 0;
}

static const char *skip_space(const char *s)
{
    for (size_t n = space_length(s); n; n = space_length(s))
        s += n;
    return s;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

struct number {
    uint64_t whole;
    uint64_t fraction, scale; /* fraction / scale, scale a power of ten; scale 1: none */
};

/* digits [ "." digits ]; *s moves behind it. */
static int parse_number(const char **s, const char *text, struct number *ret,
                        struct spec_flaw *flaw)
{
    const char *p = *s;
    *ret = (struct number){ .scale = 1 };
    if (!is_digit(*p))
        return spec_flaw_set(flaw, "a number is expected", (size_t)(p - text));
    for (; is_digit(*p); p++) {
        if (__builtin_mul_overflow(ret->whole, 10, &ret->whole) ||
            __builtin_add_overflow(ret->whole, (uint64_t)(*p - '0'), &ret->whole))
            return spec_flaw_set(flaw, too_long, (size_t)(*s - text));
    }
    if (*p == '.') {
        if (!is_digit(*++p))
            return spec_flaw_set(flaw, "digits are missing after '.'", (size_t)(p - text));
        for (; is_digit(*p); p++) {
            if (*p == '0' && strspn(p, "0") == strspn(p, "0123456789"))
                continue; /* trailing zeros say nothing */
            if (__builtin_mul_overflow(ret->scale, 10, &ret->scale))
                return spec_flaw_set(flaw, uneven, (size_t)(*s - text));
            ret->fraction = ret->fraction * 10 + (uint64_t)(*p - '0'); /* below scale */
        }
    }
    *s = p;
    return 0;
}

/* The unit's letters, which end at a space, a digit or the end. */
static const struct unit *parse_unit(const char **s)
{
    size_t n = 0;
    while ((*s)[n] && !is_digit((*s)[n]) && !space_length(*s + n))
        n++;
    for (size_t i = 0; i < ZL_ARRAY_LEN(units); i++) {
        if (strlen(units[i].name) == n && memcmp(units[i].name, *s, n) == 0) {
            *s += n;
            return &units[i];
        }
    }
    return NULL;
}

static const char *add_span(uint64_t *sum, const struct number *n, const struct unit *u)
{
    uint64_t step = u->ns ? u->ns : u->secs;
    uint64_t to_ns = u->ns ? 1 : NS_PER_S;
    unsigned __int128 part = (unsigned __int128)n->fraction * step;
    if (part % n->scale)
        return uneven;
    unsigned __int128 total = ((unsigned __int128)n->whole * step + part / n->scale) * to_ns + *sum;
    if (total > INT64_MAX)
        return too_long;
    *sum = (uint64_t)total;
    return NULL;
}

/* White space inside a number, at s: v1 passes over it. */
static int refuse_spaced_number(const char *text, const char *s, struct spec_flaw *flaw)
{
    static const char missing[] = "a unit is missing after the number";
    char joined[256] = "";
    size_t n = 0;
    uint64_t ns;
    struct spec_flaw ignored;
    for (const char *p = text; *p && n < sizeof joined - 1;) {
        const char *next = skip_space(p);
        if (next > p && n && is_digit(joined[n - 1]) && is_digit(*next))
            p = next;
        else
            joined[n++] = *p++;
    }
    joined[n] = '\0';
    size_t at = (size_t)(s - text);
    if (n < sizeof joined - 1 && spec_parse_duration(joined, &ns, &ignored) == 0)
        return spec_flaw_set_strict(flaw, missing, at);
    return spec_flaw_set(flaw, missing, at);
}

int spec_parse_duration(const char *text, uint64_t *ret_ns, struct spec_flaw *flaw)
{
    uint64_t sum = 0;
    if (strcmp(text, "0") == 0) {
        *ret_ns = 0;
        return 0;
    }
    const char *s = skip_space(text);
    if (!*s)
        return spec_flaw_set(flaw, "it is empty", 0);
    while (*s) {
        const char *start = s;
        struct number n;
        if (parse_number(&s, text, &n, flaw) < 0)
            return -1;
        s = skip_space(s);
        if (!*s)
            return spec_flaw_set(flaw, "a unit is missing after the number", (size_t)(s - text));
        if (is_digit(*s))
            return refuse_spaced_number(text, s, flaw);
        const char *at = s;
        const struct unit *u = parse_unit(&s);
        if (!u)
            return spec_flaw_set(flaw, unknown_unit, (size_t)(at - text));
        const char *why = add_span(&sum, &n, u);
        if (why)
            return spec_flaw_set(flaw, why, (size_t)(start - text));
        s = skip_space(s);
    }
    *ret_ns = sum;
    return 0;
}
