// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* Length of the well-formed sequence at s, of at most n bytes; 0: none. RFC 3629, section 4. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    static const struct {
        unsigned char lo, hi, second_lo, second_hi, length;
    } forms[] = {
        { 0x01, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(forms); i++) {
        if (s[0] < forms[i].lo || s[0] > forms[i].hi)
            continue;
        size_t length = forms[i].length;
        if (length > n || (length > 1 && (s[1] < forms[i].second_lo || s[1] > forms[i].second_hi)))
            return 0;
        for (size_t k = 2; k < length; k++) {
            if (s[k] < 0x80 || s[k] > 0xbf)
                return 0;
        }
        return length;
    }
    return 0;
}

size_t zl_utf8_check(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t i = 0;
    while (i < n) {
        size_t length = p[i] >= 0x01 && p[i] <= 0x7f ? 1 : utf8_length(p + i, n - i);
        if (!length)
            return i;
        i += length;
    }
    return n;
}

/* Whether what begins at s could be a longer sequence, if more than n bytes had come. */
static bool is_cut_off(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t length = p[0] > 0xf4 || p[0] < 0xc2 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    size_t rest = 1;
    while (rest < n && p[rest] >= 0x80 && p[rest] <= 0xbf)
        rest++;
    return n < length && rest == n;
}

void zl_utf8_mend(char *text)
{
    size_t n = strlen(text);
    for (size_t at = 0; (at += zl_utf8_check(text + at, n - at)) < n;) {
        if (is_cut_off(text + at, n - at)) {
            text[at] = '\0';
            return;
        }
        text[at++] = '?';
    }
}

bool zl_utf8_escape(const char *s, char *ret, size_t size)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t n = strlen(s), i = 0, at = 0;
    while (i < n) {
        size_t length = utf8_length(p + i, n - i);
        size_t wanted = length ? length : strlen("\\xNN");
        if (at + wanted >= size)
            break;
        if (length)
            memcpy(ret + at, s + i, length);
        else
            (void)snprintf(ret + at, size - at, "\\x%02x", p[i]); /* there is room for it */
        at += wanted;
        i += length ? length : 1;
    }
    ret[at] = '\0';
    return i == n;
}
