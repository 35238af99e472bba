// SPDX-License-Identifier: Apache-2.0
#include "fetch/unpack.h"

#include <archive_entry.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/arena.h"
#include "fetch/attributes.h"

#define WHITEOUT ".wh."
#define OPAQUE_MARK ".wh..wh..opq"

struct folder { /* its time is set at the end, since filling it changes that */
    struct folder *next;
    struct timespec times[2];
    char path[];
};

struct unpack {
    struct archive *tar;
    struct tree *tree;
    struct archive_entry *entry;
    struct tree_path path;
    struct zl_arena arena; /* of folders */
    struct folder *folders;
    uint64_t entries, bytes;
};

/* ---- deletions ------------------------------------------------------------------------------- */

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static int make_opaque(int dir_fd, struct zl_error *err)
{
    if (fsetxattr(dir_fd, "user.overlay.opaque", "y", 1, 0) < 0)
        return zl_fail_errno(err, "mark the folder as opaque (are user.* attributes supported?)");
    return 0;
}

/* ".wh.x": x of the layers below is gone. An x of this layer stays, but does not mix with theirs.
 */
static int delete_below(struct unpack *u, int parent, struct zl_error *err)
{
    const char *name = u->path.name + strlen(WHITEOUT);
    struct stat st;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
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
    int parent = tree_parent(u->tree, &u->path, err);
    if (parent < 0)
        return -1;
    if (strcmp(u->path.name, OPAQUE_MARK) == 0)
        return make_opaque(parent, err);
    if (strncmp(u->path.name, WHITEOUT WHITEOUT, strlen(WHITEOUT WHITEOUT)) == 0)
        return 0; /* other marks of aufs say nothing about contents */
    return delete_below(u, parent, err);
}

/* ---- entries, by type ------------------------------------------------------------------------ */

static int write_data(struct unpack *u, int fd, struct zl_error *err)
{
    const void *bytes;
    size_t n;
    la_int64_t offset;
    int rc;
    while ((rc = archive_read_data_block(u->tar, &bytes, &n, &offset)) == ARCHIVE_OK) {
        u->bytes += n;
        if (u->bytes > UNPACK_MAX_BYTES)
            return zl_fail(err, ZL_ERR_INVALID, "the layer unpacks to more than %llu GiB",
                           (unsigned long long)(UNPACK_MAX_BYTES >> 30));
        for (size_t done = 0; done < n;) { /* holes of sparse files are left out */
            ssize_t w = pwrite(fd, (const char *)bytes + done, n - done, offset + (off_t)done);
            if (w < 0 && errno == EINTR)
                continue;
            if (w < 0)
                return zl_fail_errno(err, "write it");
            done += (size_t)w;
        }
    }
    if (rc != ARCHIVE_EOF)
        return zl_fail(err, ZL_ERR_INVALID, "read its contents: %s", archive_error_string(u->tar));
    return 0;
}

static int unpack_file(struct unpack *u, int parent, struct zl_error *err)
{
    la_int64_t size = archive_entry_size(u->entry);
    zl_autoclose int fd =
        openat(parent, u->path.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return zl_fail_errno(err, "create it");
    if (size < 0 || (uint64_t)size > UNPACK_MAX_BYTES)
        return zl_fail(err, ZL_ERR_INVALID, "its size %lld is out of range", (long long)size);
    if (write_data(u, fd, err) < 0)
        return -1;
    if (ftruncate(fd, size) < 0) /* a hole at its end was not written */
        return zl_fail_errno(err, "set its size");
    return attributes_set(fd, u->entry, err);
}

static int remember_folder(struct unpack *u, struct zl_error *err)
{
    size_t n = strlen(u->path.text) + 1;
    struct folder *f = zl_arena_alloc(&u->arena, sizeof *f + n);
    if (!f)
        return zl_fail(err, ZL_ERR_INVALID, "the layer has too many folders");
    memcpy(f->path, u->path.text, n);
    attributes_times(u->entry, f->times);
    f->next = u->folders;
    u->folders = f;
    return 0;
}

static int unpack_folder(struct unpack *u, int parent, struct zl_error *err)
{
    zl_autoclose int fd = -1;
    if (u->path.text[0] && mkdirat(parent, u->path.name, 0700) < 0 && errno != EEXIST)
        return zl_fail_errno(err, "create it");
    fd = openat(parent, u->path.text[0] ? u->path.name : ".",
                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return zl_fail_errno(err, "open it");
    if (attributes_set(fd, u->entry, err) < 0)
        return -1;
    return remember_folder(u, err);
}

static int unpack_symlink(struct unpack *u, int parent, struct zl_error *err)
{
    const char *target = archive_entry_symlink(u->entry);
    if (!target || !*target)
        return zl_fail(err, ZL_ERR_INVALID, "it is a symbolic link to nothing");
    if (symlinkat(target, parent, u->path.name) < 0)
        return zl_fail_errno(err, "create it");
    return attributes_set_at(parent, u->path.name, u->entry, err);
}

static int unpack_node(struct unpack *u, int parent, struct zl_error *err)
{
    mode_t mode = archive_entry_mode(u->entry) & (S_IFMT | 07777);
    if (mknodat(parent, u->path.name, mode, archive_entry_rdev(u->entry)) < 0)
        return zl_fail_errno(err, "create it");
    if (attributes_set_at(parent, u->path.name, u->entry, err) < 0)
        return -1;
    if (mode & 07000 && fchmodat(parent, u->path.name, mode & 07777, 0) < 0) /* cleared by chown */
        return zl_fail_errno(err, "set its mode"); /* ours, not a link: nothing else writes here */
    return 0;
}

/* A second name of something in this layer. Neither name's folder is reached through a link. */
static int unpack_hardlink(struct unpack *u, const char *target, struct zl_error *err)
{
    struct tree_path to;
    struct stat st;
    if (tree_path_parse(target, &to, err) < 0)
        return zl_wrap(err, "the target of the hard link");
    if (strcmp(to.text, u->path.text) == 0)
        return 0;
    struct tree_path to_parent;
    if (tree_path_parse(to.parent, &to_parent, err) < 0)
        return -1;
    zl_autoclose int from = tree_open(u->tree, &to_parent, O_RDONLY | O_DIRECTORY, err);
    if (from < 0 || fstatat(from, to.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "it is a hard link to '%s', which is not in the layer",
                       target);
    if (S_ISDIR(st.st_mode) || is_whiteout(&st))
        return zl_fail(err, ZL_ERR_INVALID, "it is a hard link to '%s', which is no file", target);
    if (tree_clear(u->tree, &u->path, err) < 0)
        return -1;
    int parent = tree_parent(u->tree, &u->path, err);
    if (parent < 0)
        return -1;
    return linkat(from, to.name, parent, u->path.name, 0) < 0 ? zl_fail_errno(err, "create it") : 0;
}

/* ---- the archive ----------------------------------------------------------------------------- */

struct kind {
    mode_t type;
    int (*make)(struct unpack *u, int parent, struct zl_error *err);
};
static const struct kind kinds[] = {
    { S_IFREG, unpack_file }, { S_IFDIR, unpack_folder }, { S_IFLNK, unpack_symlink },
    { S_IFCHR, unpack_node }, { S_IFBLK, unpack_node },   { S_IFIFO, unpack_node },
};

/* Makes room for the entry. *hidden: a deletion stood there, so a folder must not show more. */
static int make_room(struct unpack *u, mode_t type, bool *hidden, struct zl_error *err)
{
    struct stat st;
    int parent = tree_parent(u->tree, &u->path, err);
    if (parent < 0)
        return -1;
    *hidden = false;
    if (fstatat(parent, u->path.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "look at it");
    if (S_ISDIR(st.st_mode) && type == S_IFDIR)
        return 0;
    *hidden = is_whiteout(&st);
    return tree_clear(u->tree, &u->path, err);
}

static int unpack_typed(struct unpack *u, const struct kind *k, struct zl_error *err)
{
    bool hidden = false;
    if (u->path.text[0] && make_room(u, k->type, &hidden, err) < 0)
        return -1;
    if (!u->path.text[0] && k->type != S_IFDIR)
        return zl_fail(err, ZL_ERR_INVALID, "the root of the layer must be a folder");
    int parent = tree_parent(u->tree, &u->path, err);
    if (parent < 0 || k->make(u, parent, err) < 0)
        return -1;
    if (!hidden || k->type != S_IFDIR)
        return 0;
    zl_autoclose int fd = tree_open(u->tree, &u->path, O_RDONLY | O_DIRECTORY, err);
    return fd < 0 ? -1 : make_opaque(fd, err);
}

static int unpack_entry(struct unpack *u, struct zl_error *err)
{
    const char *link = archive_entry_hardlink(u->entry);
    mode_t type = archive_entry_filetype(u->entry);
    if (strncmp(u->path.name, WHITEOUT, strlen(WHITEOUT)) == 0)
        return unpack_whiteout(u, err);
    if (link)
        return unpack_hardlink(u, link, err);
    for (size_t i = 0; i < ZL_ARRAY_LEN(kinds); i++) {
        if (kinds[i].type == type)
            return unpack_typed(u, &kinds[i], err);
    }
    return zl_fail(err, ZL_ERR_UNSUPPORTED, "entries of type 0%o are not supported", type);
}

/* Deepest first or not does not matter: setting a time changes no other folder. */
static int set_folder_times(struct unpack *u, struct zl_error *err)
{
    for (const struct folder *f = u->folders; f; f = f->next) {
        struct tree_path path;
        if (tree_path_parse(f->path, &path, err) < 0)
            return -1;
        zl_autoclose int fd = tree_open(u->tree, &path, O_RDONLY | O_DIRECTORY, NULL);
        if (fd >= 0 && futimens(fd, f->times) < 0) /* a later entry may have replaced it */
            return zl_fail_errno(err, "set the time of '%s'", f->path);
    }
    return 0;
}

static int unpack_all(struct unpack *u, struct zl_error *err)
{
    int rc;
    while ((rc = archive_read_next_header(u->tar, &u->entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
        const char *path = archive_entry_pathname(u->entry);
        if (!path)
            return zl_fail(err, ZL_ERR_INVALID, "an entry has no name that could be read");
        if (++u->entries > UNPACK_MAX_ENTRIES)
            return zl_fail(err, ZL_ERR_INVALID, "the layer has more than %d entries",
                           UNPACK_MAX_ENTRIES);
        if (tree_path_parse(path, &u->path, err) < 0)
            return -1;
        if (unpack_entry(u, err) < 0)
            return zl_wrap(err, "unpack '%s'", path);
    }
    if (rc != ARCHIVE_EOF)
        return zl_fail(err, ZL_ERR_INVALID, "read the archive: %s", archive_error_string(u->tar));
    return set_folder_times(u, err);
}

int unpack_tar(struct archive *tar, struct tree *t, struct zl_error *err)
{
    struct unpack *u = calloc(1, sizeof *u); /* paths: much for a stack */
    if (!u)
        return zl_fail_errno(err, "unpack a layer");
    u->tar = tar;
    u->tree = t;
    u->arena = (struct zl_arena)ZL_ARENA(256 << 20);
    (void)tree_copy_from_below(t, ".", t->root); /* in case the archive does not list its root */
    int rc = unpack_all(u, err);
    zl_arena_done(&u->arena);
    free(u);
    return rc;
}
