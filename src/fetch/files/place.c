// SPDX-License-Identifier: Apache-2.0
#include "fetch/files/place.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/buf.h"
#include "base/fd.h"
#include "fetch/tar/attributes.h"
#include "fetch/tar/tree.h"

enum { PATH_BYTES = 64 * 1024, FOLDERS_MAX = 16 << 20 };

struct place {
    struct tar *tar;
    const struct place_options *o;
    int root_fd;
    const char *folder;
    struct tar_entry entry;
    struct tree_path path;
    struct zl_buf late; /* of folders, whose modes and times come last: struct late and the path */
};

struct late {
    struct timespec mtime;
    unsigned mode;
    size_t path_len; /* the path follows, with its NUL */
};

/* ---- where ---------------------------------------------------------------------------------- */

/* folder/path inside the container. */
static int open_at(const struct place *p, const char *path, int flags, struct zl_error *err)
{
    zl_autobuf struct zl_buf full = ZL_BUF(PATH_BYTES);
    zl_buf_addf(&full, "%s/%s", p->folder, path);
    if (zl_buf_check(&full, "a path", err) < 0)
        return -1;
    return zl_open_in_root(p->root_fd, full.data, flags, err);
}

/* Folders that the archive did not list. */
static int make_parents(struct place *p, struct zl_error *err)
{
    char path[PATH_MAX] = "";
    zl_autoclose int at = open_at(p, ".", O_PATH | O_DIRECTORY, err);
    if (at < 0)
        return -1;
    for (const char *rest = p->path.parent; *rest;) {
        size_t n = strcspn(rest, "/"), done = strlen(path);
        char name[NAME_MAX + 1];
        if (n >= sizeof name)
            return zl_fail(err, ZL_ERR_INVALID, "a name is too long");
        (void)memcpy(name, rest, n);
        name[n] = '\0';
        if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
            return zl_fail_errno(err, "create the folder '%s'", name);
        (void)snprintf(path + done, sizeof path - done, "%s%s", done ? "/" : "", name);
        int next = open_at(p, path, O_PATH | O_DIRECTORY, err);
        if (next < 0)
            return -1;
        (void)close(at);
        at = next;
        rest += n + (rest[n] == '/');
    }
    return zl_take_fd(&at);
}

static int open_parent(struct place *p, struct zl_error *err)
{
    int fd = open_at(p, p->path.parent, O_PATH | O_DIRECTORY, err);
    return fd < 0 && err->errnum == ENOENT ? make_parents(p, err) : fd;
}

/* ---- what is in the way --------------------------------------------------------------------- */

/* Whether something stays: a folder where a folder is to be. -1: it may not be replaced. */
static int make_room(const struct place *p, int parent, struct zl_error *err)
{
    struct stat st;
    const char *name = p->path.name;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "look at what is there");
    bool is_folder = S_ISDIR(st.st_mode), wanted = p->entry.type == TAR_DIR;
    if (is_folder && wanted)
        return 1;
    if (is_folder != wanted && p->o->same_types)
        return zl_fail(err, ZL_ERR_CONFLICT,
                       is_folder ? "a folder is there" : "no folder is there");
    return zl_remove_tree(parent, name, err);
}

/* The path in the folder, by its new name. */
static int parse_path(const struct place *p, const char *path, struct tree_path *ret,
                      struct zl_error *err)
{
    zl_autobuf struct zl_buf renamed = ZL_BUF(PATH_BYTES);
    if (!p->o->name)
        return tree_path_parse(path, ret, err);
    while (strncmp(path, "./", 2) == 0 || *path == '/')
        path += *path == '/' ? 1 : 2;
    if (strncmp(path, "../", 3) == 0 || strcmp(path, "..") == 0)
        return zl_fail(err, ZL_ERR_INVALID, "the path '%s' leads upwards", path);
    zl_buf_addf(&renamed, "%s%s", p->o->name, path + strcspn(path, "/"));
    if (zl_buf_check(&renamed, "a path", err) < 0)
        return -1;
    return tree_path_parse(renamed.data, ret, err);
}

/* ---- entries -------------------------------------------------------------------------------- */

static int write_data(struct place *p, int fd, struct zl_error *err)
{
    const void *bytes;
    uint64_t offset;
    ssize_t n;
    while ((n = tar_data(p->tar, &bytes, &offset, err)) > 0)
        for (const char *from = bytes; n > 0;) {
            ssize_t done = pwrite(fd, from, (size_t)n, (off_t)offset);
            if (done < 0 && errno == EINTR)
                continue;
            if (done < 0)
                return zl_fail_errno(err, "write it");
            from += done;
            offset += (uint64_t)done;
            n -= done;
        }
    if (n < 0)
        return zl_wrap(err, "read its contents");
    return ftruncate(fd, (off_t)p->entry.size) < 0 ? zl_fail_errno(err, "set its size") : 0;
}

static int place_file(struct place *p, int parent, struct zl_error *err)
{
    zl_autoclose int fd =
        openat(parent, p->path.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return zl_fail_errno(err, "create it");
    if (write_data(p, fd, err) < 0)
        return -1;
    if (fchown(fd, p->entry.uid, p->entry.gid) < 0) /* also where its folder gives its own group */
        return zl_fail_errno(err, "set its owner");
    if (fchmod(fd, p->entry.mode) < 0)
        return zl_fail_errno(err, "set its mode");
    return attributes_of_file(fd, &p->entry, err);
}

static int place_folder(struct place *p, int parent, struct zl_error *err)
{
    const char *name = p->path.text[0] ? p->path.name : ".";
    const struct late late = { p->entry.mtime, p->entry.mode, strlen(p->path.text) };
    if (p->path.text[0] && mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
        return zl_fail_errno(err, "create it");
    zl_autoclose int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return zl_fail_errno(err, "open it");
    if (!p->path.text[0])
        return 0; /* the folder itself stays as it is */
    zl_buf_add(&p->late, &late, sizeof late);
    zl_buf_add(&p->late, p->path.text, late.path_len + 1);
    if (zl_buf_check(&p->late, "what folders are like", err) < 0)
        return -1;
    return attributes_of_folder(fd, &p->entry, err);
}

static int place_hardlink(struct place *p, int parent, struct zl_error *err)
{
    struct tree_path to;
    if (parse_path(p, p->entry.link, &to, err) < 0)
        return zl_wrap(err, "the target of the hard link");
    zl_autoclose int from = open_at(p, to.parent, O_PATH | O_DIRECTORY, err);
    if (from < 0)
        return zl_wrap(err, "the target of the hard link");
    if (linkat(from, to.name, parent, p->path.name, 0) < 0)
        return zl_fail_errno(err, "link it to '%s'", to.text);
    return 0;
}

static int place_node(struct place *p, int parent, struct zl_error *err)
{
    static const mode_t types[] = {
        [TAR_CHAR] = S_IFCHR, [TAR_BLOCK] = S_IFBLK, [TAR_FIFO] = S_IFIFO
    };
    const struct tar_entry *e = &p->entry;
    int rc = e->type == TAR_SYMLINK ? symlinkat(e->link, parent, p->path.name)
                                    : mknodat(parent, p->path.name, types[e->type] | 0600,
                                              makedev(e->dev_major, e->dev_minor));
    if (rc < 0)
        return zl_fail_errno(err, "create it");
    return attributes_of_node(parent, p->path.name, e, err);
}

static int place_one(struct place *p, struct zl_error *err)
{
    static int (*const by_type[])(struct place *, int, struct zl_error *) = {
        [TAR_FILE] = place_file, [TAR_HARDLINK] = place_hardlink, [TAR_SYMLINK] = place_node,
        [TAR_CHAR] = place_node, [TAR_BLOCK] = place_node,        [TAR_DIR] = place_folder,
        [TAR_FIFO] = place_node,
    };
    if (parse_path(p, p->entry.path, &p->path, err) < 0)
        return -1;
    if (!p->path.text[0] && p->entry.type != TAR_DIR)
        return zl_fail(err, ZL_ERR_INVALID, "it has no name");
    if (!p->o->keep_owner) {
        p->entry.uid = p->o->uid;
        p->entry.gid = p->o->gid;
    }
    zl_autoclose int parent = open_parent(p, err);
    if (parent < 0 || (p->path.text[0] && make_room(p, parent, err) < 0))
        return -1;
    return by_type[p->entry.type](p, parent, err);
}

/* A later entry, or the container, has put something else in a folder's place: a link is not
 * followed to what it leads to. */
static bool is_other_now(int errnum)
{
    return errnum == ELOOP || errnum == ENOTDIR || errnum == ENOENT;
}

/* Nobody could write into them, or their times would change, before everything is in them. */
static int finish_folders(struct place *p, struct zl_error *err)
{
    for (size_t at = 0; at < p->late.len;) {
        struct late late;
        (void)memcpy(&late, p->late.data + at, sizeof late);
        const char *path = p->late.data + at + sizeof late;
        const struct timespec both[2] = { late.mtime, late.mtime };
        at += sizeof late + late.path_len + 1;
        zl_autoclose int fd = open_at(p, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, err);
        if (fd < 0 && is_other_now(err->errnum))
            continue;
        if (fd < 0)
            return -1;
        if (fchmod(fd, late.mode) < 0 || futimens(fd, both) < 0)
            return zl_fail_errno(err, "set mode and time of '%s'", path);
    }
    return 0;
}

int place_tar(struct tar *tar, int root_fd, const char *folder, const struct place_options *o,
              struct zl_error *err)
{
    zl_autofree struct place *p = calloc(1, sizeof *p);
    int rc;
    if (!p)
        return zl_fail_errno(err, "copy into '%s'", folder);
    *p = (struct place){ .tar = tar, .o = o, .root_fd = root_fd, .folder = folder };
    zl_buf_init(&p->late, FOLDERS_MAX);
    zl_autoclose int dir = open_at(p, ".", O_PATH | O_DIRECTORY, err);
    if (dir < 0) {
        err->kind = err->errnum == ENOENT ? ZL_ERR_NOT_FOUND : ZL_ERR_INVALID;
        return zl_wrap(err, "copy into '%s'", folder);
    }
    while ((rc = tar_next(tar, &p->entry, err)) > 0)
        if (place_one(p, err) < 0) {
            rc = zl_wrap(err, "'%s'", p->entry.path);
            break;
        }
    if (rc == 0)
        rc = finish_folders(p, err);
    zl_buf_done(&p->late);
    return rc < 0 ? zl_wrap(err, "copy into '%s'", folder) : 0;
}
