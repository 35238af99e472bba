// SPDX-License-Identifier: Apache-2.0
#include "agent/volumes.h"

#include <string.h>

#include "runtime/volumes.h"

/* ---- who uses them --------------------------------------------------------------------------- */

/* {"db": [{"container": "web-rep-1", "id": "…"}, …]} */
struct uses {
    json_t *of;
    bool failed;
};

static void add_use(struct uses *u, const char *volume, json_t *user)
{
    json_t *users = json_object_get(u->of, volume);
    if (!users && json_object_set_new(u->of, volume, json_array()) == 0)
        users = json_object_get(u->of, volume);
    u->failed |= json_array_append_new(users, user) < 0;
}

static void add_container(void *arg, const struct rt_volume_use *use)
{
    add_use(arg, use->volume, json_pack("{s:s, s:s}", "container", use->name, "id", use->id));
}

static bool add_service(void *arg, const struct view_service *v)
{
    for (size_t i = 0; i < v->service->n_storage; i++) {
        const struct spec_storage *s = &v->service->storage[i];
        if (s->type == SPEC_MOUNT_NAMED)
            add_use(
                arg, s->name,
                json_pack("{s:s, s:s}", "deployment", v->deployment, "service", v->service->name));
    }
    return true;
}

/* The object, the caller's; NULL: no memory. */
static json_t *find_uses(const struct agent *a)
{
    struct uses u = { json_object(), false };
    if (u.of && a->rt->ops->each_volume)
        a->rt->ops->each_volume(a->rt, add_container, &u);
    if (u.of)
        core_each_service(a->core, NULL, add_service, &u);
    if (!u.failed)
        return u.of;
    json_decref(u.of);
    return NULL;
}

static int no_memory(struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_SYSTEM, "look at the volumes: out of memory");
}

static int put_users(json_t *volume, const json_t *uses)
{
    json_t *users = json_object_get(uses, json_string_value(json_object_get(volume, "name")));
    return json_object_set_new(volume, "used_by", users ? json_incref(users) : json_array());
}

/* ---- shown ---------------------------------------------------------------------------------- */

int volume_list(struct agent *a, json_t **ret, struct zl_error *err)
{
    json_t *list = NULL, *uses = find_uses(a), *volume;
    size_t i;
    int rc = uses ? volumes_list(a->volumes, &list, err) : no_memory(err);
    json_array_foreach(list, i, volume)
    {
        if (rc == 0 && put_users(volume, uses) < 0)
            rc = no_memory(err);
    }
    json_decref(uses);
    if (rc == 0)
        *ret = list;
    else
        json_decref(list);
    return rc;
}

int volume_inspect(struct agent *a, const char *name, json_t **ret, struct zl_error *err)
{
    json_t *volume = NULL, *uses = find_uses(a);
    int rc = uses ? volumes_describe(a->volumes, name, &volume, err) : no_memory(err);
    if (rc == 0 && put_users(volume, uses) < 0)
        rc = no_memory(err);
    json_decref(uses);
    if (rc == 0)
        *ret = volume;
    else
        json_decref(volume);
    return rc;
}

int volume_create(struct agent *a, const char *name, const json_t *labels, struct zl_error *err)
{
    return volumes_create(a->volumes, name, labels, err);
}

/* ---- removed -------------------------------------------------------------------------------- */

/* "container web-rep-1, service shop/db" */
static void name_users(const json_t *users, struct zl_buf *out)
{
    size_t i;
    const json_t *user;
    json_array_foreach(users, i, user)
    {
        const char *container = json_string_value(json_object_get(user, "container"));
        zl_buf_adds(out, i ? ", " : "");
        if (container)
            zl_buf_addf(out, "container %s", container);
        else
            zl_buf_addf(out, "service %s/%s",
                        json_string_value(json_object_get(user, "deployment")),
                        json_string_value(json_object_get(user, "service")));
    }
}

static int refuse_used(const char *name, const json_t *users, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(600); /* an error has no room for more */
    if (json_array_size(users) == 0)
        return 0;
    name_users(users, &text);
    return zl_fail(err, ZL_ERR_CONFLICT, "the volume '%s' is in use: %s", name,
                   text.failed ? "by many" : text.data);
}

int volume_remove(struct agent *a, const char *name, bool force, struct zl_error *err)
{
    json_t *uses = find_uses(a);
    int rc = uses ? refuse_used(name, json_object_get(uses, name), err) : no_memory(err);
    if (rc == 0)
        rc = volumes_remove(a->volumes, name, force, err);
    json_decref(uses);
    return rc;
}

/* Whether it may go; -1 says why not. */
static int check_unused(const json_t *volume, const char *name, bool force, struct zl_error *why)
{
    if (refuse_used(name, json_object_get(volume, "used_by"), why) < 0)
        return -1;
    if (force || json_is_true(json_object_get(volume, "empty")))
        return 0;
    return zl_fail(why, ZL_ERR_CONFLICT, "it is not empty: --force removes it with what is in it");
}

int volume_prune(struct agent *a, bool force, bool plan, json_t **ret, struct zl_error *err)
{
    json_t *list = NULL, *gone = json_array(), *kept = json_array(), *volume;
    size_t i;
    int rc = gone && kept ? volume_list(a, &list, err) : no_memory(err);
    json_array_foreach(list, i, volume)
    {
        const char *name = json_string_value(json_object_get(volume, "name"));
        struct zl_error why = { 0 };
        bool goes = check_unused(volume, name, force, &why) == 0 &&
                    (plan || volumes_remove(a->volumes, name, force, &why) == 0);
        if (rc == 0 && (goes ? json_array_append_new(gone, json_string(name))
                             : json_array_append_new(kept, json_pack("{s:s, s:s}", "name", name,
                                                                     "why", why.msg))) < 0)
            rc = no_memory(err);
    }
    json_decref(list);
    json_t *answer = json_pack("{s:b, s:o, s:o}", "plan", plan, "volumes", gone, "kept", kept);
    if (rc == 0 && !answer)
        rc = no_memory(err);
    if (rc == 0)
        *ret = answer;
    else
        json_decref(answer);
    return rc;
}
