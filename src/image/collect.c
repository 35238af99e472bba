// SPDX-License-Identifier: Apache-2.0
/*
 * Garbage: blobs, layers and lists of layers that no entry of the index leads to. A crash on the
 * way leaves some, which the next collection takes. Layers go by way of a temporary name, so that
 * half a layer is never taken for one.
 */
#include "image/collect.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/dir.h"
#include "base/fd.h"

struct needed {
    char (*hex)[65]; /* of blobs, sorted */
    size_t n_hex, cap_hex;
    uint32_t *layers; /* sorted */
    size_t n_layers, cap_layers;
};

static void needed_done(struct needed *n)
{
    free(n->hex);
    free(n->layers);
}

static int need_blob(struct needed *n, const char *digest, struct zl_error *err)
{
    if (n->n_hex == n->cap_hex) {
        size_t cap = n->cap_hex ? n->cap_hex * 2 : 64;
        char(*grown)[65] = reallocarray(n->hex, cap, sizeof *grown);
        if (!grown)
            return zl_fail_errno(err, "collect garbage");
        n->hex = grown;
        n->cap_hex = cap;
    }
    (void)snprintf(n->hex[n->n_hex++], sizeof *n->hex, "%s", layout_hex(digest)); /* 64 digits */
    return 0;
}

static int need_layers(struct needed *n, const uint32_t *layers, size_t count, struct zl_error *err)
{
    if (!count)
        return 0;
    if (n->n_layers + count > n->cap_layers) {
        size_t cap = (n->n_layers + count) * 2;
        uint32_t *grown = reallocarray(n->layers, cap, sizeof *grown);
        if (!grown)
            return zl_fail_errno(err, "collect garbage");
        n->layers = grown;
        n->cap_layers = cap;
    }
    memcpy(n->layers + n->n_layers, layers, count * sizeof *layers);
    n->n_layers += count;
    return 0;
}

static int need_manifest(struct image_store *s, struct needed *n, const char *digest,
                         struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    zl_autojson struct zl_json doc = { 0 };
    struct oci_manifest manifest;
    uint32_t layers[OCI_LAYERS_MAX];
    size_t n_layers;
    if (need_blob(n, digest, err) < 0 || layout_read_blob(&s->layout, digest, &text, err) < 0 ||
        oci_manifest_parse(&doc, text.data, text.len, digest, &manifest, err) < 0 ||
        need_blob(n, manifest.config.digest, err) < 0)
        return -1;
    for (size_t i = 0; i < manifest.layers.n; i++) {
        if (need_blob(n, manifest.layers.v[i].digest, err) < 0)
            return -1;
    }
    if (layout_read_layers(&s->layout, digest, layers, OCI_LAYERS_MAX, &n_layers, err) < 0)
        return -1; /* not knowing what it needs, we would rather keep everything */
    return need_layers(n, layers, n_layers, err);
}

static int compare_hex(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int compare_layer(const void *pa, const void *pb)
{
    uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
    return a < b ? -1 : a > b;
}

static bool is_needed_blob(const struct needed *n, const char *name)
{
    return n->n_hex && bsearch(name, n->hex, n->n_hex, sizeof *n->hex, compare_hex);
}

/* ---- sweeping ----------------------------------------------------------------------------------
 */

struct sweep {
    struct image_store *s;
    const struct needed *needed;
    const struct image_collecting *how;
    struct image_freed *freed;
};

/* Of the name in the folder dir_fd. */
typedef int (*sweep_fn)(struct sweep *w, int dir_fd, const char *name, struct zl_error *err);

struct folder {
    struct sweep *w;
    int fd;
    sweep_fn fn;
};

static int sweep_entry(void *arg, const struct dirent *entry, struct zl_error *err)
{
    const struct folder *f = arg;
    if (entry->d_type == DT_DIR && !layout_is_tmp(entry->d_name))
        return 0;
    return f->fn(f->w, f->fd, entry->d_name, err);
}

static int sweep_folder(struct sweep *w, int dir_fd, const char *what, sweep_fn fn,
                        struct zl_error *err)
{
    struct folder f = { w, dir_fd, fn };
    return zl_dir_each(dir_fd, what, sweep_entry, &f, err);
}

/* Named as the manifest or blob that it is, or is about. */
static int sweep_file(struct sweep *w, int dir_fd, const char *name, struct zl_error *err)
{
    if (is_needed_blob(w->needed, name) || w->how->plan || unlinkat(dir_fd, name, 0) == 0 ||
        errno == ENOENT)
        return 0;
    return zl_fail_errno(err, "remove '%s'", name);
}

static int sweep_blob(struct sweep *w, int dir_fd, const char *name, struct zl_error *err)
{
    if (is_needed_blob(w->needed, name))
        return 0;
    w->freed->bytes += layout_tree_bytes(dir_fd, name);
    w->freed->blobs++;
    return sweep_file(w, dir_fd, name, err);
}

/* Beginnings of blobs, which a later pull would have gone on with. */
static int sweep_tree(struct sweep *w, int dir_fd, const char *name, struct zl_error *err)
{
    w->freed->bytes += layout_tree_bytes(dir_fd, name);
    return w->how->plan ? 0 : zl_remove_tree(dir_fd, name, err);
}

/* What no pull would go on with: of dead runs, and layers on their way out; nobody is fetching. */
static int sweep_tmp(struct sweep *w, int dir_fd, const char *name, struct zl_error *err)
{
    return layout_is_tmp(name) ? sweep_tree(w, dir_fd, name, err) : 0;
}

/* Notes of who signed what; there is no folder where nothing has to be signed. */
static int sweep_notes(struct sweep *w, struct zl_error *err)
{
    zl_autoclose int dir =
        openat(w->s->layout.images, LAYOUT_SIGNED, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "open images/" LAYOUT_SIGNED);
    return sweep_folder(w, dir, "images/" LAYOUT_SIGNED, sweep_file, err);
}

static int sweep_layer(void *arg, uint32_t layer, struct zl_error *err)
{
    struct sweep *w = arg;
    char name[LAYOUT_PATH], tmp[LAYOUT_PATH];
    if (w->needed->n_layers &&
        bsearch(&layer, w->needed->layers, w->needed->n_layers, sizeof layer, compare_layer))
        return 0;
    if (w->how->in_use && w->how->in_use(w->how->arg, layer))
        return 0;
    (void)snprintf(name, sizeof name, "%u", layer);
    (void)snprintf(tmp, sizeof tmp, LAYOUT_TMP "gone-%u", layer);
    w->freed->bytes += layout_tree_bytes(w->s->layout.layers, name);
    w->freed->layers++;
    if (w->how->plan)
        return 0;
    if (renameat(w->s->layout.layers, name, w->s->layout.layers, tmp) < 0)
        return zl_fail_errno(err, "remove layers/%s", name);
    return zl_remove_tree(w->s->layout.layers, tmp, err);
}

/* What the entries of the index need: all of it, or nothing is removed. */
static int find_needed(struct image_store *s, const struct oci_index *index, struct needed *needed,
                       struct zl_error *err)
{
    for (size_t i = 0; i < index->manifests.n; i++) {
        if (need_manifest(s, needed, index->manifests.v[i].digest, err) < 0)
            return -1;
    }
    if (needed->n_hex)
        qsort(needed->hex, needed->n_hex, sizeof *needed->hex, compare_hex);
    if (needed->n_layers)
        qsort(needed->layers, needed->n_layers, sizeof *needed->layers, compare_layer);
    return 0;
}

int image_collect(struct image_store *s, const struct oci_index *index,
                  const struct image_collecting *how, struct image_freed *freed,
                  struct zl_error *err)
{
    ZL_CLEANUP(needed_done) struct needed needed = { 0 };
    struct zl_error busy;
    zl_autoclose int lock = layout_lock(&s->layout, LAYOUT_FETCHING, LOCK_EX | LOCK_NB, &busy);
    if (lock < 0 && busy.errnum == EWOULDBLOCK) {
        freed->postponed = true;
        return 0; /* what it stores is in no index yet; the next removal collects */
    }
    if (lock < 0)
        return zl_fail(err, busy.kind, "%s", busy.msg);
    if (find_needed(s, index, &needed, err) < 0)
        return zl_wrap(err, "collect garbage");
    const struct layout *l = &s->layout;
    struct sweep w = { s, &needed, how, freed };
    if (sweep_folder(&w, l->of, "layers/" LAYOUT_OF, sweep_file, err) < 0 ||
        sweep_notes(&w, err) < 0 || layout_each_layer(l, sweep_layer, &w, err) < 0 ||
        sweep_folder(&w, l->layers, LAYOUT_LAYERS, sweep_tmp, err) < 0 ||
        sweep_folder(&w, l->partial, "images/" LAYOUT_PARTIAL,
                     how->partial ? sweep_tree : sweep_tmp, err) < 0 ||
        sweep_folder(&w, l->blobs, "images/" LAYOUT_BLOBS, sweep_blob, err) < 0)
        return zl_wrap(err, "collect garbage");
    return 0;
}
