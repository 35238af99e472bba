// SPDX-License-Identifier: Apache-2.0
#include "fetch/layer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "fetch/compare.h"
#include "fetch/decompress.h"
#include "fetch/unpack.h"

struct layer *layers_new(size_t n, struct zl_error *err)
{
    struct layer *l = calloc(n, sizeof *l);
    if (!l)
        (void)zl_fail_errno(err, "read an image");
    for (size_t i = 0; l && i < n; i++)
        l[i].root = -1;
    return l;
}

void layers_free(struct layer *l, size_t n)
{
    for (size_t i = 0; l && i < n; i++) {
        unpack_free(l[i].unpack);
        zl_closep(&l[i].root);
    }
    free(l);
}

/* ---- which layers those are ------------------------------------------------------------------ */

/* chain(1) = diff(1); chain(n) = sha256(chain(n-1) " " diff(n)): image-spec, config.md. */
static int chain_all(struct layer *l, size_t n, struct zl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        char text[2 * DIGEST_SIZE];
        if (i == 0) {
            memcpy(l[0].chain, l[0].diff_id, DIGEST_SIZE);
            continue;
        }
        int len = snprintf(text, sizeof text, "%s %s", l[i - 1].chain, l[i].diff_id);
        if (digest_of(text, (size_t)len, l[i].chain, err) < 0)
            return -1;
    }
    return 0;
}

static struct work_layer *as_work_layers(const struct layer *l, size_t n, struct zl_error *err)
{
    struct work_layer *x = calloc(n, sizeof *x);
    if (!x)
        (void)zl_fail_errno(err, "store an image");
    for (size_t i = 0; x && i < n; i++) {
        x[i].chain = l[i].chain;
        x[i].number = l[i].number;
        memcpy(x[i].slot, l[i].slot, sizeof x[i].slot);
    }
    return x;
}

static void take_numbers(struct layer *l, const struct work_layer *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        l[i].number = x[i].number;
}

int layers_find(struct work *w, struct layer *l, size_t n, struct zl_error *err)
{
    if (chain_all(l, n, err) < 0)
        return -1;
    zl_autofree struct work_layer *x = as_work_layers(l, n, err);
    if (!x || work_find_layers(w, x, n, err) < 0)
        return -1;
    take_numbers(l, x, n);
    return 0;
}

/* ---- unpacking one --------------------------------------------------------------------------- */

/* An input that counts and sums what passes. */
struct summed {
    const struct input *in;
    struct digest *sum;
    const struct work *work;
    uint64_t size, max;
    uint64_t looked;                       /* at the disk, when so much had passed */
    const struct decompress *unless_plain; /* not summed when that unpacks nothing */
};

static ssize_t summed_read(void *arg, const void **bytes, struct zl_error *err)
{
    struct summed *s = arg;
    ssize_t n = s->in->read(s->in->arg, bytes, err);
    if (n <= 0)
        return n;
    s->size += (uint64_t)n;
    if (s->size > s->max)
        return zl_fail(err, ZL_ERR_INVALID, "it is larger than %llu GiB",
                       (unsigned long long)(s->max >> 30));
    if (s->size - s->looked >= WORK_ROOM_STEP) {
        s->looked = s->size;
        if (work_room(s->work, err) < 0)
            return -1;
    }
    if (s->unless_plain && decompress_packing(s->unless_plain) == PACKED_NOT)
        return n;
    return digest_add(s->sum, *bytes, (size_t)n, err) < 0 ? -1 : n;
}

/* What follows the archive's end belongs to both sums. */
static int drain(const struct input *in, struct zl_error *err)
{
    const void *bytes;
    ssize_t n;
    do {
        n = in->read(in->arg, &bytes, err);
    } while (n > 0);
    return (int)n;
}

/* Compares what came out with what was promised, or fills it in. */
static int settle_digest(const char found[DIGEST_SIZE], char promised[DIGEST_SIZE],
                         const char *what, struct zl_error *err)
{
    if (promised[0] && strcmp(promised, found) != 0)
        return zl_fail(err, ZL_ERR_INVALID, "the %s of the layer is %s, not %s", what, found,
                       promised);
    memcpy(promised, found, DIGEST_SIZE);
    return 0;
}

static const char *media_type(enum packing packing)
{
    static const char *const types[] = {
        [PACKED_NOT] = OCI_LAYER_TYPE,
        [PACKED_GZIP] = OCI_LAYER_TYPE "+gzip",
        [PACKED_ZSTD] = OCI_LAYER_TYPE "+zstd",
    };
    return types[packing];
}

struct pipeline {
    struct summed raw, diff;
    struct decompress *decompress;
    struct tar *tar;
    struct input inputs[3]; /* behind raw, decompress, diff */
};

static void pipeline_done(struct pipeline *p)
{
    tar_free(p->tar);
    decompress_free(p->decompress);
    digest_free(p->raw.sum);
    digest_free(p->diff.sum);
}

static int pipeline_init(struct pipeline *p, const struct work *w, const struct input *in,
                         struct zl_error *err)
{
    p->raw =
        (struct summed){ .in = in, .sum = digest_new(err), .work = w, .max = UNPACK_MAX_STREAM };
    p->inputs[0] = (struct input){ summed_read, NULL, &p->raw };
    if (!p->raw.sum || decompress_new(&p->inputs[0], &p->decompress, err) < 0)
        return -1;
    p->inputs[1] = decompress_input(p->decompress);
    p->diff = (struct summed){ .in = &p->inputs[1],
                               .sum = digest_new(err),
                               .work = w,
                               .max = UNPACK_MAX_STREAM,
                               .unless_plain = p->decompress };
    p->inputs[2] = (struct input){ summed_read, NULL, &p->diff };
    return p->diff.sum ? tar_new(&p->inputs[2], &p->tar, err) : -1;
}

static int pipeline_run(struct pipeline *p, struct layer *l, struct zl_error *err)
{
    char digest[DIGEST_SIZE], diff_id[DIGEST_SIZE];
    if (unpack_tar(p->tar, l->root, &l->unpack, err) < 0 || drain(&p->inputs[2], err) < 0 ||
        digest_end(p->raw.sum, digest, err) < 0)
        return -1;
    enum packing packing = decompress_packing(p->decompress);
    if (packing == PACKED_NOT)
        memcpy(diff_id, digest, sizeof diff_id);
    else if (digest_end(p->diff.sum, diff_id, err) < 0)
        return -1;
    l->size = p->raw.size;
    l->diff_size = p->diff.size;
    l->media_type = media_type(packing);
    if (settle_digest(digest, l->digest, "digest", err) < 0)
        return -1;
    return settle_digest(diff_id, l->diff_id, "diff id", err);
}

int layer_unpack(struct work *w, size_t i, const struct input *in, struct layer *l,
                 struct zl_error *err)
{
    char path[LAYOUT_PATH];
    (void)snprintf(l->slot, sizeof l->slot, "layer-%zu", i);
    (void)snprintf(path, sizeof path, "%s/fs", l->slot);
    /* What an image before this one left there: a layer that the store had. */
    if (zl_remove_tree(w->dir, l->slot, err) < 0)
        return -1;
    l->root = zl_mkdir_p(w->dir, path, 0755, err);
    if (l->root < 0)
        return -1;
    ZL_CLEANUP(pipeline_done) struct pipeline p = { .tar = NULL };
    return pipeline_init(&p, w, in, err) < 0 ? -1 : pipeline_run(&p, l, err);
}

int layer_reset(struct work *w, struct layer *l, struct zl_error *err)
{
    unpack_free(l->unpack);
    l->unpack = NULL;
    zl_closep(&l->root);
    l->root = -1;
    if (l->slot[0] && zl_remove_tree(w->dir, l->slot, err) < 0)
        return -1;
    l->slot[0] = '\0';
    return 0;
}

/* ---- the layers below ------------------------------------------------------------------------ */

struct roots {
    int fds[OCI_LAYERS_MAX];
    size_t n;
};

static void roots_done(struct roots *r)
{
    for (size_t i = 0; i < r->n; i++)
        zl_closep(&r->fds[i]);
}

static int open_stored(struct work *w, struct layer *l, struct zl_error *err)
{
    char name[LAYOUT_PATH];
    if (l->root >= 0)
        return 0;
    (void)snprintf(name, sizeof name, "%u/fs", l->number);
    l->root = openat(w->store.layers, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return l->root < 0 ? zl_fail_errno(err, "open layers/%s", name) : 0;
}

/* In their order: a layer may ask what the ones below decided. */
static int settle(struct work *w, struct layer *l, size_t n, struct zl_error *err)
{
    zl_autofree int *roots = calloc(n, sizeof *roots);
    if (!roots)
        return zl_fail_errno(err, "store an image");
    for (size_t i = 0; i < n; i++) {
        if (open_stored(w, &l[i], err) < 0)
            return -1;
        roots[i] = l[i].root;
        if (l[i].unpack && unpack_settle(l[i].unpack, roots, i, err) < 0)
            return zl_wrap(err, "layer %zu of %zu", i + 1, n);
    }
    return 0;
}

/* ---- against the store ----------------------------------------------------------------------- */

static int compare_one(struct work *w, struct layer *l, uint32_t number, int stored,
                       struct zl_error *err)
{
    char name[LAYOUT_PATH];
    zl_autobuf struct zl_buf chain = ZL_BUF(256);
    (void)snprintf(name, sizeof name, "%u/chain", number);
    if (zl_read_file(w->store.layers, name, &chain, err) < 0)
        return -1;
    if (strcmp(chain.data, l->chain) != 0)
        return zl_fail(err, ZL_ERR_INVALID, "it holds the layer %s", chain.data);
    return compare_trees(stored, l->root, err);
}

int layers_compare(struct work *w, struct layer *l, size_t n, const uint32_t *numbers,
                   struct zl_error *err)
{
    ZL_CLEANUP(roots_done) struct roots stored = { .n = 0 };
    if (chain_all(l, n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        char name[LAYOUT_PATH];
        if (unpack_settle(l[i].unpack, stored.fds, i, err) < 0)
            return zl_wrap(err, "layer %zu of %zu", i + 1, n);
        (void)snprintf(name, sizeof name, "%u/fs", numbers[i]);
        stored.fds[i] =
            openat(w->store.layers, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (stored.fds[i] < 0)
            return zl_fail_errno(err, "open layers/%s", name);
        stored.n = i + 1;
        if (compare_one(w, &l[i], numbers[i], stored.fds[i], err) < 0)
            return zl_wrap(err, "layers/%u, layer %zu of %zu", numbers[i], i + 1, n);
    }
    return 0;
}

/* ---- into the store ---------------------------------------------------------------------------
 */

int layers_commit(struct work *w, struct layer *l, size_t n, struct zl_error *err)
{
    if (chain_all(l, n, err) < 0 || settle(w, l, n, err) < 0)
        return -1;
    zl_autofree struct work_layer *x = as_work_layers(l, n, err);
    if (!x || work_commit(w, x, n, err) < 0)
        return -1;
    take_numbers(l, x, n);
    return 0;
}
