// SPDX-License-Identifier: Apache-2.0
/*
 * The query of a request is checked as a whole before its handler begins, as a body is: a name that
 * the route does not take, or a value that is none, must not pass for "not given".
 */
#include <errno.h>
#include <string.h>

#include "api/call.h"

enum query_kind { QUERY_BOOL, QUERY_NUMBER, QUERY_TEXT };

static const struct {
    const char *name;
    enum query_kind kind;
} parameters[] = {
    /* clang-format off */
    { "all",         QUERY_BOOL },
    { "deployment",  QUERY_TEXT },
    { "follow",      QUERY_BOOL },
    { "force",       QUERY_BOOL },
    { "grace_ms",    QUERY_NUMBER },
    { "interval_ms", QUERY_NUMBER },
    { "limit",       QUERY_NUMBER },
    { "next",        QUERY_BOOL },
    { "plan",        QUERY_BOOL },
    { "ps_args",     QUERY_TEXT },
    { "removed",     QUERY_BOOL },
    { "service",     QUERY_TEXT },
    { "since",       QUERY_NUMBER },
    { "stream",      QUERY_BOOL },
    { "timeout_ms",  QUERY_NUMBER },
    { "wait",        QUERY_BOOL },
    /* clang-format on */
};

/* Digits alone; no more than a JSON body may have. */
static bool is_number(const char *v)
{
    errno = 0;
    return *v && strspn(v, "0123456789") == strlen(v) && strtoull(v, NULL, 10) <= INT64_MAX &&
           errno == 0;
}

static bool is_bool(const char *v)
{
    static const char *const words[] = { "1", "0", "true", "false", "" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(words); i++)
        if (strcmp(v, words[i]) == 0)
            return true;
    return false;
}

static bool is_text(const char *v)
{
    (void)v;
    return true;
}

static const struct {
    bool (*is)(const char *v);
    const char *wanted;
} kinds[] = {
    [QUERY_BOOL] = { is_bool, "true or false, 1 or 0" },
    [QUERY_NUMBER] = { is_number, "a whole number, not negative" },
    [QUERY_TEXT] = { is_text, "text" },
};

/* Whether name stands in "wait, timeout_ms". */
static bool takes(const struct api_route *route, const char *name)
{
    size_t len = strlen(name);
    for (const char *q = route->query; q && *q; q += strspn(q, ", ")) {
        size_t n = strcspn(q, ",");
        if (n == len && strncmp(q, name, len) == 0)
            return true;
        q += n;
    }
    return false;
}

static int check_value(const char *name, const char *value, struct zl_error *err)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(parameters); i++) {
        if (strcmp(parameters[i].name, name) != 0)
            continue;
        if (kinds[parameters[i].kind].is(value))
            return 0;
        return zl_fail(err, ZL_ERR_INVALID, "query parameter '%s': expected %s, found '%s'", name,
                       kinds[parameters[i].kind].wanted, value);
    }
    return zl_fail(err, ZL_ERR_INTERNAL, "query parameter '%s' is of no kind", name);
}

int query_check(const struct api_route *route, const struct evkeyvalq *query, struct zl_error *err)
{
    const struct evkeyval *p;
    TAILQ_FOREACH (p, query, next) {
        if (!takes(route, p->key))
            return zl_fail(err, ZL_ERR_INVALID, "%s %s has no query parameter '%s'%s%s",
                           route->method, route->path, p->key, route->query ? ", but " : "",
                           route->query ? route->query : "");
        if (evhttp_find_header(query, p->key) != p->value)
            return zl_fail(err, ZL_ERR_INVALID, "query parameter '%s' is given twice", p->key);
        if (check_value(p->key, p->value, err) < 0)
            return -1;
    }
    return 0;
}
