// SPDX-License-Identifier: Apache-2.0
#include "fetch/layer/layer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "fetch/layer/compare.h"
#include "fetch/room.h"
#include "fetch/unpack/unpack.h"

struct layer *layers_new(size_t n, struct zl_error *err)
{
    struct layer *l = calloc(n, sizeof *l);
    if (!l)
        (void)zl_fail_errno(err, "read an image");
    for (size_t i = 0; l && i < n; i++)
        l[i].root = l[i].notes = -1;
    return l;
}

void layers_free(struct layer *l, size_t n)
{
    for (size_t i = 0; l && i < n; i++) {
        zl_closep(&l[i].notes);
        zl_closep(&l[i].root);
    }
    free(l);
}

/* ---- which layers those are ------------------------------------------------------------------ */

/* chain(1) = id(1); chain(n) = sha256(chain(n-1) " " id(n)): image-spec, config.md, of diff ids. */
static int chain_next(const char *before, const char *id, char chain[DIGEST_SIZE],
                      struct zl_error *err)
{
    char text[2 * DIGEST_SIZE];
    if (!before) {
        (void)snprintf(chain, DIGEST_SIZE, "%s", id);
        return 0;
    }
    int len = snprintf(text, sizeof text, "%s %s", before, id);
    return digest_of(text, (size_t)len, chain, err);
}

/*
 * What a layer is known by in the store: its chain id, and the same of the blobs that it was made
 * of. A diff id is what the hand said, which the layer may have taken over; a blob's digest was
 * found before it was looked at. So who lies about one makes its own images wrong, and no others.
 */
static int key_all(struct layer *l, size_t n, struct zl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *blob = l[i].digest[0] ? l[i].digest : l[i].diff_id; /* as it is unpacked */
        const struct layer *before = i ? &l[i - 1] : NULL;
        if (chain_next(before ? before->chain : NULL, l[i].diff_id, l[i].chain, err) < 0 ||
            chain_next(before ? before->blobs : NULL, blob, l[i].blobs, err) < 0)
            return -1;
        (void)snprintf(l[i].key, sizeof l[i].key, "%s %s", l[i].chain, l[i].blobs);
    }
    return 0;
}

static struct work_layer *as_work_layers(const struct layer *l, size_t n, struct zl_error *err)
{
    struct work_layer *x = calloc(n, sizeof *x);
    if (!x)
        (void)zl_fail_errno(err, "store an image");
    for (size_t i = 0; x && i < n; i++) {
        x[i].key = l[i].key;
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
    if (key_all(l, n, err) < 0)
        return -1;
    zl_autofree struct work_layer *x = as_work_layers(l, n, err);
    if (!x || work_find_layers(w, x, n, err) < 0)
        return -1;
    take_numbers(l, x, n);
    return 0;
}

/* ---- unpacking one --------------------------------------------------------------------------- */

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

/* What passes on its way to the hand. */
struct pump {
    const struct input *in;
    struct digest *sum; /* NULL: in->is_summed */
    uint64_t size, looked;
};

/* One piece: how long it is, 0 at the end. */
static ssize_t take_piece(struct pump *p, const struct work *w, const void **bytes,
                          struct zl_error *err)
{
    ssize_t n = p->in->read(p->in->arg, bytes, err);
    if (n <= 0)
        return n;
    p->size += (uint64_t)n;
    if (p->size > UNPACK_MAX_STREAM)
        return zl_fail(err, ZL_ERR_INVALID, "it is larger than %llu GiB",
                       (unsigned long long)(UNPACK_MAX_STREAM >> 30));
    if (p->size - p->looked >= ROOM_STEP) {
        p->looked = p->size;
        if (room_left(w->dir, err) < 0)
            return -1;
    }
    return p->sum && digest_add(p->sum, *bytes, (size_t)n, err) < 0 ? -1 : n;
}

/* 0 also when the hand does not want more: it says why. */
static int pump(struct pump *p, const struct work *w, struct crew_job *job, struct zl_error *err)
{
    const void *bytes;
    ssize_t n;
    while ((n = take_piece(p, w, &bytes, err)) > 0) {
        int rc = crew_feed(job, bytes, (size_t)n, err);
        if (rc <= 0)
            return rc;
    }
    return (int)n;
}

/* A file without a name: what the hand notes is bounded by the disk, and goes with the fd. */
static int open_notes(const struct work *w, size_t i, struct zl_error *err)
{
    char name[LAYOUT_PATH];
    (void)snprintf(name, sizeof name, "notes-%zu", i);
    zl_autoclose int fd = openat(w->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || unlinkat(w->dir, name, 0) < 0)
        return zl_fail_errno(err, "create a file for notes");
    return zl_take_fd(&fd);
}

static int take_result(struct layer *l, struct pump *p, const struct unpacked *found,
                       struct zl_error *err)
{
    char digest[DIGEST_SIZE];
    memcpy(digest, l->digest, sizeof digest);
    if (p->sum && digest_end(p->sum, digest, err) < 0)
        return -1;
    l->size = p->size;
    l->diff_size = found->diff_size;
    l->media_type = media_type(found->packing);
    if (!found->unsettled) {
        zl_closep(&l->notes);
        l->notes = -1;
    }
    if (settle_digest(digest, l->digest, "digest", err) < 0)
        return -1;
    return settle_digest(found->diff_id[0] ? found->diff_id : digest, l->diff_id, "diff id", err);
}

static int unpack_by_hand(struct work *w, const struct input *in, struct layer *l,
                          struct zl_error *err)
{
    struct crew_job job;
    struct unpacked found = { 0 };
    struct zl_error why = { 0 };
    autodigest struct digest *sum = in->is_summed ? NULL : digest_new(err);
    struct pump p = { .in = in, .sum = sum };
    if ((!sum && !in->is_summed) || crew_unpack(w->crew, l->root, l->notes, &job, err) < 0)
        return -1;
    int sent = pump(&p, w, &job, err);
    int rc = crew_finish(&job, &found, &why);
    if (sent < 0) /* and what the hand says about its end is no news */
        return -1;
    if (rc < 0) {
        *err = why;
        return -1;
    }
    return take_result(l, &p, &found, err);
}

int layer_unpack(struct work *w, size_t i, const struct input *in, struct layer *l,
                 struct zl_error *err)
{
    char path[LAYOUT_PATH];
    (void)snprintf(l->slot, sizeof l->slot, "layer-%zu", i);
    (void)snprintf(path, sizeof path, "%s/fs", l->slot);
    /* What an image before this one left there: a layer that the store had. */
    if (crew_remove(w->crew, w->dir, l->slot, NULL, err) < 0)
        return -1;
    l->root = zl_mkdir_p(w->dir, path, 0755, err);
    l->notes = l->root < 0 ? -1 : open_notes(w, i, err);
    return l->notes < 0 ? -1 : unpack_by_hand(w, in, l, err);
}

int layer_reset(struct work *w, struct layer *l, struct zl_error *err)
{
    zl_closep(&l->notes);
    zl_closep(&l->root);
    l->notes = l->root = -1;
    if (l->slot[0] && crew_remove(w->crew, w->dir, l->slot, NULL, err) < 0)
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
    l->root = openat(w->seen_layers, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return l->root < 0 ? zl_fail_errno(err, "open layers/%s", name) : 0;
}

static int settle_one(struct work *w, const struct layer *l, const int *below, size_t n_below,
                      struct zl_error *err)
{
    return l->notes < 0 ? 0 : crew_settle(w->crew, l->root, l->notes, below, n_below, err);
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
        if (settle_one(w, &l[i], roots, i, err) < 0)
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
    if (strcmp(chain.data, l->key) != 0)
        return zl_fail(err, ZL_ERR_INVALID, "it holds the layer %s", chain.data);
    return compare_trees(stored, l->root, err);
}

int layers_compare(struct work *w, struct layer *l, size_t n, const uint32_t *numbers,
                   struct zl_error *err)
{
    ZL_CLEANUP(roots_done) struct roots stored = { .n = 0 };
    if (key_all(l, n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        char name[LAYOUT_PATH];
        if (settle_one(w, &l[i], stored.fds, i, err) < 0)
            return zl_wrap(err, "layer %zu of %zu", i + 1, n);
        (void)snprintf(name, sizeof name, "%u/fs", numbers[i]);
        stored.fds[i] =
            openat(w->seen_layers, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
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
    if (key_all(l, n, err) < 0 || settle(w, l, n, err) < 0)
        return -1;
    zl_autofree struct work_layer *x = as_work_layers(l, n, err);
    if (!x || work_commit(w, x, n, err) < 0)
        return -1;
    take_numbers(l, x, n);
    return 0;
}
