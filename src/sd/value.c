// SPDX-License-Identifier: Apache-2.0
/* Values of properties: GVariant's text format to D-Bus. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sd/sd.h"

enum { TEXT_MAX = 4096 };

static const struct {
    const char *word;
    char type; /* of D-Bus */
} number_words[] = {
    { "byte ", 'y' }, { "int32 ", 'i' }, { "uint32 ", 'u' }, { "int64 ", 'x' }, { "uint64 ", 't' },
};

static const char *skip(const char *at)
{
    return at + strspn(at, " \t");
}

/* The type that a word before a number says, which is passed; 0: none. */
static char type_word(const char **at)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(number_words); i++) {
        size_t n = strlen(number_words[i].word);
        if (strncmp(*at, number_words[i].word, n) == 0) {
            *at = skip(*at + n);
            return number_words[i].type;
        }
    }
    return 0;
}

/* One number of this type into the message; 0 or a negative errno. */
static int append_number(sd_bus_message *m, char type, const char **at)
{
    char *end;
    bool is_signed = type == 'i' || type == 'x';
    union {
        uint8_t y;
        int32_t i;
        uint32_t u;
        int64_t x;
        uint64_t t;
    } v;
    static const struct {
        char type;
        uint64_t max;
    } limits[] = {
        { 'y', UINT8_MAX }, { 'i', INT32_MAX },  { 'u', UINT32_MAX },
        { 'x', INT64_MAX }, { 't', UINT64_MAX },
    };

    errno = 0;
    if (is_signed)
        v.x = strtoll(*at, &end, 0);
    else
        v.t = strtoull(*at, &end, 0);
    if (errno || end == *at || (!is_signed && **at == '-'))
        return -EINVAL;
    *at = end;
    for (size_t i = 0; i < ZL_ARRAY_LEN(limits); i++)
        if (limits[i].type == type && !is_signed && v.t > limits[i].max)
            return -ERANGE;
    if (type == 'i' && (v.x > INT32_MAX || v.x < INT32_MIN))
        return -ERANGE;
    if (type == 'y')
        v.y = (uint8_t)v.t;
    else if (type == 'i')
        v.i = (int32_t)v.x;
    else if (type == 'u')
        v.u = (uint32_t)v.t;
    return sd_bus_message_append_basic(m, type, &v);
}

/* 'text' or "text", with \ before what would end it. */
static int append_text(sd_bus_message *m, const char **at)
{
    char text[TEXT_MAX];
    char quote = *(*at)++;
    size_t n = 0;

    for (; **at && **at != quote; (*at)++) {
        if (**at == '\\' && (*at)[1])
            (*at)++;
        if (n + 1 == sizeof text)
            return -E2BIG;
        text[n++] = **at;
    }
    if (**at != quote)
        return -EINVAL;
    (*at)++;
    text[n] = '\0';
    return sd_bus_message_append_basic(m, 's', text);
}

static bool is_quote(char c)
{
    return c == '\'' || c == '"';
}

/* What stands between [ and ]: texts, or numbers of the type that the first says. */
static int append_elements(sd_bus_message *m, char type, const char **at)
{
    int rc = 0;

    while (rc >= 0 && **at != ']') {
        rc = type == 's' ? append_text(m, at) : append_number(m, type, at);
        *at = skip(*at);
        if (rc >= 0 && **at == ',')
            *at = skip(*at + 1);
        else if (rc >= 0 && **at != ']')
            return -EINVAL;
    }
    if (rc < 0)
        return rc;
    (*at)++;
    return 0;
}

static int append_list(sd_bus_message *m, const char **at)
{
    char element[2] = { 's' }, list[3] = { 'a', 's' };
    int rc;

    *at = skip(*at + 1);
    if (!is_quote(**at) && **at != ']') {
        element[0] = type_word(at);
        if (!element[0])
            element[0] = 'i'; /* as GVariant has it */
        list[1] = element[0];
    }
    rc = sd_bus_message_open_container(m, 'v', list);
    if (rc >= 0)
        rc = sd_bus_message_open_container(m, 'a', element);
    if (rc >= 0)
        rc = append_elements(m, element[0], at);
    if (rc >= 0)
        rc = sd_bus_message_close_container(m);
    return rc < 0 ? rc : sd_bus_message_close_container(m);
}

static int append_single(sd_bus_message *m, const char **at)
{
    char type[2] = { 's' };
    int rc;

    if (!is_quote(**at)) {
        type[0] = type_word(at);
        if (!type[0])
            type[0] = 'i';
    }
    rc = sd_bus_message_open_container(m, 'v', type);
    if (rc >= 0)
        rc = type[0] == 's' ? append_text(m, at) : append_number(m, type[0], at);
    return rc < 0 ? rc : sd_bus_message_close_container(m);
}

static int append_bool(sd_bus_message *m, bool value, size_t n, const char **at)
{
    *at += n;
    return sd_bus_message_append(m, "v", "b", (int)value);
}

static int append_variant(sd_bus_message *m, const char **at)
{
    if (strncmp(*at, "true", 4) == 0)
        return append_bool(m, true, 4, at);
    if (strncmp(*at, "false", 5) == 0)
        return append_bool(m, false, 5, at);
    return **at == '[' ? append_list(m, at) : append_single(m, at);
}

int value_append(sd_bus_message *m, const char *assignment, struct zl_error *err)
{
    size_t n = strcspn(assignment, "=");
    const char *at = skip(assignment + n + (assignment[n] == '='));
    char name[128];
    int rc;

    if (!n || n >= sizeof name || !assignment[n])
        return zl_fail(err, ZL_ERR_INVALID, "property '%s': expected NAME=VALUE", assignment);
    memcpy(name, assignment, n);
    name[n] = '\0';
    rc = sd_bus_message_open_container(m, 'r', "sv");
    if (rc >= 0)
        rc = sd_bus_message_append_basic(m, 's', name);
    if (rc >= 0)
        rc = append_variant(m, &at);
    if (rc >= 0 && *skip(at))
        rc = -EINVAL;
    if (rc >= 0)
        rc = sd_bus_message_close_container(m);
    errno = -rc;
    return rc < 0 ? zl_fail_errno(err, "property '%s'", assignment) : 0;
}
