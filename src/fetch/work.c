// SPDX-License-Identifier: Apache-2.0
#include "fetch/work.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/id.h"

/* ---- the folder ------------------------------------------------------------------------------ */

/* Removes a folder of a run that is dead: nobody holds its lock. */
static int remove_leftover(const struct layout *store, const char *name, struct zl_error *err)
{
    zl_autoclose int fd =
        openat(store->layers, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "open layers/%s", name);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? 0 : zl_fail_errno(err, "lock layers/%s", name);
    return zl_remove_tree(store->layers, name, err);
}

static int remove_leftovers(const struct layout *store, struct zl_error *err)
{
    int fd = openat(store->layers, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        zl_closep(&fd);
        return zl_fail_errno(err, "list the layers");
    }
    int rc = 0;
    struct dirent *d;
    while (rc == 0 && (errno = 0, d = readdir(dir))) {
        if (strncmp(d->d_name, LAYOUT_TMP, strlen(LAYOUT_TMP)) == 0)
            rc = remove_leftover(store, d->d_name, err);
    }
    if (rc == 0 && errno)
        rc = zl_fail_errno(err, "list the layers");
    (void)closedir(dir); /* it was only read */
    return rc;
}

/* A new folder has no lock for a moment: made under the exclusive lock that removal needs, too. */
static int make_folder(struct work *w, struct zl_error *err)
{
    char id[ZL_ID_LEN + 1];
    zl_autoclose int lock = layout_lock(&w->store, LAYOUT_LOCK, LOCK_EX, err);
    if (lock < 0 || remove_leftovers(&w->store, err) < 0)
        return -1;
    zl_id_format(zl_id_random(), id);
    (void)snprintf(w->name, sizeof w->name, LAYOUT_TMP "%s", id);
    if (mkdirat(w->store.layers, w->name, 0700) < 0)
        return zl_fail_errno(err, "create layers/%s", w->name);
    w->dir = zl_open_dir(w->store.layers, w->name, err);
    if (w->dir >= 0 && flock(w->dir, LOCK_EX) < 0)
        return zl_fail_errno(err, "lock layers/%s", w->name);
    return w->dir < 0 ? -1 : 0;
}

int work_open(int root_fd, struct work *ret, struct zl_error *err)
{
    ZL_CLEANUP(work_close) struct work w = WORK_CLOSED;
    if (layout_open(root_fd, &w.store, err) < 0)
        return -1;
    w.fetching = layout_lock(&w.store, LAYOUT_FETCHING, LOCK_SH, err);
    if (w.fetching < 0 || make_folder(&w, err) < 0)
        return -1;
    *ret = w;
    w = (struct work)WORK_CLOSED;
    return 0;
}

void work_close(struct work *w)
{
    if (w->dir >= 0) /* what cannot be removed now, the next run removes */
        (void)zl_remove_tree(w->store.layers, w->name, NULL);
    zl_closep(&w->dir);
    zl_closep(&w->fetching);
    layout_close(&w->store);
    *w = (struct work)WORK_CLOSED;
}

/* ---- blobs ----------------------------------------------------------------------------------- */

bool work_has_blob(const struct work *w, const char *digest)
{
    return faccessat(w->store.blobs, layout_hex(digest), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int sync_dir(int fd, const char *name, struct zl_error *err)
{
    return fsync(fd) < 0 ? zl_fail_errno(err, "sync the folder %s", name) : 0;
}

int work_put_blob(struct work *w, const void *bytes, size_t n, char digest[DIGEST_SIZE],
                  struct zl_error *err)
{
    if (digest_of(bytes, n, digest, err) < 0)
        return -1;
    if (work_has_blob(w, digest))
        return 0;
    if (zl_write_atomic(w->store.blobs, layout_hex(digest), bytes, n, 0600, true, err) < 0)
        return zl_wrap(err, "store blob %s", digest);
    return 0;
}

int work_publish_blob(struct work *w, const char *tmp, const char *digest, struct zl_error *err)
{
    if (renameat(w->dir, tmp, w->store.blobs, layout_hex(digest)) < 0)
        return zl_fail_errno(err, "store blob %s", digest);
    return sync_dir(w->store.blobs, LAYOUT_BLOBS, err);
}

/* ---- layers ---------------------------------------------------------------------------------- */

struct search {
    const struct layout *store;
    const char *chain;
    uint32_t found, highest;
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
    if (strcmp(chain.data, s->chain) == 0)
        s->found = layer;
    return 0;
}

int work_find_layer(struct work *w, const char *chain, uint32_t *ret, struct zl_error *err)
{
    struct search s = { .store = &w->store, .chain = chain };
    if (layout_each_layer(&w->store, look_at_layer, &s, err) < 0)
        return -1;
    *ret = s.found;
    return 0;
}

int work_publish_layer(struct work *w, const char *tmp, const char *chain, uint32_t *ret,
                       struct zl_error *err)
{
    struct search s = { .store = &w->store, .chain = chain };
    char name[LAYOUT_PATH];
    zl_autoclose int dir = zl_open_dir(w->dir, tmp, err);
    if (dir < 0 || zl_write_atomic(dir, "chain", chain, strlen(chain), 0600, false, err) < 0)
        return -1;
    if (syncfs(dir) < 0)
        return zl_fail_errno(err, "sync the layer %s", chain);

    zl_autoclose int lock = layout_lock(&w->store, LAYOUT_LOCK, LOCK_EX, err); /* of the numbers */
    if (lock < 0 || layout_each_layer(&w->store, look_at_layer, &s, err) < 0)
        return -1;
    if (s.found) { /* another run was quicker; ours goes with the work folder */
        *ret = s.found;
        return 0;
    }
    (void)snprintf(name, sizeof name, "%u", s.highest + 1);
    if (renameat(w->dir, tmp, w->store.layers, name) < 0)
        return zl_fail_errno(err, "store the layer %s as layers/%s", chain, name);
    *ret = s.highest + 1;
    return sync_dir(w->store.layers, LAYOUT_LAYERS, err);
}
