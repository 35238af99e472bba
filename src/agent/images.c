// SPDX-License-Identifier: Apache-2.0
/*
 * What may go from the image store: not what a container was made from, and with prune not what
 * core knows of (services, their earlier versions, jobs, standalone containers) either.
 */
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/images.h"
#include "base/imageref.h"
#include "core/view.h"

/* int (*in_use) of image/store.h */
static int layer_in_use(void *arg, uint32_t layer)
{
    struct agent *a = arg;
    return a->rt->ops->uses_layer && a->rt->ops->uses_layer(a->rt, layer);
}

static bool uses_image(struct runtime *rt, const char *digest)
{
    return rt->ops->uses_image && rt->ops->uses_image(rt, digest);
}

int images_remove(struct agent *a, const char *reference, bool force, struct zl_error *err)
{
    autoimage struct image *image = NULL;
    if (image_find(a->images, reference, &image, err) == 0) {
        if (!force && uses_image(a->rt, image->digest))
            return zl_fail(err, ZL_ERR_CONFLICT,
                           "image '%s' is used by a container: remove that first, or use --force",
                           reference);
    } else if (err->kind != ZL_ERR_INVALID) { /* one with missing layers may be removed */
        return -1;
    }
    return image_remove(a->images, reference, layer_in_use, a, err);
}

int images_inspect(struct agent *a, const char *reference, json_t **ret, struct zl_error *err)
{
    return image_inspect(a->images, reference, ret, err);
}

int images_tag(struct agent *a, const char *reference, const char *name, struct zl_error *err)
{
    autoimage struct image *image = NULL;
    if (image_find(a->images, reference, &image, err) < 0)
        return -1;
    return image_tag(a->images, name, image->digest, NULL, err);
}

/* ---- prune ---------------------------------------------------------------------------------- */

struct prune {
    struct agent *a;
    char **needed; /* normalized names, and digests */
    size_t n, cap;
    bool failed; /* there was no memory for one: nothing may be removed */
    json_t *gone;
};

static void prune_done(struct prune *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->needed[i]);
    free(p->needed);
}

/* view_image_fn */
static bool add_needed(void *arg, const char *image)
{
    struct prune *p = arg;
    char name[ZL_IMAGEREF_MAX];
    const char *why;
    if (!image)
        return true; /* none is no image */
    if (zl_digest_valid(image))
        (void)snprintf(name, sizeof name, "%s", image); /* checked: fits */
    else if (zl_imageref_normalize(image, name, &why) < 0)
        return true; /* a spec that was accepted has none of these */
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 32;
        char **grown = reallocarray(p->needed, cap, sizeof *grown);
        p->failed |= !grown;
        if (!grown)
            return false;
        p->needed = grown;
        p->cap = cap;
    }
    p->needed[p->n] = strdup(name);
    p->failed |= !p->needed[p->n];
    p->n += !p->failed;
    return !p->failed;
}

/* "x:1" is needed by "x:1", by "x:1@sha256:…" with its digest, and by the digest alone. */
static bool is_named(const struct prune *p, const char *name, const char *digest)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *at = strchr(p->needed[i], '@');
        if ((name && strcmp(p->needed[i], name) == 0) ||
            strcmp(at ? at + 1 : p->needed[i], digest) == 0)
            return true;
    }
    return false;
}

static bool is_needed(void *arg, const char *name, const char *digest)
{
    const struct prune *p = arg;
    return is_named(p, name, digest) || uses_image(p->a->rt, digest);
}

static void note_gone(void *arg, const char *name, const char *digest)
{
    struct prune *p = arg;
    (void)json_array_append_new(/* the list is for people: a line less stops nothing */
                                p->gone,
                                json_pack("{s:s?, s:s}", "reference", name, "digest", digest));
}

static int prune_layer_in_use(void *arg, uint32_t layer)
{
    const struct prune *p = arg;
    return layer_in_use(p->a, layer);
}

int images_prune(struct agent *a, bool all, bool plan, json_t **ret, struct zl_error *err)
{
    ZL_CLEANUP(prune_done) struct prune p = { .a = a };
    struct image_freed freed;
    const struct image_prune how = { .all = all,
                                     .plan = plan,
                                     .needed = is_needed,
                                     .in_use = prune_layer_in_use,
                                     .gone = note_gone,
                                     .arg = &p };
    core_each_image(a->core, add_needed, &p);
    p.gone = json_array();
    if (p.failed || !p.gone) {
        json_decref(p.gone);
        return zl_fail(err, ZL_ERR_SYSTEM, "prune images: out of memory");
    }
    if (image_prune(a->images, &how, &freed, err) < 0) {
        json_decref(p.gone);
        return -1;
    }
    *ret =
        json_pack("{s:b, s:o, s:i, s:i, s:i, s:I, s:b}", "plan", plan, "images", p.gone, "n_images",
                  (int)freed.images, "layers", (int)freed.layers, "blobs", (int)freed.blobs,
                  "bytes", (json_int_t)freed.bytes, "postponed", freed.postponed);
    return *ret ? 0 : zl_fail(err, ZL_ERR_SYSTEM, "prune images: out of memory");
}
