// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "spec/dump/dump.h"

#define DIGITS "0123456789"

enum { SIMPLE_KEY_MAX = 1000 }; /* YAML 1.2.2, 7.4.2: 1024 characters, quotes included */

/* ---- texts ----------------------------------------------------------------------------------- */

/* null and bool of YAML 1.2 (core schema) and 1.1, in any case: no reader of either is misled. */
static bool is_word_of_yaml(const char *s)
{
    static const char *const words[] = { "~",  "null", "true", "false", "yes", "no",
                                         "on", "off",  "y",    "n",     "<<",  "=" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(words); i++) {
        if (strcasecmp(s, words[i]) == 0)
            return true;
    }
    return false;
}

static bool only(const char *s, const char *allowed)
{
    return *s && !s[strspn(s, allowed)];
}

/* 12, 1_000, 1.5e3, .5, .inf, 0x1F, 0o17, 0b1, and of YAML 1.1 1:30 and 2026-01-01. */
static bool is_number_of_yaml(const char *s)
{
    s += *s == '-' || *s == '+';
    if (strcasecmp(s, ".inf") == 0 || strcasecmp(s, ".nan") == 0)
        return true;
    if (*s == '0' && s[1] && strchr("xob", s[1]))
        return only(s + 2, DIGITS "abcdefABCDEF_");
    size_t year = strspn(s, DIGITS);
    if (year == 4 && s[4] == '-' && s[5] >= '0' && s[5] <= '9')
        return true;
    size_t whole = strspn(s, DIGITS "_:");
    const char *rest = s + whole;
    if (whole && s[0] == ':')
        return false;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, DIGITS "_");
    if (rest == s || strcmp(s, ".") == 0)
        return false;
    if ((*rest == 'e' || *rest == 'E') && rest[1]) {
        rest++;
        rest += *rest == '-' || *rest == '+';
        return only(rest, DIGITS);
    }
    return !*rest;
}

/* Bytes that only a double-quoted text can hold: control characters, and what YAML takes for line
 * breaks or cannot print (NEL, LS, PS, BOM). */
static bool needs_escapes(const char *s)
{
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) ||
            (p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) ||
            (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf) ||
            (p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe))
            return true;
    }
    return false;
}

/* YAML 1.2.2, 7.3.3: what a plain scalar in block context cannot be. */
static bool breaks_plain(const char *s)
{
    size_t n = strlen(s);
    if (!n || s[0] == ' ' || s[n - 1] == ' ' || s[n - 1] == ':')
        return true;
    if (strchr(",[]{}#&*!|>'\"%@`", s[0]) || (strchr("-?:", s[0]) && (!s[1] || s[1] == ' ')))
        return true;
    return strncmp(s, "---", 3) == 0 || strncmp(s, "...", 3) == 0 || strstr(s, ": ") ||
           strstr(s, " #");
}

static void put_escaped(const char *s, struct zl_buf *out)
{
    static const struct {
        char c, letter;
    } letters[] = { { '\n', 'n' }, { '\t', 't' }, { '\r', 'r' }, { '"', '"' }, { '\\', '\\' } };
    zl_buf_addc(out, '"');
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        size_t i = 0;
        while (i < ZL_ARRAY_LEN(letters) && letters[i].c != (char)*p)
            i++;
        if (i < ZL_ARRAY_LEN(letters)) {
            zl_buf_addf(out, "\\%c", letters[i].letter);
        } else if (*p < 0x20 || *p == 0x7f) {
            zl_buf_addf(out, "\\x%02x", *p);
        } else if (*p == 0xc2 && p[1] < 0xa0) {
            zl_buf_addf(out, "\\x%02x", *++p);
        } else if (*p >= 0xe0 && *p < 0xf0 &&
                   needs_escapes((char[]){ (char)p[0], (char)p[1], (char)p[2], 0 })) {
            zl_buf_addf(out, "\\u%04x", (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u));
            p += 2;
        } else {
            zl_buf_addc(out, (char)*p);
        }
    }
    zl_buf_addc(out, '"');
}

static void put_text(const char *s, struct zl_buf *out)
{
    if (needs_escapes(s)) {
        put_escaped(s, out);
    } else if (breaks_plain(s) || is_word_of_yaml(s) || is_number_of_yaml(s)) {
        zl_buf_addc(out, '\'');
        for (; *s; s++)
            zl_buf_adds(out, *s == '\'' ? "''" : (char[]){ *s, 0 });
        zl_buf_addc(out, '\'');
    } else {
        zl_buf_adds(out, s);
    }
}

/* ---- mappings, lists ------------------------------------------------------------------------- */

static void put_node(const json_t *v, int indent, bool in_list, struct zl_buf *out);

static void put_scalar(const json_t *v, struct zl_buf *out)
{
    if (json_is_string(v)) {
        put_text(json_string_value(v), out);
        return;
    }
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    zl_buf_adds(out, text ? text : ""); /* {} and [] too */
    out->failed |= !text;
    free(text);
}

static bool is_nested(const json_t *v)
{
    return json_object_size(v) || json_array_size(v);
}

static void put_indent(int indent, struct zl_buf *out)
{
    zl_buf_addf(out, "%*s", indent, "");
}

/* What follows "key:" or "?": on the same line, or below and deeper. */
static void put_member(const json_t *v, int indent, struct zl_buf *out)
{
    zl_buf_addc(out, is_nested(v) ? '\n' : ' ');
    put_node(v, indent + 2, false, out);
}

static void put_map(const json_t *map, int indent, bool in_list, struct zl_buf *out)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)map, key, v)
    {
        bool simple = strlen(key) <= SIMPLE_KEY_MAX;
        if (!in_list)
            put_indent(indent, out);
        in_list = false; /* the first stands behind the dash */
        zl_buf_adds(out, simple ? "" : "? ");
        put_text(key, out);
        if (!simple) {
            zl_buf_addc(out, '\n');
            put_indent(indent, out);
        }
        zl_buf_addc(out, ':');
        put_member(v, indent, out);
    }
}

static void put_list(const json_t *list, int indent, bool in_list, struct zl_buf *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!in_list || i)
            put_indent(indent, out);
        zl_buf_adds(out, "- ");
        put_node(json_array_get(list, i), indent + 2, true, out);
    }
}

static void put_node(const json_t *v, int indent, bool in_list, struct zl_buf *out)
{
    if (json_object_size(v)) {
        put_map(v, indent, in_list, out);
    } else if (json_array_size(v)) {
        put_list(v, indent, in_list, out);
    } else {
        put_scalar(v, out);
        zl_buf_addc(out, '\n');
    }
}

void spec_dump_yaml(const json_t *v, struct zl_buf *out)
{
    put_node(v, 0, false, out);
}
