// SPDX-License-Identifier: Apache-2.0
#include "runtime/native/storage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "runtime/fetch.h"
#include "runtime/native/making.h"
#include "runtime/volumes.h"

/* ---- what will be mounted -------------------------------------------------------------------- */

static bool is_first_of_its_name(const struct spec_service *s, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (s->storage[i].type == SPEC_MOUNT_NAMED &&
            strcmp(s->storage[i].name, s->storage[at].name) == 0)
            return false;
    return true;
}

static int plan_one(const struct native *n, const char *id_text, struct storage *st, size_t i,
                    struct zl_error *err)
{
    const struct spec_storage *s = &st->service->storage[i];
    int rc = 0;
    if (s->type == SPEC_MOUNT_NAMED) {
        if (is_first_of_its_name(st->service, i))
            st->names[st->n_names++] = s->name;
        rc = asprintf(&st->sources[i], "%s/%s", volumes_dir(n->volumes), s->name);
    } else if (s->type == SPEC_MOUNT_ANONYMOUS) {
        rc = asprintf(&st->sources[i], "%s/containers/%s/volumes/%zu", n->root_dir, id_text, i);
    }
    if (rc >= 0)
        return 0;
    st->sources[i] = NULL;
    return zl_fail_errno(err, "mount on '%s'", s->target);
}

int storage_plan(const struct native *n, const char *id_text, const struct spec_service *service,
                 struct storage *ret, struct zl_error *err)
{
    *ret = (struct storage){ .service = service };
    if (!service->n_storage)
        return 0;
    ret->sources = calloc(service->n_storage, sizeof *ret->sources);
    ret->n_sources = service->n_storage;
    ret->names = calloc(service->n_storage, sizeof *ret->names);
    if (!ret->sources || !ret->names)
        return zl_fail_errno(err, "mount volumes");
    for (size_t i = 0; i < service->n_storage; i++)
        if (plan_one(n, id_text, ret, i, err) < 0)
            return -1;
    return 0;
}

void storage_done(struct storage *s)
{
    for (size_t i = 0; s->sources && i < s->n_sources; i++)
        free(s->sources[i]);
    free(s->sources);
    free(s->names);
    if (s->fill) {
        fetch_cancel(s->fill);
        volumes_sweep(native_of(s->filled_for->call.rt)->volumes);
    }
    *s = (struct storage){ 0 };
}

/* ---- the folders ----------------------------------------------------------------------------- */

struct folders { /* being made */
    struct native *n;
    int state_fd;
    const char *id_text;
    const struct image *image;
    struct storage_owner owner;
    json_t *fills;
};

static int add_fill(struct folders *f, const struct spec_storage *s, json_t *container,
                    struct zl_error *err)
{
    json_t *fill = container ? json_pack("{s:s, s:o}", "from", s->target, "container", container)
                             : json_pack("{s:s, s:s}", "from", s->target, "volume", s->name);
    if (!fill || json_array_append_new(f->fills, fill) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "a mount's target is not UTF-8");
    return 0;
}

static int give(const struct folders *f, int fd, struct zl_error *err)
{
    if (fchown(fd, f->owner.uid, f->owner.gid) < 0)
        return zl_fail_errno(err, "set the owner of a volume");
    return 0;
}

static int make_named(struct folders *f, const struct spec_storage *s, size_t i,
                      struct zl_error *err)
{
    (void)i;
    zl_autoclose int fd = volumes_ensure(f->n->volumes, s->name, err);
    if (fd < 0)
        return -1;
    bool half = volumes_is_half(f->n->volumes, s->name), empty = volumes_is_empty(fd);
    if (half || (empty && f->image))
        return add_fill(f, s, NULL, err);
    return empty ? give(f, fd, err) : 0;
}

static int make_anonymous(struct folders *f, const struct spec_storage *s, size_t i,
                          struct zl_error *err)
{
    char path[32];
    (void)snprintf(path, sizeof path, "volumes/%zu", i);
    zl_autoclose int fd = zl_mkdir_p(f->state_fd, path, 0755, err);
    if (fd < 0)
        return -1;
    return f->image ? add_fill(f, s, json_sprintf("%s/%s", f->id_text, path), err)
                    : give(f, fd, err);
}

/* {"layers":["3","7"],"fills":[…]} */
static char *order_text(const struct folders *f)
{
    json_t *layers = json_array();
    bool whole = layers;
    for (size_t i = 0; f->image && i < f->image->n_layers; i++)
        whole &= json_array_append_new(layers, json_sprintf("%" PRIu32, f->image->layers[i])) == 0;
    json_t *order = json_pack("{s:o, s:O}", "layers", layers, "fills", f->fills);
    char *text = order && whole ? json_dumps(order, JSON_COMPACT) : NULL;
    json_decref(order);
    return text;
}

int storage_make(const struct storage *st, struct native *n, int state_fd, const char *id_text,
                 const struct image *image, struct storage_owner owner, char **ret_order,
                 struct zl_error *err)
{
    static int (*const make[])(struct folders *, const struct spec_storage *, size_t,
                               struct zl_error *) = {
        [SPEC_MOUNT_NAMED] = make_named,
        [SPEC_MOUNT_ANONYMOUS] = make_anonymous,
        [SPEC_MOUNT_S3] = NULL, /* the highest */
    };
    struct folders f = { n, state_fd, id_text, image, owner, NULL };
    *ret_order = NULL;
    if (!st->service->n_storage)
        return 0;
    f.fills = json_array();
    int rc = f.fills ? 0 : zl_fail(err, ZL_ERR_SYSTEM, "mount volumes: out of memory");
    for (size_t i = 0; rc == 0 && i < st->service->n_storage; i++) {
        const struct spec_storage *s = &st->service->storage[i];
        if (make[s->type] && make[s->type](&f, s, i, err) < 0)
            rc = zl_wrap(err, "mount on '%s'", s->target);
    }
    if (rc == 0 && json_array_size(f.fills) && !(*ret_order = order_text(&f)))
        rc = zl_fail(err, ZL_ERR_SYSTEM, "mount volumes: out of memory");
    json_decref(f.fills);
    return rc;
}

/* ---- their content ----------------------------------------------------------------------------
 */

static void on_fill_line(void *arg, const char *line)
{
    (void)arg;
    (void)line; /* it has nothing to say but how it ended */
}

static void on_fill_end(void *arg, const struct zl_error *failed, const struct fetch_end *end)
{
    struct storage *s = arg;
    struct native_call *k = s->filled_for;
    struct zl_error err = failed ? *failed : (struct zl_error){ 0 };
    (void)end;
    s->fill = NULL;
    if (failed)
        volumes_sweep(native_of(k->call.rt)->volumes); /* it may have been killed */
    if (k->call.is_late)                               /* cancelled: core removes what there is */
        return;
    if (!failed && !k->c)
        (void)zl_fail(&err, ZL_ERR_CANCELLED, "it was removed meanwhile");
    if (err.kind != ZL_OK || s->on_full(k, &err) < 0)
        k->on_failed(k, &err);
}

int storage_fill(struct storage *s, struct native_call *k, const char *order,
                 storage_full_fn on_full, struct zl_error *err)
{
    const struct native *n = native_of(k->call.rt);
    const struct fetch_task task = {
        .base = n->rt.base,
        .root_dir = n->root_dir,
        .command = "fill",
        .order = order,
        .on_line = on_fill_line,
        .on_end = on_fill_end,
        .arg = s,
    };
    s->service = NULL; /* it and its names may be gone by the time that the volumes are full */
    s->n_names = 0;
    s->filled_for = k;
    s->on_full = on_full;
    return fetch_begin(&task, &s->fill, err);
}
