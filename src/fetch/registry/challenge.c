// SPDX-License-Identifier: Apache-2.0
#include "fetch/registry/challenge.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"

/* ---- the header ------------------------------------------------------------------------------ */

static const char *skip(const char *p, const char *set)
{
    return p + strspn(p, set);
}

/* A token, or a quoted string with its escapes undone. NULL: malformed or longer than room. */
static const char *take_value(const char *p, char *out, size_t room)
{
    size_t n = 0;
    bool quoted = *p == '"';
    p += quoted;
    while (*p && (quoted ? *p != '"' : !strchr(", \t", *p))) {
        if (quoted && *p == '\\' && p[1])
            p++;
        if (n + 1 >= room || (unsigned char)*p < ' ')
            return NULL;
        out[n++] = *p++;
    }
    out[n] = '\0';
    if (quoted && *p != '"')
        return NULL;
    return p + quoted;
}

static const char *take_parameter(const char *p, struct challenge *c)
{
    char name[32], unknown[1024];
    size_t n = strcspn(p, "=, \t\"");
    if (!n || n >= sizeof name)
        return NULL;
    memcpy(name, p, n);
    name[n] = '\0';
    p = skip(p + n, " \t");
    if (*p != '=')
        return NULL;
    p = skip(p + 1, " \t");
    if (strcasecmp(name, "realm") == 0)
        return take_value(p, c->realm, sizeof c->realm);
    if (strcasecmp(name, "service") == 0)
        return take_value(p, c->service, sizeof c->service);
    if (strcasecmp(name, "scope") == 0)
        return take_value(p, c->scope, sizeof c->scope);
    return take_value(p, unknown, sizeof unknown);
}

bool challenge_parse(const char *header, struct challenge *ret)
{
    struct challenge c = { .scheme = CHALLENGE_OTHER };
    const char *p = skip(header, " \t");
    size_t n = strcspn(p, " \t");
    if (n == 5 && strncasecmp(p, "basic", n) == 0)
        c.scheme = CHALLENGE_BASIC;
    else if (n == 6 && strncasecmp(p, "bearer", n) == 0)
        c.scheme = CHALLENGE_BEARER;
    for (p = skip(p + n, " \t,"); *p; p = skip(p, " \t,")) {
        p = take_parameter(p, &c);
        if (!p)
            return false;
    }
    *ret = c;
    return true;
}

/* ---- the token ------------------------------------------------------------------------------- */

struct answer {
    const char *token, *access_token;
};

static const struct zl_field answer_fields[] = {
    { "token", zl_json_string, offsetof(struct answer, token), 0, NULL },
    { "access_token", zl_json_string, offsetof(struct answer, access_token), 0, NULL },
    { 0 },
};

int token_parse(const char *bytes, size_t n, struct zl_buf *token, struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    struct answer a = { 0 };
    if (n > TOKEN_MAX)
        return zl_fail(err, ZL_ERR_PROTOCOL, "the token is larger than %d bytes", TOKEN_MAX);
    if (zl_json_parse(&doc, bytes, n, "the token", err) < 0 ||
        zl_json_decode(&doc, answer_fields, &a, err) < 0)
        return -1;
    const char *text = a.token && *a.token ? a.token : a.access_token;
    if (!text || !*text)
        return zl_fail(err, ZL_ERR_PROTOCOL, "the token server's answer holds no token");
    for (const char *p = text; *p; p++) { /* b64token and what people put there; nothing that
                                             could begin another header */
        if (*p <= ' ' || *p > '~')
            return zl_fail(err, ZL_ERR_PROTOCOL, "the token holds a character that none may have");
    }
    zl_buf_adds(token, text);
    return zl_buf_check(token, "the token", err);
}
