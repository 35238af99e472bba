// SPDX-License-Identifier: Apache-2.0
/*
 * Paths. What exists is opened beneath the descriptor and worked on by its own descriptor; what is
 * made, moved or removed is a last component in a folder that was opened that way. System calls
 * that take a folder and a name never follow the name, so nothing here leads out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/openat2.h"
#include "base/utf8.h"
#include "wasm/wasi/abi.h"
#include "wasm/wasi/wasi.h"

int wasi_open_beneath(int dir, const char *path, uint64_t flags, uint64_t mode)
{
    uint64_t always = O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY); /* openat2(2) is strict there */

    return zl_openat2(dir, path, flags | always, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

/* The words of errno for what led out of a preopen. */
static uint32_t path_errno(void)
{
    return errno == EXDEV ? WASI_EPERM : wasi_errno_of(errno);
}

static bool has_bytes(const char *bytes, size_t n)
{
    return n > 0 && !memchr(bytes, '\0', n);
}

uint32_t wasi_path(struct wasi *w, uint32_t ptr, uint32_t n, char out[WASI_PATH_MAX])
{
    const char *bytes = wasi_at(w, ptr, n);

    if (!bytes)
        return WASI_TRAPS;
    if (n >= WASI_PATH_MAX)
        return WASI_ENAMETOOLONG;
    if (!has_bytes(bytes, n))
        return n ? WASI_EINVAL : WASI_ENOENT;
    memcpy(out, bytes, n);
    out[n] = '\0';
    if (zl_utf8_check(out, n) != n)
        return WASI_EILSEQ;
    return WASI_OK;
}

/* A descriptor of the guest and a path below it. */
struct place {
    struct wasi_fd *dir;
    char path[WASI_PATH_MAX];
};

static uint32_t find_place(struct wasi *w, const wasmtime_val_raw_t *fd,
                           const wasmtime_val_raw_t *path, struct place *p)
{
    struct wasi_fd *f = wasi_find(w, (uint32_t)fd->i32);

    if (!f || f->kind == WASI_STDIO || f->kind == WASI_SOCKET)
        return WASI_EBADF;
    if (f->kind != WASI_DIR)
        return WASI_ENOTDIR;
    p->dir = f;
    return wasi_path(w, (uint32_t)path[0].i32, (uint32_t)path[1].i32, p->path);
}

static bool is_above(const char *last)
{
    return strncmp(last, "..", 2) == 0 && last[2 + strspn(last + 2, "/")] == '\0';
}

/* No system call removes or makes a "..", but its word for one that leads out would be another. */
static bool leads_out(const struct place *p)
{
    int fd = wasi_open_beneath(p->dir->fd, p->path, O_PATH, 0);

    if (fd >= 0)
        (void)close(fd);
    return fd < 0;
}

/* The folder that the last component is in; *ret_last leads into p->path and keeps the slashes
 * behind it, which mean "a directory" to the kernel as to the guest. -1 and errno. */
static int open_parent(struct place *p, const char **ret_last)
{
    size_t end = strlen(p->path);

    while (end > 0 && p->path[end - 1] == '/')
        end--;
    while (end > 0 && p->path[end - 1] != '/')
        end--;
    *ret_last = p->path + end;
    if (p->path[0] == '/') {
        errno = EXDEV;
        return -1;
    }
    if (is_above(*ret_last) && leads_out(p))
        return -1;
    if (end == 0)
        return wasi_open_beneath(p->dir->fd, ".", O_PATH | O_DIRECTORY, 0);
    p->path[end - 1] = '\0';
    return wasi_open_beneath(p->dir->fd, p->path, O_PATH | O_DIRECTORY, 0);
}

/* What is there already, whatever it is. -1 and errno. */
static int open_existing(const struct place *p, bool follow)
{
    return wasi_open_beneath(p->dir->fd, p->path, O_PATH | (follow ? 0 : O_NOFOLLOW), 0);
}

/* ---- open ---- */

static const struct {
    uint32_t guest;
    uint64_t host;
} open_flags[] = {
    { WASI_CREAT, O_CREAT },
    { WASI_DIRECTORY, O_DIRECTORY },
    { WASI_EXCL, O_EXCL },
    { WASI_TRUNC, O_TRUNC },
}, fd_flags[] = {
    { WASI_APPEND, O_APPEND }, { WASI_DSYNC, O_DSYNC }, { WASI_NONBLOCK, O_NONBLOCK },
    { WASI_RSYNC, O_SYNC },    { WASI_SYNC, O_SYNC },
};

/* Of the rights only reading and writing make a difference to the host. */
static uint64_t host_flags(uint32_t oflags, uint64_t rights, uint32_t fdflags)
{
    bool writes = rights & WASI_FD_WRITE || oflags & WASI_TRUNC;
    bool reads = rights & (WASI_FD_READ | WASI_FD_READDIR) || !writes;
    uint64_t flags = writes ? reads ? O_RDWR : O_WRONLY : O_RDONLY;

    for (size_t i = 0; i < ZL_ARRAY_LEN(open_flags); i++)
        flags |= oflags & open_flags[i].guest ? open_flags[i].host : 0;
    for (size_t i = 0; i < ZL_ARRAY_LEN(fd_flags); i++)
        flags |= fdflags & fd_flags[i].guest ? fd_flags[i].host : 0;
    return flags;
}

static uint32_t open_checked(struct wasi *w, const struct place *p, uint64_t flags, uint32_t ret_at)
{
    struct stat st;
    uint32_t number;
    int fd;

    while ((fd = wasi_open_beneath(p->dir->fd, p->path, flags, flags & O_CREAT ? 0666 : 0)) < 0) {
        uint32_t rc = errno == EINTR ? wasi_failed(w) : path_errno();
        if (rc)
            return rc;
    }
    if (fstat(fd, &st) < 0) {
        (void)close(fd);
        return wasi_errno_of(errno);
    }
    uint32_t rc =
        wasi_add(w, S_ISDIR(st.st_mode) ? WASI_DIR : WASI_FILE, fd, p->dir->readonly, &number);
    return rc ? rc : wasi_put_u32(w, ret_at, number);
}

static uint32_t path_open(struct wasi *w, const wasmtime_val_raw_t *a)
{
    uint32_t oflags = (uint32_t)a[4].i32, fdflags = (uint32_t)a[7].i32;
    struct place p;
    uint32_t rc = find_place(w, &a[0], &a[2], &p);

    if (rc)
        return rc;
    if (oflags & WASI_DIRECTORY && oflags & (WASI_CREAT | WASI_EXCL | WASI_TRUNC))
        return WASI_EINVAL;
    if (fdflags & ~(uint32_t)WASI_FDFLAGS_ALL)
        return WASI_EINVAL;
    uint64_t flags = host_flags(oflags, (uint64_t)a[5].i64, fdflags);
    if (p.dir->readonly && (flags & (O_ACCMODE | O_CREAT | O_TRUNC)) != O_RDONLY)
        return WASI_EROFS;
    if (!((uint32_t)a[1].i32 & WASI_SYMLINK_FOLLOW))
        flags |= O_NOFOLLOW;
    return open_checked(w, &p, flags, (uint32_t)a[8].i32);
}

/* ---- what exists ---- */

static uint32_t path_filestat_get(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct place p;
    struct stat st;
    struct wasi_filestat out;
    uint32_t rc = find_place(w, &a[0], &a[2], &p);

    if (rc)
        return rc;
    zl_autoclose int fd = open_existing(&p, (uint32_t)a[1].i32 & WASI_SYMLINK_FOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0)
        return path_errno();
    wasi_fill_filestat(&st, &out);
    return wasi_put(w, (uint32_t)a[4].i32, &out, sizeof out);
}

static uint32_t path_filestat_set_times(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct place p;
    struct timespec times[2];
    uint32_t rc = find_place(w, &a[0], &a[2], &p);

    if (rc)
        return rc;
    if (!wasi_times((uint64_t)a[4].i64, (uint64_t)a[5].i64, (uint32_t)a[6].i32, times))
        return WASI_EINVAL;
    if (p.dir->readonly)
        return WASI_EROFS;
    zl_autoclose int fd = open_existing(&p, (uint32_t)a[1].i32 & WASI_SYMLINK_FOLLOW);
    if (fd < 0 || utimensat(fd, "", times, AT_EMPTY_PATH) < 0)
        return path_errno();
    return WASI_OK;
}

static uint32_t path_readlink(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct place p;
    uint32_t rc = find_place(w, &a[0], &a[1], &p);
    size_t size = (uint32_t)a[4].i32;

    if (rc)
        return rc;
    char *to = wasi_at(w, (uint32_t)a[3].i32, size);
    if (!to)
        return WASI_TRAPS;
    zl_autoclose int fd = open_existing(&p, false);
    if (fd < 0)
        return path_errno();
    char target[WASI_PATH_MAX];
    ssize_t n = readlinkat(fd, "", target, sizeof target);
    if (n < 0) /* ENOENT: what it is open on is no link (readlink(2), empty path) */
        return errno == ENOENT ? WASI_EINVAL : wasi_errno_of(errno);
    size_t part = (size_t)n < size ? (size_t)n : size;
    memcpy(to, target, part);
    return wasi_put_u32(w, (uint32_t)a[5].i32, (uint32_t)part);
}

/* ---- what is made and removed ---- */

static uint32_t with_parent(struct wasi *w, const wasmtime_val_raw_t *a,
                            int (*act)(int dir, const char *name))
{
    struct place p;
    const char *last;
    uint32_t rc = find_place(w, &a[0], &a[1], &p);

    if (rc)
        return rc;
    if (p.dir->readonly)
        return WASI_EROFS;
    zl_autoclose int dir = open_parent(&p, &last);
    return dir < 0 || act(dir, last) < 0 ? path_errno() : WASI_OK;
}

static int make_directory(int dir, const char *name)
{
    return mkdirat(dir, name, 0777);
}

static int remove_directory(int dir, const char *name)
{
    return unlinkat(dir, name, AT_REMOVEDIR);
}

static int unlink_file(int dir, const char *name)
{
    return unlinkat(dir, name, 0);
}

static uint32_t path_create_directory(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return with_parent(w, a, make_directory);
}

static uint32_t path_remove_directory(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return with_parent(w, a, remove_directory);
}

static uint32_t path_unlink_file(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return with_parent(w, a, unlink_file);
}

/* An absolute target would mean something else on the host: who made it there could be led astray.
 */
static uint32_t path_symlink(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct place p;
    char target[WASI_PATH_MAX];
    const char *last;
    uint32_t rc = wasi_path(w, (uint32_t)a[0].i32, (uint32_t)a[1].i32, target);

    rc = rc ? rc : find_place(w, &a[2], &a[3], &p);
    if (rc)
        return rc;
    if (target[0] == '/')
        return WASI_EPERM;
    if (p.dir->readonly)
        return WASI_EROFS;
    zl_autoclose int dir = open_parent(&p, &last);
    return dir < 0 || symlinkat(target, dir, last) < 0 ? path_errno() : WASI_OK;
}

/* ---- between two places ---- */

static uint32_t with_parents(struct wasi *w, const wasmtime_val_raw_t *from,
                             const wasmtime_val_raw_t *from_path, const wasmtime_val_raw_t *to,
                             int (*act)(int, const char *, int, const char *))
{
    struct place a, b;
    const char *last_a, *last_b;
    uint32_t rc = find_place(w, from, from_path, &a);

    rc = rc ? rc : find_place(w, &to[0], &to[1], &b);
    if (rc)
        return rc;
    if (a.dir->readonly || b.dir->readonly)
        return WASI_EROFS;
    zl_autoclose int dir_a = open_parent(&a, &last_a);
    zl_autoclose int dir_b = dir_a < 0 ? -1 : open_parent(&b, &last_b);
    if (dir_a < 0 || dir_b < 0)
        return path_errno();
    /* EXDEV is here what it says: two file systems */
    return act(dir_a, last_a, dir_b, last_b) < 0 ? wasi_errno_of(errno) : WASI_OK;
}

static int link_files(int from, const char *name, int to, const char *new_name)
{
    return linkat(from, name, to, new_name, 0);
}

static uint32_t path_link(struct wasi *w, const wasmtime_val_raw_t *a)
{
    if ((uint32_t)a[1].i32 & WASI_SYMLINK_FOLLOW)
        return WASI_EINVAL; /* as wasmtime-wasi: a link to where a symlink leads is not offered */
    return with_parents(w, &a[0], &a[2], &a[4], link_files);
}

static uint32_t path_rename(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return with_parents(w, &a[0], &a[1], &a[3], renameat);
}

const struct wasi_function wasi_path_functions[] = {
    { "path_open", "iiiiiIIii", path_open },
    { "path_filestat_get", "iiiii", path_filestat_get },
    { "path_filestat_set_times", "iiiiIIi", path_filestat_set_times },
    { "path_readlink", "iiiiii", path_readlink },
    { "path_create_directory", "iii", path_create_directory },
    { "path_remove_directory", "iii", path_remove_directory },
    { "path_unlink_file", "iii", path_unlink_file },
    { "path_symlink", "iiiii", path_symlink },
    { "path_link", "iiiiiii", path_link },
    { "path_rename", "iiiiii", path_rename },
    { NULL, NULL, NULL },
};
