// SPDX-License-Identifier: Apache-2.0
/*
 * A folder of the image into the tmpfs that covers it (the mount option tmpcopyup): files, folders,
 * links and nodes with owner, mode, time and extended attributes. The image is hostile: nothing is
 * followed, and no folder is entered more than DEPTH_MAX deep. Works on the child's stack.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sandbox/carry/child.h"

enum { DEPTH_MAX = 64, DENTS_SIZE = 4096, XATTR_SIZE = 4096, CHUNK = 1 << 20 };

struct dent { /* struct linux_dirent64 of getdents64(2) */
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

/* What tmpfs does not keep (user.* before Linux 6.6) is left out. */
static __attribute__((noinline)) int copy_xattrs(int from, int to)
{
    char names[XATTR_SIZE], value[XATTR_SIZE];
    ssize_t n = flistxattr(from, names, sizeof names);

    if (n < 0)
        return errno == EOPNOTSUPP ? 0 : -1;
    for (const char *name = names; name < names + n; name += strlen(name) + 1) {
        ssize_t size = fgetxattr(from, name, value, sizeof value);
        if (size < 0 || (fsetxattr(to, name, value, (size_t)size, 0) < 0 && errno != EOPNOTSUPP))
            return -1;
    }
    return 0;
}

/* Of an open file or folder; chown(2) clears set-user-ID, so the mode comes after. */
static int copy_properties(int from, int to, const struct stat *st)
{
    struct timespec times[2] = { st->st_atim, st->st_mtim };

    return fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0 ||
                   copy_xattrs(from, to) < 0
               ? -1
               : futimens(to, times);
}

static int copy_bytes(int from, int to)
{
    ssize_t n;

    do
        n = sendfile(to, from, NULL, CHUNK);
    while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? -1 : 0;
}

/* Both are closed. */
static int finish(int from, int to, int rc)
{
    int saved = errno;

    (void)close(from);
    if (to >= 0 && close(to) < 0 && rc == 0)
        return -1;
    errno = saved;
    return rc;
}

static int copy_file(int from_dir, int to_dir, const char *name, const struct stat *st)
{
    int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int to;

    if (from < 0)
        return -1;
    to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return finish(from, to,
                  to < 0 || copy_bytes(from, to) < 0 || copy_properties(from, to, st) < 0 ? -1 : 0);
}

static int copy_link(int from_dir, int to_dir, const char *name, const struct stat *st)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(from_dir, name, target, sizeof target - 1);

    if (n < 0)
        return -1;
    target[n] = '\0';
    if (symlinkat(target, to_dir, name) < 0)
        return -1;
    return fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_node(int to_dir, const char *name, const struct stat *st)
{
    if (mknodat(to_dir, name, st->st_mode & (S_IFMT | 0777), st->st_rdev) < 0)
        return -1;
    return fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_entries(int from, int to, int depth);

static int copy_folder(int from_dir, int to_dir, const char *name, const struct stat *st, int depth)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int from, to;

    if (depth == DEPTH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    from = openat(from_dir, name, flags);
    if (from < 0)
        return -1;
    to = mkdirat(to_dir, name, 0700) < 0 ? -1 : openat(to_dir, name, flags);
    return finish(
        from, to,
        to < 0 || copy_entries(from, to, depth) < 0 || copy_properties(from, to, st) < 0 ? -1 : 0);
}

static int copy_entry(int from, int to, const char *name, int depth)
{
    struct stat st;

    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    switch (st.st_mode & S_IFMT) {
    case S_IFDIR:
        return copy_folder(from, to, name, &st, depth + 1);
    case S_IFREG:
        return copy_file(from, to, name, &st);
    case S_IFLNK:
        return copy_link(from, to, name, &st);
    default:
        return copy_node(to, name, &st);
    }
}

static int copy_entries(int from, int to, int depth)
{
    _Alignas(struct dent) char dents[DENTS_SIZE];
    long n;

    while ((n = syscall(SYS_getdents64, from, dents, sizeof dents)) > 0)
        for (long at = 0; at < n;) {
            const struct dent *d = (const void *)(dents + at);
            at += d->reclen;
            if (strcmp(d->name, ".") != 0 && strcmp(d->name, "..") != 0 &&
                copy_entry(from, to, d->name, depth) < 0)
                return -1;
        }
    return n < 0 ? -1 : 0;
}

int child_copy_tree(int from_path, int to_path, bool itself)
{
    int from = openat(from_path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int to;
    struct stat st;

    if (from < 0)
        return -1;
    to = fstat(from, &st) < 0 ? -1 : openat(to_path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return finish(from, to,
                  to < 0 || copy_entries(from, to, 0) < 0 ||
                          (itself && copy_properties(from, to, &st) < 0)
                      ? -1
                      : 0);
}
