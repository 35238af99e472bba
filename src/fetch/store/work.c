// SPDX-License-Identifier: Apache-2.0
#include "fetch/store/work.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/id.h"
#include "fetch/store/partials.h"

/* ---- the folder ------------------------------------------------------------------------------ */

#define CREW_LOCK                                                                                  \
    "crew" /* of the folder: held by the foreman, who outlives a killed run a little */

/* Waits for the hands of a dead run, which their foreman is ending. */
static int await_crew(int dir, struct zl_error *err)
{
    zl_autoclose int fd = openat(dir, CREW_LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    int rc = 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "open the lock of its processes");
    do {
        rc = flock(fd, LOCK_EX);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? zl_fail_errno(err, "wait for its processes") : 0;
}

/* Folders of dead runs: nobody held their locks, which are ours now. */
struct leftovers {
    const struct layout *store;
    struct leftover {
        int fd;
        char name[LAYOUT_PATH];
    } * v;
    size_t n;
};

static void leftovers_done(struct leftovers *l)
{
    for (size_t i = 0; i < l->n; i++)
        zl_closep(&l->v[i].fd);
    free(l->v);
}

static int take_leftover(void *arg, const struct dirent *entry, struct zl_error *err)
{
    struct leftovers *l = arg;
    const char *name = entry->d_name;
    if (!layout_is_tmp(name) || strlen(name) >= LAYOUT_PATH) /* ours are short */
        return 0;
    zl_autoclose int fd =
        openat(l->store->layers, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "open layers/%s", name);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? 0 : zl_fail_errno(err, "lock layers/%s", name);
    struct leftover *grown = reallocarray(l->v, l->n + 1, sizeof *grown);
    if (!grown)
        return zl_fail_errno(err, "clean up after layers/%s", name);
    l->v = grown;
    struct leftover *left = &l->v[l->n++];
    left->fd = zl_take_fd(&fd);
    memcpy(left->name, name, strlen(name) + 1);
    return 0;
}

/* May take its time: a layer is up to millions of files. */
static int remove_leftovers(const struct leftovers *l, struct zl_error *err)
{
    for (size_t i = 0; i < l->n; i++)
        if (await_crew(l->v[i].fd, err) < 0 ||
            zl_remove_tree(l->store->partial, l->v[i].name, err) < 0 ||
            zl_remove_tree(l->store->layers, l->v[i].name, err) < 0)
            return -1;
    return 0;
}

/* What the foreman holds as long as there may be hands: beside its own lock the one against garbage
 * collection. */
static int lock_crew(const struct work *w, struct zl_error *err)
{
    zl_autoclose int lock = openat(w->dir, CREW_LOCK, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        return zl_fail_errno(err, "lock layers/%s/" CREW_LOCK, w->name);
    const int held[] = { lock, w->fetching };
    return crew_hold(w->crew, held, ZL_ARRAY_LEN(held), err);
}

/* A new folder has no lock for a moment: made under the exclusive lock that taking a leftover
 * needs, too, and which the agent waits for: nothing that lasts is done under it. */
static int make_folder(struct work *w, struct leftovers *left, struct zl_error *err)
{
    char id[ZL_ID_LEN + 1];
    zl_autoclose int lock = layout_lock(&w->store, LAYOUT_LOCK, LOCK_EX, err);
    if (lock < 0 || zl_dir_each(w->store.layers, "the layers", take_leftover, left, err) < 0 ||
        partials_tidy(&w->store, zl_wall_ns() / 1000000000, partials_max_bytes(&w->store), err) < 0)
        return -1;
    zl_id_format(zl_id_random(), id);
    (void)snprintf(w->name, sizeof w->name, LAYOUT_TMP "%s", id);
    w->dir = zl_make_dir(w->store.layers, w->name, 0700, err);
    if (w->dir >= 0 && flock(w->dir, LOCK_EX) < 0)
        return zl_fail_errno(err, "lock layers/%s", w->name);
    if (w->dir < 0)
        return -1;
    w->blob_dir = zl_mkdir_p(w->store.partial, w->name, 0700, err);
    return w->blob_dir < 0 ? -1 : lock_crew(w, err);
}

static int open_seen(int seen_fd, struct work *w, struct zl_error *err)
{
    w->seen_blobs = zl_open_dir(seen_fd, LAYOUT_IMAGES "/" LAYOUT_BLOBS, err);
    w->seen_layers = w->seen_blobs < 0 ? -1 : zl_open_dir(seen_fd, LAYOUT_LAYERS, err);
    return w->seen_layers < 0 ? -1 : 0;
}

int work_open(int root_fd, int seen_fd, const struct crew *crew, struct work *ret,
              struct zl_error *err)
{
    ZL_CLEANUP(work_close) struct work w = WORK_CLOSED;
    w.crew = crew;
    if (layout_open(root_fd, &w.store, err) < 0 || open_seen(seen_fd, &w, err) < 0)
        return -1;
    w.fetching = layout_lock(&w.store, LAYOUT_FETCHING, LOCK_SH, err);
    ZL_CLEANUP(leftovers_done) struct leftovers left = { .store = &w.store };
    if (w.fetching < 0 || make_folder(&w, &left, err) < 0 || remove_leftovers(&left, err) < 0)
        return -1;
    *ret = w;
    w = (struct work)WORK_CLOSED;
    return 0;
}

void work_close(struct work *w)
{
    if (w->blob_dir >= 0) /* what cannot be removed now, the next run removes */
        (void)zl_remove_tree(w->store.partial, w->name, NULL);
    if (w->dir >= 0)
        (void)crew_remove(w->crew, w->store.layers, w->name, NULL, NULL);
    zl_closep(&w->blob_dir);
    zl_closep(&w->dir);
    zl_closep(&w->fetching);
    zl_closep(&w->seen_blobs);
    zl_closep(&w->seen_layers);
    free(w->blobs);
    layout_close(&w->store);
    *w = (struct work)WORK_CLOSED;
}

/* ---- the disk -------------------------------------------------------------------------------- */

enum { MIB = 1 << 20 };

int work_fail(struct work *w, struct zl_error *err)
{
    bool full = err->errnum == ENOSPC || err->errnum == EDQUOT;
    if (w->dir < 0)
        return -1; /* it did not even begin */
    uint64_t bytes = crew_measure(w->crew, w->store.layers, w->name) +
                     layout_tree_bytes(w->store.partial, w->name);
    if (full)
        bytes += partials_drop(&w->store);
    if (!full && bytes < MIB)
        return -1; /* not worth a word */
    size_t n = strlen(err->msg);
    (void)snprintf(err->msg + n, sizeof err->msg - n,
                   "%s; %llu.%llu MiB of partial data were removed",
                   full ? " (zlayer image prune --plan says what can go)" : "",
                   (unsigned long long)(bytes / MIB), (unsigned long long)(bytes % MIB * 10 / MIB));
    return full ? zl_wrap(err, "the disk is full") : -1;
}

/* ---- blobs ----------------------------------------------------------------------------------- */

struct work_blob {
    int dir;
    char name[LAYOUT_PATH], digest[DIGEST_SIZE];
};

bool work_has_blob(const struct work *w, const char *digest)
{
    return faccessat(w->store.blobs, layout_hex(digest), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int work_add_blob(struct work *w, int dir_fd, const char *name, const char *digest,
                  struct zl_error *err)
{
    struct work_blob *grown = reallocarray(w->blobs, w->n_blobs + 1, sizeof *grown);
    if (!grown)
        return zl_fail_errno(err, "store blob %s", digest);
    w->blobs = grown;
    struct work_blob *b = &w->blobs[w->n_blobs++];
    b->dir = dir_fd;
    (void)snprintf(b->name, sizeof b->name, "%s", name); /* both are ours and short */
    (void)snprintf(b->digest, sizeof b->digest, "%s", digest);
    return 0;
}

int work_put_blob(struct work *w, const void *bytes, size_t n, char digest[DIGEST_SIZE],
                  struct zl_error *err)
{
    char name[LAYOUT_PATH];
    if (digest_of(bytes, n, digest, err) < 0)
        return -1;
    if (work_has_blob(w, digest))
        return 0;
    (void)snprintf(name, sizeof name, "document-%zu", w->n_blobs);
    if (zl_write_atomic(w->blob_dir, name, bytes, n, 0600, false, err) < 0)
        return zl_wrap(err, "store blob %s", digest);
    return work_add_blob(w, w->blob_dir, name, digest, err);
}

/* ---- layers ---------------------------------------------------------------------------------- */

struct search {
    const struct layout *store;
    struct work_layer *layers;
    size_t n;
    uint32_t highest;
};

static int look_at_layer(void *arg, uint32_t layer, struct zl_error *err)
{
    struct search *s = arg;
    char name[LAYOUT_PATH];
    zl_autobuf struct zl_buf chain = ZL_BUF(256);
    if (layer > s->highest)
        s->highest = layer;
    (void)snprintf(name, sizeof name, "%u/chain", layer);
    if (zl_read_file(s->store->layers, name, &chain, err) < 0)
        return zl_wrap(err, "read layers/%s", name);
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(chain.data, s->layers[i].key) == 0)
            s->layers[i].number = layer;
    }
    return 0;
}

int work_find_layers(struct work *w, struct work_layer *layers, size_t n, struct zl_error *err)
{
    struct search s = { .store = &w->store, .layers = layers, .n = n };
    return layout_each_layer(&w->store, look_at_layer, &s, err);
}

static int write_chains(struct work *w, const struct work_layer *layers, size_t n,
                        struct zl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!layers[i].slot[0])
            continue;
        const char *key = layers[i].key;
        zl_autoclose int dir = zl_open_dir(w->dir, layers[i].slot, err);
        if (dir < 0 || zl_write_atomic(dir, "chain", key, strlen(key), 0600, false, err) < 0)
            return -1;
    }
    return 0;
}

/* Of layers with the same key the first one counts; what the store has is not replaced. */
static int rename_layers(struct work *w, struct work_layer *layers, size_t n, struct zl_error *err)
{
    struct search s = { .store = &w->store, .layers = layers, .n = n };
    if (layout_each_layer(&w->store, look_at_layer, &s, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        char name[LAYOUT_PATH];
        if (layers[i].number) /* ours, if there is one, goes with the work folder */
            continue;
        (void)snprintf(name, sizeof name, "%u", ++s.highest);
        if (renameat(w->dir, layers[i].slot, w->store.layers, name) < 0)
            return zl_fail_errno(err, "store the layer %s as layers/%s", layers[i].key, name);
        layers[i].number = s.highest;
    }
    return 0;
}

static int rename_blobs(struct work *w, struct zl_error *err)
{
    for (size_t i = 0; i < w->n_blobs; i++) {
        const struct work_blob *b = &w->blobs[i];
        if (renameat(b->dir, b->name, w->store.blobs, layout_hex(b->digest)) < 0)
            return zl_fail_errno(err, "store blob %s", b->digest);
    }
    w->n_blobs = 0;
    return 0;
}

static int sync_dir(int fd, const char *name, struct zl_error *err)
{
    return fsync(fd) < 0 ? zl_fail_errno(err, "sync the folder %s", name) : 0;
}

static int sync_disk(int fd, struct zl_error *err)
{
    return syncfs(fd) < 0 ? zl_fail_errno(err, "sync the disk") : 0;
}

/* layers/ and images/ may be mounts: one sync when they are of the same file system. */
static int sync_disks(const struct work *w, struct zl_error *err)
{
    struct stat layers, blobs;
    if (fstat(w->dir, &layers) < 0 || fstat(w->blob_dir, &blobs) < 0)
        return zl_fail_errno(err, "look at the work folder");
    if (sync_disk(w->dir, err) < 0)
        return -1;
    return layers.st_dev == blobs.st_dev ? 0 : sync_disk(w->blob_dir, err);
}

int work_commit(struct work *w, struct work_layer *layers, size_t n, struct zl_error *err)
{
    if (write_chains(w, layers, n, err) < 0 || sync_disks(w, err) < 0)
        return -1;
    zl_autoclose int lock = layout_lock(&w->store, LAYOUT_LOCK, LOCK_EX, err); /* of the numbers */
    if (lock < 0 || rename_layers(w, layers, n, err) < 0 || rename_blobs(w, err) < 0)
        return -1;
    zl_closep(&lock);
    lock = -1;
    return sync_dir(w->store.layers, LAYOUT_LAYERS, err) < 0
               ? -1
               : sync_dir(w->store.blobs, LAYOUT_BLOBS, err);
}
