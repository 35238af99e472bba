// SPDX-License-Identifier: Apache-2.0
#include "fetch/layer/compare.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/dir.h"

enum { PIECE = 64 * 1024 };

struct compare {
    char path[PATH_MAX]; /* of the pair in hand, for messages */
    char a[PIECE], b[PIECE];
    struct zl_error *err;
};

static int differ(struct compare *c, const char *what)
{
    return zl_fail(c->err, ZL_ERR_INVALID, "'%s': its %s is not what the image says", c->path,
                   what);
}

static int compare_stat(struct compare *c, const struct stat *a, const struct stat *b)
{
    if ((a->st_mode & S_IFMT) != (b->st_mode & S_IFMT))
        return differ(c, "type");
    if (a->st_mode != b->st_mode)
        return differ(c, "mode");
    if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
        return differ(c, "owner");
    if (a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec)
        return differ(c, "time");
    if (a->st_rdev != b->st_rdev)
        return differ(c, "device number");
    if (S_ISREG(a->st_mode) && a->st_size != b->st_size)
        return differ(c, "size");
    if (!S_ISDIR(a->st_mode) && a->st_nlink != b->st_nlink)
        return differ(c, "number of names");
    return 0;
}

/* The names of attributes that layers have, in c->a; how many bytes. */
static ssize_t list_attributes(int fd, char *names)
{
    ssize_t n = flistxattr(fd, names, PIECE), kept = 0;
    for (ssize_t at = 0; at < n;) {
        size_t len = strlen(names + at) + 1;
        if (strncmp(names + at, "user.", 5) == 0 ||
            strcmp(names + at, "security.capability") == 0) {
            memmove(names + kept, names + at, len);
            kept += (ssize_t)len;
        }
        at += (ssize_t)len;
    }
    return n < 0 && errno != EOPNOTSUPP ? -1 : kept;
}

static int compare_attributes(struct compare *c, int a, int b)
{
    char value_a[XATTR_SIZE_MAX], value_b[XATTR_SIZE_MAX];
    ssize_t n = list_attributes(a, c->a), n_b = list_attributes(b, c->b);
    if (n < 0 || n != n_b)
        return differ(c, "list of attributes");
    for (const char *name = c->a; name < c->a + n; name += strlen(name) + 1) {
        ssize_t size_a = fgetxattr(a, name, value_a, sizeof value_a);
        ssize_t size_b = fgetxattr(b, name, value_b, sizeof value_b);
        if (size_a < 0 || size_a != size_b || memcmp(value_a, value_b, (size_t)size_a) != 0)
            return differ(c, "list of attributes");
    }
    return 0;
}

static int compare_content(struct compare *c, int a, int b, off_t size)
{
    for (off_t at = 0; at < size;) {
        ssize_t n = pread(a, c->a, PIECE, at);
        ssize_t n_b = n > 0 ? pread(b, c->b, (size_t)n, at) : n;
        if (n <= 0 || n_b != n)
            return zl_fail_errno(c->err, "read '%s'", c->path);
        if (memcmp(c->a, c->b, (size_t)n) != 0)
            return differ(c, "content");
        at += n;
    }
    return 0;
}

static int compare_links(struct compare *c, int dir_a, int dir_b, const char *name)
{
    ssize_t n = readlinkat(dir_a, name, c->a, PIECE), n_b = readlinkat(dir_b, name, c->b, PIECE);
    return n >= 0 && n == n_b && memcmp(c->a, c->b, (size_t)n) == 0 ? 0 : differ(c, "target");
}

static int compare_folders(struct compare *c, int a, int b);

static int compare_pair(struct compare *c, int dir_a, int dir_b, const char *name)
{
    struct stat st_a, st_b;
    if (fstatat(dir_a, name, &st_a, AT_SYMLINK_NOFOLLOW) < 0 ||
        fstatat(dir_b, name, &st_b, AT_SYMLINK_NOFOLLOW) < 0)
        return zl_fail(c->err, ZL_ERR_INVALID, "'%s' is missing", c->path);
    if (compare_stat(c, &st_a, &st_b) < 0)
        return -1;
    if (S_ISLNK(st_a.st_mode))
        return compare_links(c, dir_a, dir_b, name);
    if (!S_ISREG(st_a.st_mode) && !S_ISDIR(st_a.st_mode))
        return 0;
    zl_autoclose int a = openat(dir_a, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    zl_autoclose int b = openat(dir_b, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (a < 0 || b < 0)
        return zl_fail_errno(c->err, "open '%s'", c->path);
    if (compare_attributes(c, a, b) < 0)
        return -1;
    return S_ISDIR(st_a.st_mode) ? compare_folders(c, a, b)
                                 : compare_content(c, a, b, st_a.st_size);
}

static long count_names(int fd)
{
    long n = 0;
    zl_autodir DIR *dir = zl_dir_open(fd, ".");
    if (!dir)
        return -1;
    while (readdir(dir))
        n++;
    return n;
}

static int compare_folders(struct compare *c, int a, int b)
{
    size_t len = strlen(c->path);
    if (count_names(a) != count_names(b))
        return differ(c, "list of names");
    zl_autodir DIR *dir = zl_dir_open(a, ".");
    if (!dir)
        return zl_fail_errno(c->err, "open '%s'", c->path);
    int rc = 0;
    const struct dirent *d;
    while (rc == 0 && (errno = 0, d = readdir(dir))) {
        if (zl_is_dots(d->d_name))
            continue;
        (void)snprintf(c->path + len, sizeof c->path - len, "/%s", d->d_name); /* for messages */
        rc = compare_pair(c, a, b, d->d_name);
        c->path[len] = '\0';
    }
    return rc == 0 && errno ? zl_fail_errno(c->err, "list '%s'", c->path) : rc;
}

int compare_trees(int found_fd, int wanted_fd, struct zl_error *err)
{
    struct compare *c = malloc(sizeof *c); /* two pieces: much for a stack */
    if (!c)
        return zl_fail_errno(err, "compare two trees");
    c->path[0] = '\0';
    c->err = err;
    int rc = compare_pair(c, found_fd, wanted_fd, ".");
    free(c);
    return rc;
}
