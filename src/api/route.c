// SPDX-License-Identifier: Apache-2.0
/* Finding the handler of a path. The tables stand in the files of their handlers. */
#include <string.h>

#include "api/call.h"

static const struct api_route *const tables[] = {
    system_routes, deployment_routes, container_routes, control_routes, fact_routes,
    job_routes,    cron_routes,       image_routes,     volume_routes,  event_routes
};

void api_each_route(bool (*fn)(void *arg, const struct api_route *r), void *arg)
{
    for (size_t t = 0; t < ZL_ARRAY_LEN(tables); t++)
        for (const struct api_route *r = tables[t]; r->method; r++)
            if (!fn(arg, r))
                return;
}

static size_t segment_len(const char *p)
{
    return strcspn(p, "/");
}

struct value { /* of a placeholder: a piece of the raw path */
    const char *at;
    size_t len;
};

/* Whether path has the form of the template; segments in braces take any one that is not empty. */
static bool matches(const char *template, const char *path, struct value values[API_PARAMS])
{
    size_t n = 0;
    for (;;) {
        size_t want = segment_len(template), have = segment_len(path);
        if (*template == '{') {
            if (have == 0 || n == API_PARAMS)
                return false;
            values[n++] = (struct value){ path, have };
        } else if (want != have || strncmp(template, path, want) != 0) {
            return false;
        }
        template += want;
        path += have;
        if (!*template || !*path)
            return !*template && !*path;
        template ++;
        path++;
    }
}

struct lookup {
    const char *method, *path;
    const struct api_route *route;
    struct value values[API_PARAMS];
    struct zl_buf *allow;
};

static bool try_route(void *arg, const struct api_route *r)
{
    struct lookup *l = arg;
    struct value values[API_PARAMS] = { { 0 } };
    if (!matches(r->path, l->path, values))
        return true;
    if (strcmp(r->method, l->method) != 0) {
        zl_buf_addf(l->allow, "%s%s", l->allow->len ? ", " : "", r->method);
        return true;
    }
    l->route = r;
    memcpy(l->values, values, sizeof values);
    return false;
}

static int take_params(struct api_call *c, const struct lookup *l, struct zl_error *err)
{
    for (size_t i = 0; i < API_PARAMS && l->values[i].at; i++) {
        zl_autofree char *raw = strndup(l->values[i].at, l->values[i].len);
        size_t len = 0;
        c->params[i] = raw ? evhttp_uridecode(raw, 0, &len) : NULL;
        if (!c->params[i])
            return zl_fail_errno(err, "decode the path");
        if (strlen(c->params[i]) != len)
            return zl_fail(err, ZL_ERR_INVALID, "the path has a NUL byte in it");
    }
    return 0;
}

int api_route_find(struct api_call *c, const char *method, const char *path, struct zl_buf *allow,
                   struct zl_error *err)
{
    struct lookup l = { .method = method, .path = path, .allow = allow };
    api_each_route(try_route, &l);
    if (!l.route && allow->len > 0)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "%s is not possible on %s, only %s", method, path,
                       allow->data);
    if (!l.route)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no route %s", path);
    c->route = l.route;
    return take_params(c, &l, err);
}
