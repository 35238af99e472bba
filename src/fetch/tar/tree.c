// SPDX-License-Identifier: Apache-2.0
#include "fetch/tar/tree.h"

#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/openat2.h"
#include "base/weaken.h"
#include "image/overlay.h"

int tree_path_parse(const char *path, struct tree_path *ret, struct zl_error *err)
{
    char *end = ret->text;
    unsigned parts = 0;
    if (strlen(path) >= sizeof ret->text)
        return zl_fail(err, ZL_ERR_INVALID, "the path '%.100s…' is too long", path);
    ret->name = end;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && memcmp(p, "..", 2) == 0)
            return zl_fail(err, ZL_ERR_INVALID, "the path '%s' leads upwards", path);
        if (n && !(n == 1 && *p == '.')) {
            if (++parts > TREE_MAX_PARTS)
                return zl_fail(err, ZL_ERR_INVALID, "the path '%.100s…' is nested deeper than %d",
                               path, TREE_MAX_PARTS);
            if (end != ret->text)
                *end++ = '/';
            ret->name = end;
            end = (char *)memcpy(end, p, n) + n;
        }
        p += n + (p[n] == '/');
    }
    *end = '\0';
    size_t parent = ret->name > ret->text ? (size_t)(ret->name - ret->text) - 1 : 0;
    memcpy(ret->parent, parent ? ret->text : ".", parent ? parent : 1);
    ret->parent[parent ? parent : 1] = '\0';
    return 0;
}

static int open_strict(int root, const char *path, int flags)
{
    return zl_openat2(root, path, (unsigned)flags | O_CLOEXEC, 0,
                      zl_weaken(LINKS) ? 0
                                       : RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

/* Makes path, which is relative and tidy, folder by folder; an fd of the last. */
static int make_parents(struct tree *t, const char *path, struct zl_error *err)
{
    char prefix[PATH_MAX];
    zl_autoclose int at = open_strict(t->root, ".", O_RDONLY | O_DIRECTORY);
    if (at < 0)
        return zl_fail_errno(err, "open the folder of the layer");
    for (size_t done = 0; path[done];) {
        size_t n = strcspn(path + done, "/");
        memcpy(prefix, path, done + n);
        prefix[done + n] = '\0';
        bool made = mkdirat(at, prefix + done, 0755) == 0;
        if (!made && errno != EEXIST)
            return zl_fail_errno(err, "create the folder '%s'", prefix);
        int next = openat(at, prefix + done, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 && (errno == ELOOP || errno == ENOTDIR))
            return zl_fail(err, ZL_ERR_INVALID, "'%s' is used as a folder, but it is none", prefix);
        if (next < 0)
            return zl_fail_errno(err, "open the folder '%s'", prefix);
        (void)close(at);
        at = next;
        if (made && t->made(t->arg, prefix, err) < 0)
            return -1;
        done += n + (path[done + n] == '/');
    }
    return zl_take_fd(&at);
}

static void forget_parent(struct tree *t)
{
    zl_closep(&t->parent);
    t->parent = -1;
}

int tree_parent(struct tree *t, const struct tree_path *p, struct zl_error *err)
{
    if (t->parent >= 0 && strcmp(t->parent_path, p->parent) == 0)
        return t->parent;
    forget_parent(t);
    t->parent = open_strict(t->root, p->parent, O_RDONLY | O_DIRECTORY);
    if (t->parent < 0)
        t->parent = make_parents(t, p->parent, err);
    if (t->parent < 0)
        return -1;
    memcpy(t->parent_path, p->parent, strlen(p->parent) + 1);
    return t->parent;
}

int tree_open(int root, const struct tree_path *p, int flags, struct zl_error *err)
{
    const char *path = p->text[0] ? p->text : ".";
    int fd = open_strict(root, path, flags | O_NOFOLLOW);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no '%s' in the layer", path);
    return fd >= 0 ? fd : zl_fail_errno(err, "open '%s'", path);
}

int tree_clear(struct tree *t, const struct tree_path *p, struct zl_error *err)
{
    int parent = tree_parent(t, p, err);
    if (parent < 0 || zl_remove_tree(parent, p->name, err) < 0)
        return -1;
    forget_parent(t); /* it may be one that is gone now */
    return 0;
}

void tree_done(struct tree *t)
{
    forget_parent(t);
}

/* ---- as overlay sees layers -------------------------------------------------------------------
 */

static bool is_opaque(int root, const char *path)
{
    zl_autoclose int fd = open_strict(root, path, O_RDONLY | O_DIRECTORY);
    return fd >= 0 && overlay_is_opaque(fd);
}

bool tree_hides(int root, const char *path)
{
    char prefix[PATH_MAX];
    for (size_t n = strcspn(path, "/"); path[n]; n += 1 + strcspn(path + n + 1, "/")) {
        struct stat st;
        memcpy(prefix, path, n);
        prefix[n] = '\0';
        zl_autoclose int fd = open_strict(root, prefix, O_PATH | O_NOFOLLOW);
        if (fd < 0 || fstat(fd, &st) < 0)
            return false; /* nothing here, so nothing below it either */
        if (!S_ISDIR(st.st_mode) || is_opaque(root, prefix))
            return true;
    }
    return is_opaque(root, ".");
}

int tree_find_below(const int *below, size_t n_below, const char *path, struct stat *st)
{
    for (size_t i = n_below; i > 0; i--) {
        zl_autoclose int fd = open_strict(below[i - 1], path, O_PATH | O_NOFOLLOW);
        if (fd >= 0 && fstat(fd, st) == 0)
            return overlay_is_whiteout(st) ? -1 : below[i - 1];
        if (tree_hides(below[i - 1], path))
            return -1;
    }
    return -1;
}
