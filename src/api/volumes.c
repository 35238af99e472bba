// SPDX-License-Identifier: Apache-2.0
/* Named volumes. */
#include "api/call.h"

static void get_volumes(struct api_call *c)
{
    struct zl_error err = { 0 };
    json_t *list = NULL;
    int rc = c->server->ops->volume_list(c->server->agent, &list, &err);
    reply_result(c, rc, &err, list);
}

static void reply_volume(struct api_call *c, const char *name, int status)
{
    struct zl_error err = { 0 };
    json_t *volume = NULL;
    if (c->server->ops->volume_inspect(c->server->agent, name, &volume, &err) < 0)
        reply_error(c, &err);
    else
        reply_json(c, status, volume);
}

static void get_volume(struct api_call *c)
{
    reply_volume(c, c->params[0], 200);
}

struct creation {
    const char *name;
    const json_t *labels;
};

static int decode_labels(const struct zl_json_at *at, const struct zl_field *f, void *out,
                         struct zl_error *err)
{
    const char *key;
    json_t *value;
    (void)f;
    json_object_foreach((json_t *)(uintptr_t)at->value, key, value)
    {
        if (!json_is_string(value))
            return zl_json_fail_type(at, "an object of texts", err);
    }
    if (!json_is_object(at->value))
        return zl_json_fail_type(at, "an object of texts", err);
    *(const json_t **)out = at->value;
    return 0;
}

static const struct zl_field creation_fields[] = {
    { "name", zl_json_string, offsetof(struct creation, name), ZL_REQUIRED, NULL },
    { "labels", decode_labels, offsetof(struct creation, labels), 0, NULL },
    { 0 },
};

static void post_volume(struct api_call *c)
{
    struct zl_error err = { 0 };
    struct creation wish = { 0 };
    if (call_decode(c, creation_fields, &wish) < 0)
        return;
    if (c->server->ops->volume_create(c->server->agent, wish.name, wish.labels, &err) < 0)
        reply_error(c, &err);
    else
        reply_volume(c, wish.name, 201);
}

static void delete_volume(struct api_call *c)
{
    struct zl_error err = { 0 };
    const struct api_server *s = c->server;
    int rc = s->ops->volume_remove(s->agent, c->params[0], call_query_bool(c, "force"), &err);
    reply_result(c, rc, &err, NULL);
}

static void post_prune(struct api_call *c)
{
    struct zl_error err = { 0 };
    json_t *gone = NULL;
    const struct api_server *s = c->server;
    int rc = s->ops->volume_prune(s->agent, call_query_bool(c, "force"), call_query_bool(c, "plan"),
                                  &gone, &err);
    reply_result(c, rc, &err, gone);
}

/* clang-format off */
const struct api_route volume_routes[] = {
    { "GET",    "/api/v1/volumes",       get_volumes,   "reader",   "every named volume, and who uses it" },
    { "POST",   "/api/v1/volumes",       post_volume,   "operator", "makes an empty one, {name, labels?}: 201" },
    { "POST",   "/api/v1/volumes/prune", post_prune,    "operator", "removes those that nobody uses and that are empty; force: not empty ones too, plan: only says which", "force, plan" },
    { "GET",    "/api/v1/volumes/{v}",   get_volume,    "reader",   "one volume" },
    { "DELETE", "/api/v1/volumes/{v}",   delete_volume, "operator", "removes it, 409 while it is in use; force: although it is not empty", "force" },
    { 0 },
};
/* clang-format on */
