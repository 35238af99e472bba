// SPDX-License-Identifier: Apache-2.0
/*
 * A file of an image without mounting it: what overlay would show, worked out component by
 * component over the layers. Symbolic links are followed by us, since one layer's link may lead to
 * what another one has; no path of an image ever reaches the kernel with a link in it.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/openat2.h"
#include "image/internal.h"
#include "image/overlay.h"

enum { MAX_LINKS = 40, MAX_PARTS = 256 }; /* as path_resolution(7) has it; far beyond real images */

struct walk {
    struct image_store *s;
    const struct image *image;
    char path[PATH_MAX]; /* what was resolved: "", "etc", "etc/ssl": no links, no dots */
    size_t len;
    size_t ends[MAX_PARTS];   /* of path before each component */
    size_t floors[MAX_PARTS]; /* and the lowest layer that still shows through there */
    size_t depth, floor;
    char rest[PATH_MAX]; /* what is left to resolve */
    unsigned links;
};

int image_layer_fd(struct image_store *s, uint32_t layer, struct zl_error *err)
{
    char name[LAYOUT_PATH];
    (void)snprintf(name, sizeof name, "%u/fs", layer);
    int fd = openat(s->layout.layers, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : zl_fail_errno(err, "open layers/%s", name);
}

/* path below the layer, following no link anywhere; with O_PATH the last component may be one, and
 * is opened itself (openat2(2)). -1 with errno. */
static int open_in(struct image_store *s, uint32_t layer, const char *path, int flags)
{
    zl_autoclose int fd = image_layer_fd(s, layer, NULL);
    if (fd < 0)
        return -1;
    return zl_openat2(fd, path, (unsigned)flags | O_CLOEXEC | O_NOFOLLOW, 0,
                      RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

static int open_in_layer(struct walk *w, size_t i, const char *path, int flags)
{
    return open_in(w->s, w->image->layers[i], path, flags);
}

/* Whether the directory hides those of the layers below. */
static bool is_opaque(struct walk *w, size_t layer)
{
    zl_autoclose int fd = open_in_layer(w, layer, w->path, O_RDONLY | O_DIRECTORY);
    return fd >= 0 && overlay_is_opaque(fd);
}

/* What w->path is in layer i. False: nothing. */
static bool stat_in_layer(struct walk *w, size_t i, struct stat *st)
{
    zl_autoclose int fd = open_in_layer(w, i, w->path, O_PATH);
    return fd >= 0 && fstat(fd, st) == 0;
}

/* The topmost entry at w->path; *layer is where. Whiteouts and nothing: false. */
static bool topmost(struct walk *w, struct stat *st, size_t *layer)
{
    for (size_t i = w->image->n_layers; i > w->floor; i--) {
        if (stat_in_layer(w, i - 1, st)) {
            *layer = i - 1;
            return !overlay_is_whiteout(st);
        }
    }
    return false;
}

/* Below a directory whose top is in `layer`: how far down other layers add to it. */
static size_t floor_of(struct walk *w, size_t layer)
{
    struct stat st;
    for (size_t i = layer + 1; i > w->floor; i--) {
        if (!stat_in_layer(w, i - 1, &st))
            continue;
        if (!S_ISDIR(st.st_mode))
            return i;
        if (is_opaque(w, i - 1))
            return i - 1;
    }
    return w->floor;
}

static void leave(struct walk *w)
{
    if (!w->depth)
        return; /* ".." of the root is the root */
    w->depth--;
    w->len = w->ends[w->depth];
    w->path[w->len] = '\0';
    w->floor = w->floors[w->depth];
}

static int enter(struct walk *w, const char *part, size_t n, struct zl_error *err)
{
    if (w->depth == MAX_PARTS || w->len + n + 2 > sizeof w->path)
        return zl_fail(err, ZL_ERR_INVALID, "the path is too long");
    w->ends[w->depth] = w->len;
    w->floors[w->depth] = w->floor;
    w->depth++;
    if (w->len)
        w->path[w->len++] = '/';
    memcpy(w->path + w->len, part, n);
    w->len += n;
    w->path[w->len] = '\0';
    return 0;
}

/* w->path is a link in layer i: its text goes in front of what is left. */
static int follow(struct walk *w, size_t layer, const char *rest, struct zl_error *err)
{
    char target[PATH_MAX], joined[PATH_MAX];
    zl_autoclose int fd = open_in_layer(w, layer, w->path, O_PATH);
    ssize_t n = fd >= 0 ? readlinkat(fd, "", target, sizeof target - 1) : -1;
    if (n < 0)
        return zl_fail_errno(err, "read the link '%s'", w->path);
    target[n] = '\0';
    if (++w->links > MAX_LINKS)
        return zl_fail(err, ZL_ERR_INVALID, "too many symbolic links");
    if (snprintf(joined, sizeof joined, "%s/%s", target, rest) >= (int)sizeof joined)
        return zl_fail(err, ZL_ERR_INVALID, "the path is too long");
    leave(w); /* the link itself */
    if (target[0] == '/') {
        w->depth = w->len = 0;
        w->path[0] = '\0';
        w->floor = 0;
    }
    memcpy(w->rest, joined, strlen(joined) + 1);
    return 0;
}

static int not_found(const char *path, struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no file '%s' in the image", path);
}

static void remember(struct walk *w, const char *asked, size_t layer)
{
    struct found_file *f = &w->s->files[w->s->next_file];
    if (strlen(asked) >= sizeof f->path || w->len >= sizeof f->at)
        return; /* rare: it is looked for each time */
    w->s->next_file = (w->s->next_file + 1) % FILES_FOUND;
    (void)snprintf(f->image, sizeof f->image, "%s", w->image->digest);
    memcpy(f->path, asked, strlen(asked) + 1);
    memcpy(f->at, w->path, w->len + 1);
    f->layer = layer;
}

/* One component. *ret becomes the fd of the file when it was the last one. */
static int step(struct walk *w, const char *asked, int *ret, struct zl_error *err)
{
    char *part = w->rest + strspn(w->rest, "/");
    size_t n = strcspn(part, "/");
    char *rest = part + n + strspn(part + n, "/");
    struct stat st;
    size_t layer;
    if (!n)
        return not_found(asked, err); /* it ended in a directory */
    if (n == 1 && part[0] == '.') {
        memmove(w->rest, rest, strlen(rest) + 1);
        return 0;
    }
    if (n == 2 && memcmp(part, "..", 2) == 0) {
        leave(w);
        memmove(w->rest, rest, strlen(rest) + 1);
        return 0;
    }
    if (enter(w, part, n, err) < 0)
        return -1;
    if (!topmost(w, &st, &layer))
        return not_found(asked, err);
    if (S_ISLNK(st.st_mode))
        return follow(w, layer, rest, err);
    if (S_ISDIR(st.st_mode)) {
        w->floor = floor_of(w, layer);
        memmove(w->rest, rest, strlen(rest) + 1);
        return 0;
    }
    if (*rest || !S_ISREG(st.st_mode))
        return not_found(asked, err);
    *ret = open_in_layer(w, layer, w->path, O_RDONLY);
    if (*ret < 0)
        return zl_fail_errno(err, "open '%s' of the image", asked);
    remember(w, asked, layer);
    return 0;
}

/* -1: it must be looked for. */
static int open_remembered(struct image_store *s, const struct image *i, const char *path)
{
    for (size_t n = 0; n < FILES_FOUND; n++) {
        const struct found_file *f = &s->files[n];
        if (strcmp(f->path, path) == 0 && strcmp(f->image, i->digest) == 0 &&
            f->layer < i->n_layers)
            return open_in(s, i->layers[f->layer], f->at, O_RDONLY);
    }
    return -1;
}

int image_open_file(struct image_store *s, const struct image *i, const char *path,
                    struct zl_error *err)
{
    int fd = open_remembered(s, i, path), rc = 0;
    if (fd >= 0)
        return fd;
    struct walk *w = calloc(1, sizeof *w); /* three paths: much for a stack */
    if (!w)
        return zl_fail_errno(err, "open '%s' of the image", path);
    w->s = s;
    w->image = i;
    if (strlen(path) >= sizeof w->rest)
        rc = zl_fail(err, ZL_ERR_INVALID, "the path is too long");
    else
        memcpy(w->rest, path, strlen(path) + 1);
    while (rc == 0 && fd < 0)
        rc = step(w, path, &fd, err);
    free(w);
    return fd;
}
