// SPDX-License-Identifier: Apache-2.0
#include "fetch/files/changes.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/dir.h"
#include "fetch/tar/tree.h"
#include "image/overlay.h"

enum { PATH_BYTES = 64 * 1024, DEPTH_MAX = 250 };

struct walk {
    const int *below;
    size_t n_below;
    const char *const *mounts;
    size_t n_mounts;
    change_fn fn;
    void *arg;
    struct zl_buf path;           /* "/etc/passwd" */
    size_t untold[DEPTH_MAX + 1]; /* lengths of path: folders told only when something in them is */
    size_t n_untold;
};

static bool is_mount(const struct walk *w)
{
    for (size_t i = 0; i < w->n_mounts; i++)
        if (strcmp(w->mounts[i], w->path.data) == 0)
            return true;
    return false;
}

static bool holds_mount(const struct walk *w)
{
    for (size_t i = 0; i < w->n_mounts; i++)
        if (strncmp(w->mounts[i], w->path.data, w->path.len) == 0 &&
            w->mounts[i][w->path.len] == '/')
            return true;
    return false;
}

static int tell(struct walk *w, enum change kind, struct zl_error *err)
{
    for (size_t i = 0; i < w->n_untold; i++) {
        char cut = w->path.data[w->untold[i]];
        w->path.data[w->untold[i]] = '\0';
        int rc = w->fn(w->arg, CHANGE_MODIFIED, w->path.data, err);
        w->path.data[w->untold[i]] = cut;
        if (rc < 0)
            return -1;
    }
    w->n_untold = 0;
    return w->fn(w->arg, kind, w->path.data, err);
}

/* Appends "/name" and gives the length to return to. */
static size_t descend(struct walk *w, const char *name)
{
    size_t n = w->path.len;
    zl_buf_addc(&w->path, '/');
    zl_buf_adds(&w->path, name);
    return n;
}

static void ascend(struct walk *w, size_t n)
{
    if (w->path.failed)
        return;
    w->path.len = n;
    w->path.data[n] = '\0';
}

/* What the layer below shows in an opaque folder that does not have it is gone. */
static int tell_hidden_of(struct walk *w, int upper, int below, struct zl_error *err)
{
    zl_autodir DIR *d = zl_dir_open(below, w->path.data + 1);
    const struct dirent *e;
    int rc = 0;
    while (d && rc == 0 && (errno = 0, e = readdir(d))) {
        struct stat st;
        if (zl_is_dots(e->d_name) || fstatat(upper, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            continue;
        size_t n = descend(w, e->d_name);
        /* told once, by the layer that shows it */
        if (tree_find_below(w->below, w->n_below, w->path.data + 1, &st) == below)
            rc = tell(w, CHANGE_DELETED, err);
        ascend(w, n);
    }
    return d && rc == 0 && errno ? zl_fail_errno(err, "list '%s'", w->path.data) : rc;
}

static int tell_hidden(struct walk *w, int upper, struct zl_error *err)
{
    for (size_t i = 0; i < w->n_below; i++)
        if (tell_hidden_of(w, upper, w->below[i], err) < 0)
            return -1;
    return 0;
}

static int walk_folder(struct walk *w, int dir_fd, const char *name, unsigned depth,
                       struct zl_error *err);

/* A folder is told before what is in it; one that perhaps only mounts made differ, with the first
 * thing in it that is told. */
static int walk_changed_folder(struct walk *w, int dir_fd, const char *name, const struct stat *now,
                               const struct stat *was, unsigned depth, struct zl_error *err)
{
    bool same = was && S_ISDIR(was->st_mode) && was->st_mode == now->st_mode &&
                was->st_uid == now->st_uid && was->st_gid == now->st_gid && holds_mount(w);
    size_t before = w->n_untold;
    if (same)
        w->untold[w->n_untold++] = w->path.len;
    else if (tell(w, was ? CHANGE_MODIFIED : CHANGE_ADDED, err) < 0)
        return -1;
    int rc = walk_folder(w, dir_fd, name, depth, err);
    if (w->n_untold > before) /* nothing was told: nor is it */
        w->n_untold = before;
    return rc;
}

static int walk_entry(struct walk *w, int dir_fd, const char *name, unsigned depth,
                      struct zl_error *err)
{
    struct stat now, was;
    if (zl_buf_check(&w->path, "a path", err) < 0)
        return -1;
    if (fstatat(dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "look at '%s'", w->path.data);
    bool known = tree_find_below(w->below, w->n_below, w->path.data + 1, &was) >= 0;
    if (overlay_is_whiteout(&now))
        return known ? tell(w, CHANGE_DELETED, err) : 0;
    if (is_mount(w))
        return 0;
    if (S_ISDIR(now.st_mode))
        return walk_changed_folder(w, dir_fd, name, &now, known ? &was : NULL, depth, err);
    return tell(w, known ? CHANGE_MODIFIED : CHANGE_ADDED, err);
}

static int walk_folder(struct walk *w, int dir_fd, const char *name, unsigned depth,
                       struct zl_error *err)
{
    zl_autodir DIR *d = zl_dir_open(dir_fd, name);
    const struct dirent *e;
    if (!d)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "list '%s'", w->path.data);
    if (depth == DEPTH_MAX)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "'%s': more than %d levels of folders",
                       w->path.data, DEPTH_MAX);
    while ((errno = 0, e = readdir(d))) {
        if (zl_is_dots(e->d_name))
            continue;
        size_t n = descend(w, e->d_name);
        int rc = walk_entry(w, dirfd(d), e->d_name, depth + 1, err);
        ascend(w, n);
        if (rc < 0)
            return -1;
    }
    if (errno)
        return zl_fail_errno(err, "list '%s'", w->path.data);
    /* overlay merges the root whatever it is marked with */
    return depth && overlay_is_opaque(dirfd(d)) ? tell_hidden(w, dirfd(d), err) : 0;
}

int changes_walk(int upper, const int *below, size_t n_below, const char *const *mounts,
                 size_t n_mounts, change_fn fn, void *arg, struct zl_error *err)
{
    struct walk w = { .below = below,
                      .n_below = n_below,
                      .mounts = mounts,
                      .n_mounts = n_mounts,
                      .fn = fn,
                      .arg = arg };
    zl_buf_init(&w.path, PATH_BYTES);
    int rc = walk_folder(&w, upper, ".", 0, err);
    zl_buf_done(&w.path);
    return rc;
}
