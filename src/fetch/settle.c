// SPDX-License-Identifier: Apache-2.0
#include "fetch/settle.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "fetch/attributes.h"

enum { MEMORY = 256 << 20 };

void settle_init(struct settle *s)
{
    *s = (struct settle){ .arena = ZL_ARENA(MEMORY) };
    s->listed_end = &s->listed;
    s->made_end = &s->made;
    s->links_end = &s->links;
}

void settle_done(struct settle *s)
{
    zl_arena_done(&s->arena);
}

/* ---- notes ----------------------------------------------------------------------------------- */

static struct settle_folder *add_folder(struct settle *s, const char *path,
                                        struct settle_folder ***end, struct zl_error *err)
{
    size_t n = strlen(path) + 1;
    struct settle_folder *f = zl_arena_alloc(&s->arena, sizeof *f + n);
    if (!f) {
        (void)zl_fail(err, ZL_ERR_INVALID, "the layer has too many folders");
        return NULL;
    }
    memcpy(f->path, path, n);
    **end = f;
    *end = &f->next;
    return f;
}

int settle_folder(struct settle *s, const char *path, unsigned mode, const struct timespec *mtime,
                  struct zl_error *err)
{
    struct settle_folder *f = add_folder(s, path, &s->listed_end, err);
    if (!f)
        return -1;
    f->mode = mode;
    f->mtime = *mtime;
    s->root_listed |= !*path;
    return 0;
}

int settle_made(struct settle *s, const char *path, struct zl_error *err)
{
    return add_folder(s, path, &s->made_end, err) ? 0 : -1;
}

int settle_link(struct settle *s, const char *target, const char *path, struct zl_error *err)
{
    struct settle_link *l = zl_arena_alloc(&s->arena, sizeof *l);
    if (l) {
        l->target = zl_arena_strdup(&s->arena, target);
        l->path = zl_arena_strdup(&s->arena, path);
    }
    if (s->arena.failed)
        return zl_fail(err, ZL_ERR_INVALID, "the layer has too many links");
    *s->links_end = l;
    s->links_end = &l->next;
    return 0;
}

/* ---- folders --------------------------------------------------------------------------------- */

int settle_folders(struct settle *s, int root, struct zl_error *err)
{
    for (const struct settle_folder *f = s->listed; f; f = f->next) {
        struct tree_path path;
        const struct timespec both[2] = { f->mtime, f->mtime };
        if (tree_path_parse(f->path, &path, err) < 0)
            return -1;
        zl_autoclose int fd = tree_open(root, &path, O_RDONLY | O_DIRECTORY, NULL);
        if (fd < 0)
            continue; /* a later entry replaced it */
        if (fchmod(fd, f->mode) < 0 || futimens(fd, both) < 0)
            return zl_fail_errno(err, "set mode and time of '%s'", f->path);
    }
    return 0;
}

/* The folder at path as in the layers below; where they have none it stays as it was made, 0755 of
 * root, with the time 0, so that unpacking again gives the same. */
static int take_after_below(int root, const char *path, const int *below, size_t n_below,
                            struct zl_error *err)
{
    static const struct timespec never[2] = { { 0 } };
    struct tree_path p;
    struct stat st;
    if (tree_path_parse(path, &p, err) < 0)
        return -1;
    zl_autoclose int fd = tree_open(root, &p, O_RDONLY | O_DIRECTORY, NULL);
    if (fd < 0)
        return 0; /* a later entry replaced it */
    int layer = tree_find_below(below, n_below, p.text[0] ? p.text : ".", &st);
    if (layer < 0 || !S_ISDIR(st.st_mode))
        return futimens(fd, never) < 0 ? zl_fail_errno(err, "set the time of '%s'", path) : 0;
    zl_autoclose int model = tree_open(layer, &p, O_RDONLY | O_DIRECTORY, err);
    if (model < 0)
        return -1;
    return attributes_copy(model, &st, fd, err) < 0 ? zl_wrap(err, "'%s'", path) : 0;
}

/* ---- links ----------------------------------------------------------------------------------- */

static int link_is_wrong(const struct tree_path *target, const char *why, struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_INVALID, "it is a hard link to '%s', which is %s", target->text,
                   why);
}

int settle_link_here(struct tree *t, const struct tree_path *target, const struct tree_path *path,
                     struct zl_error *err)
{
    struct tree_path folder;
    struct stat st;
    if (tree_path_parse(target->parent, &folder, err) < 0)
        return -1;
    zl_autoclose int from = tree_open(t->root, &folder, O_RDONLY | O_DIRECTORY, NULL);
    if (from < 0 || fstatat(from, target->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 1;
    if (S_ISDIR(st.st_mode) || tree_is_whiteout(&st))
        return link_is_wrong(target, "no file", err);
    int parent = tree_parent(t, path, err);
    if (parent < 0)
        return -1;
    if (linkat(from, target->name, parent, path->name, 0) == 0)
        return 0;
    if (errno != EEXIST)
        return zl_fail_errno(err, "create it");
    if (tree_clear(t, path, err) < 0 || (parent = tree_parent(t, path, err)) < 0)
        return -1;
    return linkat(from, target->name, parent, path->name, 0) < 0 ? zl_fail_errno(err, "create it")
                                                                 : 0;
}

static int copy_bytes(int from, int to, uint64_t size, struct zl_error *err)
{
    while (size) {
        ssize_t n = sendfile(to, from, NULL, size < (1 << 30) ? (size_t)size : 1 << 30);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return zl_fail_errno(err, "copy it");
        size -= (uint64_t)n;
    }
    return 0;
}

/* What overlay calls copying up: the file of a layer below becomes one of this layer. */
static int copy_up(struct tree *t, const struct tree_path *target, const int *below, size_t n_below,
                   struct zl_error *err)
{
    struct stat st;
    int layer =
        tree_hides(t->root, target->text) ? -1 : tree_find_below(below, n_below, target->text, &st);
    if (layer < 0)
        return link_is_wrong(target, "not in the layer or below", err);
    if (!S_ISREG(st.st_mode))
        return link_is_wrong(target, "no file", err);
    int parent = tree_parent(t, target, err);
    zl_autoclose int from = parent < 0 ? -1 : tree_open(layer, target, O_RDONLY, err);
    if (from < 0)
        return -1;
    zl_autoclose int to =
        openat(parent, target->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return zl_fail_errno(err, "copy '%s'", target->text);
    if (copy_bytes(from, to, (uint64_t)st.st_size, err) < 0)
        return -1;
    return attributes_copy(from, &st, to, err);
}

static int link_below(struct tree *t, const struct settle_link *l, const int *below, size_t n_below,
                      struct zl_error *err)
{
    struct tree_path target, path;
    if (tree_path_parse(l->target, &target, err) < 0 || tree_path_parse(l->path, &path, err) < 0)
        return -1;
    int rc = settle_link_here(t, &target, &path, err); /* a link before may have copied it */
    if (rc <= 0)
        return rc;
    if (copy_up(t, &target, below, n_below, err) < 0)
        return -1;
    return settle_link_here(t, &target, &path, err);
}

int settle_all(struct settle *s, struct tree *t, const int *below, size_t n_below,
               struct zl_error *err)
{
    for (const struct settle_link *l = s->links; l; l = l->next) {
        if (link_below(t, l, below, n_below, err) < 0)
            return zl_wrap(err, "unpack '%s'", l->path);
    }
    for (const struct settle_folder *f = s->made; f; f = f->next) {
        if (take_after_below(t->root, f->path, below, n_below, err) < 0)
            return -1;
    }
    if (!s->root_listed && take_after_below(t->root, "", below, n_below, err) < 0)
        return -1;
    /* Both may have touched listed folders. */
    return s->made || s->links ? settle_folders(s, t->root, err) : 0;
}
