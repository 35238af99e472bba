// SPDX-License-Identifier: Apache-2.0
#include "base/fd.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/openat2.h"

static int open_resolved(int dir_fd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    return zl_openat2(dir_fd, path, (unsigned)flags | O_CLOEXEC,
                      flags & (O_CREAT | O_TMPFILE) ? mode : 0, resolve);
}

int zl_open_in_root(int root_fd, const char *path, int flags, struct zl_error *err)
{
    int fd = open_resolved(root_fd, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    return fd >= 0 ? fd : zl_fail_errno(err, "open '%s' in the root filesystem", path);
}

int zl_open_beneath(int dir_fd, const char *path, int flags, mode_t mode, struct zl_error *err)
{
    int fd = open_resolved(dir_fd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    return fd >= 0 ? fd : zl_fail_errno(err, "open '%s'", path);
}

int zl_open_dir(int dir_fd, const char *path, struct zl_error *err)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : zl_fail_errno(err, "open directory '%s'", path);
}

int zl_make_dir(int dir_fd, const char *name, mode_t mode, struct zl_error *err)
{
    if (mkdirat(dir_fd, name, mode) < 0)
        return zl_fail_errno(err, "create directory '%s'", name);
    zl_autoclose int fd = zl_open_dir(dir_fd, name, err);
    if (fd >= 0 && fchmod(fd, mode) < 0)
        return zl_fail_errno(err, "set the mode of '%s'", name);
    return zl_take_fd(&fd);
}

int zl_mkdir_p(int dir_fd, const char *path, mode_t mode, struct zl_error *err)
{
    zl_autofree char *copy = strdup(path);
    if (!copy)
        return zl_fail_errno(err, "create directory '%s'", path);

    zl_autoclose int at =
        openat(dir_fd, path[0] == '/' ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return zl_fail_errno(err, "create directory '%s'", path);
    char *rest = NULL;
    for (char *part = strtok_r(copy, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
        if (mkdirat(at, part, mode) < 0 && errno != EEXIST)
            return zl_fail_errno(err, "create directory '%s' at '%s'", path, part);
        int next = openat(at, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (next < 0)
            return zl_fail_errno(err, "create directory '%s' at '%s'", path, part);
        (void)close(at);
        at = next;
    }
    return zl_take_fd(&at);
}

struct removal {
    int dir_fd;
    dev_t dev; /* of all that is removed */
};

static int remove_from(void *arg, const struct dirent *entry, struct zl_error *err);

static int remove_children(int dir_fd, dev_t dev, struct zl_error *err)
{
    struct removal below = { dir_fd, dev };
    struct stat st;
    if (fstat(dir_fd, &st) < 0)
        return zl_fail_errno(err, "stat");
    if (st.st_dev != dev)
        return zl_fail(err, ZL_ERR_CONFLICT, "another file system is mounted there");
    return zl_dir_each(dir_fd, "it", remove_from, &below, err);
}

static int remove_entry(int dir_fd, const char *name, dev_t dev, struct zl_error *err)
{
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return zl_fail_errno(err, "remove '%s'", name);

    zl_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return zl_fail_errno(err, "remove '%s'", name);
    if (remove_children(fd, dev, err) < 0)
        return zl_wrap(err, "remove '%s'", name);
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return zl_fail_errno(err, "remove '%s'", name);
    return 0;
}

static int remove_from(void *arg, const struct dirent *entry, struct zl_error *err)
{
    const struct removal *r = arg;
    return remove_entry(r->dir_fd, entry->d_name, r->dev, err);
}

int zl_remove_tree(int dir_fd, const char *name, struct zl_error *err)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return 0;
        return zl_fail_errno(err, "remove '%s'", name);
    }
    return remove_entry(dir_fd, name, st.st_dev, err);
}

int zl_await(int fd, short events, uint64_t until_ms, struct zl_error *err)
{
    struct pollfd p = { .fd = fd, .events = events };
    for (;;) {
        uint64_t now = zl_mono_ms(), left = until_ms > now ? until_ms - now : 0;
        int n = poll(&p, 1, left < INT_MAX ? (int)left : INT_MAX);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return zl_fail_errno(err, "poll");
        if (n == 0 && left < INT_MAX)
            return zl_fail(err, ZL_ERR_TIMEOUT, "it took too long");
    }
}

/* One read(2), again after a signal. */
static ssize_t read_some(int fd, void *room, size_t n)
{
    ssize_t got;
    do {
        got = read(fd, room, n);
    } while (got < 0 && errno == EINTR);
    return got;
}

int zl_read_until(int fd, struct zl_buf *out, uint64_t until_ms, const char *name,
                  struct zl_error *err)
{
    for (;;) {
        size_t left = out->max - out->len;
        size_t want = left < 16384 ? left : 16384;
        char probe;
        char *room = want ? zl_buf_reserve(out, want) : &probe; /* full: only end-of-file is fine */
        if (!room)
            return zl_buf_check(out, name, err);
        if (until_ms != UINT64_MAX && zl_await(fd, POLLIN, until_ms, err) < 0)
            return zl_wrap(err, "wait for the end of '%s'", name);
        ssize_t n = read_some(fd, room, want ? want : 1);
        if (n <= 0)
            return n < 0 ? zl_fail_errno(err, "read '%s'", name) : 0;
        if (!want)
            return zl_fail(err, ZL_ERR_INVALID, "'%s' is larger than %zu bytes", name, out->max);
        out->len += (size_t)n;
        out->data[out->len] = '\0';
    }
}

int zl_read_fd(int fd, struct zl_buf *out, const char *name, struct zl_error *err)
{
    return zl_read_until(fd, out, UINT64_MAX, name, err);
}

int zl_read_file(int dir_fd, const char *path, struct zl_buf *out, struct zl_error *err)
{
    zl_autoclose int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return zl_fail_errno(err, "open '%s'", path);
    return zl_read_fd(fd, out, path, err);
}

int zl_write_all(int fd, const void *bytes, size_t n, const char *name, struct zl_error *err)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return zl_fail_errno(err, "write '%s'", name);
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

int zl_write_file(int dir_fd, const char *path, const char *text, struct zl_error *err)
{
    zl_autoclose int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return zl_fail_errno(err, "open '%s'", path);
    size_t n = strlen(text);
    ssize_t w;
    do {
        w = write(fd, text, n);
    } while (w < 0 && errno == EINTR);
    if (w < 0)
        return zl_fail_errno(err, "write '%s' to '%s'", text, path);
    if ((size_t)w != n)
        return zl_fail(err, ZL_ERR_SYSTEM, "write '%s' to '%s': only %zd bytes taken", text, path,
                       w);
    return 0;
}

static int write_temporary(int fd, const char *tmp, const void *bytes, size_t n, mode_t mode,
                           bool durable, struct zl_error *err)
{
    if (zl_write_all(fd, bytes, n, tmp, err) < 0)
        return -1;
    if (fchmod(fd, mode) < 0) /* whatever the umask is */
        return zl_fail_errno(err, "set the mode of '%s'", tmp);
    if (durable && fsync(fd) < 0)
        return zl_fail_errno(err, "sync '%s'", tmp);
    return 0;
}

int zl_write_new(int dir_fd, const char *name, const void *bytes, size_t n, mode_t mode,
                 struct zl_error *err)
{
    zl_autoclose int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return zl_fail_errno(err, "create '%s'", name);
    return write_temporary(fd, name, bytes, n, mode, false, err);
}

/* The folder may be one where others write: what is there already is not gone through, whether it
 * is of one of us who was killed or a link that was put there. */
static int open_temporary(int dir_fd, const char *tmp)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir_fd, tmp, flags, 0600);

    if (fd < 0 && errno == EEXIST && unlinkat(dir_fd, tmp, 0) == 0)
        fd = openat(dir_fd, tmp, flags, 0600);
    return fd;
}

int zl_write_atomic(int dir_fd, const char *name, const void *bytes, size_t n, mode_t mode,
                    bool durable, struct zl_error *err)
{
    char tmp[300];
    if (snprintf(tmp, sizeof tmp, ".%s.%d.tmp", name, (int)getpid()) >= (int)sizeof tmp)
        return zl_fail(err, ZL_ERR_INVALID, "write '%s': the name is too long", name);

    zl_autoclose int fd = open_temporary(dir_fd, tmp);
    if (fd < 0)
        return zl_fail_errno(err, "create '%s'", tmp);
    int rc = write_temporary(fd, tmp, bytes, n, mode, durable, err);
    if (rc == 0 && renameat(dir_fd, tmp, dir_fd, name) < 0)
        rc = zl_fail_errno(err, "rename '%s' to '%s'", tmp, name);
    if (rc < 0) {
        (void)unlinkat(dir_fd, tmp, 0); /* the first failure is the one to report */
        return rc;
    }
    if (durable && fsync(dir_fd) < 0)
        return zl_fail_errno(err, "sync the directory of '%s'", name);
    return 0;
}

int zl_memory_file(const char *name, const void *bytes, size_t n, struct zl_error *err)
{
    zl_autoclose int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return zl_fail_errno(err, "hold '%s' in memory", name);
    if (zl_write_all(fd, bytes, n, name, err) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return zl_fail_errno(err, "rewind '%s'", name);
    return zl_take_fd(&fd);
}

int zl_seal(int fd, const char *name, struct zl_error *err)
{
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    return fcntl(fd, F_ADD_SEALS, seals) < 0 ? zl_fail_errno(err, "seal '%s' in memory", name) : 0;
}

int zl_sealed(const char *name, const void *bytes, size_t n, struct zl_error *err)
{
    zl_autoclose int fd = zl_memory_file(name, bytes, n, err);
    return fd < 0 || zl_seal(fd, name, err) < 0 ? -1 : zl_take_fd(&fd);
}

int zl_dup_above(int fd, int min, struct zl_error *err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, min);
    return copy >= 0 ? copy : zl_fail_errno(err, "duplicate descriptor %d", fd);
}

static void sort_fds(int *fds, size_t n)
{
    for (size_t i = 1; i < n; i++) { /* a handful; qsort(3) may allocate */
        int fd = fds[i];
        size_t at = i;
        for (; at > 0 && fds[at - 1] > fd; at--)
            fds[at] = fds[at - 1];
        fds[at] = fd;
    }
}

int zl_close_others(int first, int *kept, size_t n)
{
    sort_fds(kept, n);
    for (size_t i = 0; i < n; i++) {
        if (kept[i] < first)
            continue;
        if (kept[i] > first && syscall(SYS_close_range, first, kept[i] - 1, 0) < 0)
            return -1;
        first = kept[i] + 1;
    }
    return (int)syscall(SYS_close_range, first, ~0U, 0);
}

int zl_unix_address(int dir_fd, const char *name, struct sockaddr_un *ret, struct zl_error *err)
{
    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    int n = snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/%s", dir_fd, name);
    if (n < 0 || (size_t)n >= sizeof ret->sun_path)
        return zl_fail(err, ZL_ERR_INVALID, "the socket name '%s' is too long", name);
    return 0;
}
