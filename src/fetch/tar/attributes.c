// SPDX-License-Identifier: Apache-2.0
#include "fetch/tar/attributes.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/xattr.h>

static bool starts_with(const char *s, const char *start)
{
    return strncmp(s, start, strlen(start)) == 0;
}

static bool is_kept(const char *name)
{
    return strcmp(name, "security.capability") == 0 ||
           (starts_with(name, "user.") && !starts_with(name, "user.overlay."));
}

static int set_xattr(int fd, const char *name, const void *value, size_t n, struct zl_error *err)
{
    if (!is_kept(name) || fsetxattr(fd, name, value, n, 0) == 0 || errno == EOPNOTSUPP)
        return 0;
    return zl_fail_errno(err, "set its attribute %.100s", name);
}

static int set_xattrs(int fd, const struct tar_entry *e, struct zl_error *err)
{
    for (size_t i = 0; i < e->n_xattrs; i++) {
        const struct tar_xattr *x = &e->xattrs[i];
        if (set_xattr(fd, x->name, x->value, x->n, err) < 0)
            return -1;
    }
    return 0;
}

static int set_owner(int fd, uid_t uid, gid_t gid, struct zl_error *err)
{
    return fchown(fd, uid, gid) < 0 ? zl_fail_errno(err, "set its owner") : 0;
}

static int set_time(int fd, const struct timespec *mtime, struct zl_error *err)
{
    const struct timespec both[2] = { *mtime, *mtime }; /* images know one time */
    return futimens(fd, both) < 0 ? zl_fail_errno(err, "set its time") : 0;
}

int attributes_of_file(int fd, const struct tar_entry *e, struct zl_error *err)
{
    bool owned = e->uid || e->gid;
    if (owned && set_owner(fd, e->uid, e->gid, err) < 0)
        return -1;
    if ((owned || e->mode & 07000) && fchmod(fd, e->mode) < 0)
        return zl_fail_errno(err, "set its mode");
    if (set_xattrs(fd, e, err) < 0)
        return -1;
    return set_time(fd, &e->mtime, err);
}

int attributes_of_folder(int fd, const struct tar_entry *e, struct zl_error *err)
{
    return set_owner(fd, e->uid, e->gid, err) < 0 ? -1 : set_xattrs(fd, e, err);
}

int attributes_of_node(int dir_fd, const char *name, const struct tar_entry *e,
                       struct zl_error *err)
{
    const struct timespec both[2] = { e->mtime, e->mtime };
    if (fchownat(dir_fd, name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return zl_fail_errno(err, "set its owner");
    /* Ours and no link: nothing else writes here. */
    if (e->type != TAR_SYMLINK && fchmodat(dir_fd, name, e->mode, 0) < 0)
        return zl_fail_errno(err, "set its mode");
    if (utimensat(dir_fd, name, both, AT_SYMLINK_NOFOLLOW) < 0)
        return zl_fail_errno(err, "set its time");
    return 0;
}

static int copy_xattrs(int from_fd, int to_fd, struct zl_error *err)
{
    char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
    ssize_t n = flistxattr(from_fd, names, sizeof names);
    if (n < 0)
        return errno == EOPNOTSUPP ? 0 : zl_fail_errno(err, "list attributes");
    for (const char *name = names; name < names + n; name += strlen(name) + 1) {
        ssize_t size = is_kept(name) ? fgetxattr(from_fd, name, value, sizeof value) : -1;
        if (size >= 0 && set_xattr(to_fd, name, value, (size_t)size, err) < 0)
            return -1;
    }
    return 0;
}

int attributes_copy(int from_fd, const struct stat *from, int to_fd, struct zl_error *err)
{
    if (set_owner(to_fd, from->st_uid, from->st_gid, err) < 0)
        return -1;
    if (fchmod(to_fd, from->st_mode & 07777) < 0)
        return zl_fail_errno(err, "set its mode");
    if (copy_xattrs(from_fd, to_fd, err) < 0)
        return -1;
    return set_time(to_fd, &from->st_mtim, err);
}
