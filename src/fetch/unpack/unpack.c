// SPDX-License-Identifier: Apache-2.0
#include "fetch/unpack/unpack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/dir.h"
#include "fetch/tar/attributes.h"
#include "fetch/tar/tree.h"
#include "fetch/unpack/settle.h"
#include "image/overlay.h"

#define WHITEOUT ".wh."
#define OPAQUE_MARK ".wh..wh..opq"
enum { HOLE = 64 * 1024, LEAST = 4096 };
enum { WRITEBACK = 4 << 20, WORTH = 256 * 1024 }; /* bytes of one file */

struct unpack {
    struct tar *tar;
    struct tree tree;
    struct settle settle;
    struct tar_entry entry;
    struct tree_path path;
    uint64_t entries, bytes;
};

/* ---- deletions ------------------------------------------------------------------------------- */

static int make_opaque(int dir_fd, struct zl_error *err)
{
    if (fsetxattr(dir_fd, OVERLAY_OPAQUE, "y", 1, 0) < 0)
        return zl_fail_errno(err, "mark the folder as opaque (are user.* attributes supported?)");
    return 0;
}

/* ".wh.x": x of the layers below is gone. An x of this layer stays, but does not mix with theirs.
 */
static int delete_below(struct unpack *u, int parent, struct zl_error *err)
{
    const char *name = u->path.name + strlen(WHITEOUT);
    struct stat st;
    if (!*name || zl_is_dots(name))
        return zl_fail(err, ZL_ERR_INVALID, "it deletes nothing that has a name");
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (mknodat(parent, name, S_IFCHR, makedev(0, 0)) < 0)
            return zl_fail_errno(err, "note that '%s' is deleted", name);
        return 0;
    }
    if (!S_ISDIR(st.st_mode))
        return 0;
    zl_autoclose int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? zl_fail_errno(err, "open '%s'", name) : make_opaque(fd, err);
}

static int unpack_whiteout(struct unpack *u, struct zl_error *err)
{
    struct zl_error why;
    int parent = tree_parent(&u->tree, &u->path, &why);
    if (parent < 0 && why.kind == ZL_ERR_INVALID)
        return 0; /* this layer has a file or link there, so nothing below shows: umoci writes it */
    if (parent < 0)
        return zl_fail(err, why.kind, "%s", why.msg);
    if (strcmp(u->path.name, OPAQUE_MARK) == 0)
        return make_opaque(parent, err);
    if (strncmp(u->path.name, WHITEOUT WHITEOUT, strlen(WHITEOUT WHITEOUT)) == 0)
        return 0; /* other marks of aufs say nothing about contents */
    return delete_below(u, parent, err);
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool is_zeros(const char *bytes, size_t n)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

static int write_at(int fd, const char *bytes, size_t n, uint64_t offset, struct zl_error *err)
{
    while (n) {
        ssize_t done = pwrite(fd, bytes, n, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return zl_fail_errno(err, "write it");
        bytes += done;
        n -= (size_t)done;
        offset += (uint64_t)done;
    }
    return 0;
}

/* Leaves out zeros, in whole stretches of HOLE bytes or what of one is in this piece. *end: of what
 * was written. */
static int write_piece(int fd, const char *bytes, size_t n, uint64_t offset, uint64_t *end,
                       struct zl_error *err)
{
    size_t from = 0, to = 0;
    while (to < n) {
        size_t part = HOLE - (size_t)((offset + to) % HOLE);
        part = part < n - to ? part : n - to;
        if (part >= LEAST && is_zeros(bytes + to, part)) {
            if (write_at(fd, bytes + from, to - from, offset + from, err) < 0)
                return -1;
            from = to + part;
        } else {
            *end = offset + to + part;
        }
        to += part;
    }
    return write_at(fd, bytes + from, to - from, offset + from, err);
}

/* Has the disk begin with what is written, from *from to end, so that the sync of the whole image
 * finds little to do. Only begun: it does not matter here whether it works. */
static void begin_writeback(int fd, uint64_t *from, uint64_t end, uint64_t least)
{
    if (end < *from + least)
        return;
    (void)sync_file_range(fd, (off_t)*from, (off_t)(end - *from), SYNC_FILE_RANGE_WRITE);
    *from = end;
}

static int write_data(struct unpack *u, int fd, struct zl_error *err)
{
    const void *bytes;
    uint64_t offset, end = 0, begun = 0;
    ssize_t n;
    if (u->entry.size > UNPACK_MAX_BYTES)
        return zl_fail(err, ZL_ERR_INVALID, "its size %llu is out of range",
                       (unsigned long long)u->entry.size);
    while ((n = tar_data(u->tar, &bytes, &offset, err)) > 0) {
        u->bytes += (uint64_t)n;
        if (u->bytes > UNPACK_MAX_BYTES)
            return zl_fail(err, ZL_ERR_INVALID, "the layer unpacks to more than %llu GiB",
                           (unsigned long long)(UNPACK_MAX_BYTES >> 30));
        if (write_piece(fd, bytes, (size_t)n, offset, &end, err) < 0)
            return -1;
        begin_writeback(fd, &begun, end, WRITEBACK);
    }
    if (n < 0)
        return zl_wrap(err, "read its contents");
    if (end < u->entry.size && ftruncate(fd, (off_t)u->entry.size) < 0) /* a hole at its end */
        return zl_fail_errno(err, "set its size");
    begin_writeback(fd, &begun, end, WORTH);
    return 0;
}

/* ---- entries, by type: how each is born, and what follows -------------------------------------
 */

static int birth_file(struct unpack *u, int parent)
{
    return openat(parent, u->path.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  u->entry.mode & 0777);
}

static int grow_file(struct unpack *u, int parent, int fd, struct zl_error *err)
{
    (void)parent;
    return write_data(u, fd, err) < 0 ? -1 : attributes_of_file(fd, &u->entry, err);
}

static int birth_folder(struct unpack *u, int parent)
{
    const char *name = u->path.text[0] ? u->path.name : ".";
    if (u->path.text[0] && mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
        return -1;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        errno = EEXIST; /* something else stands there */
    return fd;
}

static int grow_folder(struct unpack *u, int parent, int fd, struct zl_error *err)
{
    (void)parent;
    if (attributes_of_folder(fd, &u->entry, err) < 0)
        return -1;
    return settle_folder(&u->settle, u->path.text, u->entry.mode, &u->entry.mtime, err);
}

static int birth_symlink(struct unpack *u, int parent)
{
    return symlinkat(u->entry.link, parent, u->path.name);
}

static int birth_node(struct unpack *u, int parent)
{
    static const mode_t types[] = {
        [TAR_CHAR] = S_IFCHR, [TAR_BLOCK] = S_IFBLK, [TAR_FIFO] = S_IFIFO
    };
    return mknodat(parent, u->path.name, types[u->entry.type] | u->entry.mode,
                   makedev(u->entry.dev_major, u->entry.dev_minor));
}

static int grow_node(struct unpack *u, int parent, int fd, struct zl_error *err)
{
    (void)fd;
    return attributes_of_node(parent, u->path.name, &u->entry, err);
}

static const struct kind {
    int (*birth)(struct unpack *u, int parent); /* an fd, or 0 for what has none; -1 and errno */
    int (*grow)(struct unpack *u, int parent, int fd, struct zl_error *err);
    bool opened;
} kinds[] = {
    [TAR_FILE] = { birth_file, grow_file, true },
    [TAR_DIR] = { birth_folder, grow_folder, true },
    [TAR_SYMLINK] = { birth_symlink, grow_node, false },
    [TAR_CHAR] = { birth_node, grow_node, false },
    [TAR_BLOCK] = { birth_node, grow_node, false },
    [TAR_FIFO] = { birth_node, grow_node, false },
};

/* Something stands in the entry's way. *hidden: a deletion, so a folder must not show more. */
static int make_room(struct unpack *u, int parent, bool *hidden, struct zl_error *err)
{
    struct stat st;
    if (fstatat(parent, u->path.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return zl_fail_errno(err, "look at it");
    *hidden = overlay_is_whiteout(&st);
    return tree_clear(&u->tree, &u->path, err);
}

static int unpack_typed(struct unpack *u, struct zl_error *err)
{
    const struct kind *k = &kinds[u->entry.type];
    bool hidden = false;
    if (!u->path.text[0] && u->entry.type != TAR_DIR)
        return zl_fail(err, ZL_ERR_INVALID, "the root of the layer must be a folder");
    if (u->entry.type == TAR_SYMLINK && !u->entry.link[0])
        return zl_fail(err, ZL_ERR_INVALID, "it is a symbolic link to nothing");
    int parent = tree_parent(&u->tree, &u->path, err);
    if (parent < 0)
        return -1;
    int born = k->birth(u, parent);
    if (born < 0 && errno == EEXIST) {
        if (make_room(u, parent, &hidden, err) < 0 ||
            (parent = tree_parent(&u->tree, &u->path, err)) < 0)
            return -1;
        born = k->birth(u, parent);
    }
    zl_autoclose int fd = k->opened ? born : -1;
    if (born < 0)
        return zl_fail_errno(err, "create it");
    if (k->grow(u, parent, fd, err) < 0)
        return -1;
    return hidden && u->entry.type == TAR_DIR ? make_opaque(fd, err) : 0;
}

/* A second name of something: in this layer, else later, when the layers below are there. Neither
 * name's folder is reached through a link. */
static int unpack_hardlink(struct unpack *u, struct zl_error *err)
{
    struct tree_path to;
    if (tree_path_parse(u->entry.link, &to, err) < 0)
        return zl_wrap(err, "the target of the hard link");
    if (strcmp(to.text, u->path.text) == 0)
        return 0;
    if (!u->path.text[0])
        return zl_fail(err, ZL_ERR_INVALID, "the root of the layer must be a folder");
    int rc = settle_link_here(&u->tree, &to, &u->path, err);
    return rc > 0 ? settle_link(&u->settle, to.text, u->path.text, err) : rc;
}

/* ---- the archive ----------------------------------------------------------------------------- */

static int unpack_entry(struct unpack *u, struct zl_error *err)
{
    if (tree_path_parse(u->entry.path, &u->path, err) < 0)
        return -1;
    int rc = strncmp(u->path.name, WHITEOUT, strlen(WHITEOUT)) == 0 ? unpack_whiteout(u, err)
             : u->entry.type == TAR_HARDLINK                        ? unpack_hardlink(u, err)
                                                                    : unpack_typed(u, err);
    return rc < 0 ? zl_wrap(err, "unpack '%s'", u->entry.path) : 0;
}

static int unpack_all(struct unpack *u, struct zl_error *err)
{
    int rc;
    while ((rc = tar_next(u->tar, &u->entry, err)) > 0) {
        if (++u->entries > UNPACK_MAX_ENTRIES)
            return zl_fail(err, ZL_ERR_INVALID, "the layer has more than %d entries",
                           UNPACK_MAX_ENTRIES);
        if (unpack_entry(u, err) < 0)
            return -1;
    }
    return rc < 0 ? -1 : settle_folders(&u->settle, u->tree.root, err);
}

static int folder_was_made(void *arg, const char *path, struct zl_error *err)
{
    return settle_made(arg, path, err);
}

static void unpack_free(struct unpack *u)
{
    if (!u)
        return;
    tree_done(&u->tree);
    settle_done(&u->settle);
    free(u);
}
ZL_DEFINE_CLEANUP(struct unpack *, unpack_free)

int unpack_tar(struct tar *tar, int root, int notes, bool *ret_unsettled, struct zl_error *err)
{
    ZL_CLEANUP(unpack_freep) struct unpack *u = calloc(1, sizeof *u); /* paths: much for a stack */
    if (!u)
        return zl_fail_errno(err, "unpack a layer");
    u->tar = tar;
    u->tree = (struct tree){ .root = root, .parent = -1, .made = folder_was_made };
    u->tree.arg = &u->settle;
    settle_init(&u->settle);
    /* No folder has a set-group-id bit while it is filled: attributes_of_file() relies on it. */
    if (fchmod(root, 0755) < 0)
        return zl_fail_errno(err, "set the mode of the layer's folder");
    if (unpack_all(u, err) < 0 || settle_save(&u->settle, notes, err) < 0)
        return -1;
    *ret_unsettled = settle_has_work(&u->settle);
    return 0;
}

int unpack_settle(int root, int notes, const int *below, size_t n_below, struct zl_error *err)
{
    struct settle s;
    struct tree tree = { .root = root, .parent = -1, .made = folder_was_made, .arg = &s };
    settle_init(&s);
    int rc = settle_load(&s, notes, err);
    if (rc == 0)
        rc = settle_all(&s, &tree, below, n_below, err);
    tree_done(&tree);
    settle_done(&s);
    return rc;
}
