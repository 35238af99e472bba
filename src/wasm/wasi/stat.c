// SPDX-License-Identifier: Apache-2.0
/* What descriptors and files are: flags, rights, sizes, times. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wasm/wasi/abi.h"
#include "wasm/wasi/wasi.h"

uint8_t wasi_filetype(uint32_t st_mode)
{
    switch (st_mode & S_IFMT) {
    case S_IFREG:
        return WASI_FILETYPE_REGULAR;
    case S_IFDIR:
        return WASI_FILETYPE_DIRECTORY;
    case S_IFLNK:
        return WASI_FILETYPE_SYMLINK;
    case S_IFCHR:
        return WASI_FILETYPE_CHARACTER;
    case S_IFBLK:
        return WASI_FILETYPE_BLOCK;
    case S_IFSOCK:
        return WASI_FILETYPE_STREAM;
    default:
        return WASI_FILETYPE_UNKNOWN; /* preview 1 has no word for a pipe */
    }
}

static uint64_t nanoseconds(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * 1000000000U + (uint64_t)t->tv_nsec;
}

void wasi_fill_filestat(const struct stat *st, void *out)
{
    const struct wasi_filestat f = {
        .dev = st->st_dev,
        .ino = st->st_ino,
        .filetype = wasi_filetype(st->st_mode),
        .nlink = st->st_nlink,
        .size = (uint64_t)st->st_size,
        .atim = nanoseconds(&st->st_atim),
        .mtim = nanoseconds(&st->st_mtim),
        .ctim = nanoseconds(&st->st_ctim),
    };
    memcpy(out, &f, sizeof f);
}

static bool one_time(uint64_t ns, bool set, bool now, struct timespec *out)
{
    *out = (struct timespec){ .tv_sec = (time_t)(ns / 1000000000U),
                              .tv_nsec = (long)(ns % 1000000000U) };
    if (!set)
        *out = (struct timespec){ .tv_nsec = now ? UTIME_NOW : UTIME_OMIT };
    return !(set && now);
}

bool wasi_times(uint64_t atim, uint64_t mtim, uint32_t flags, struct timespec out[2])
{
    return one_time(atim, flags & WASI_ATIM, flags & WASI_ATIM_NOW, &out[0]) &&
           one_time(mtim, flags & WASI_MTIM, flags & WASI_MTIM_NOW, &out[1]);
}

/* ---- fdstat ---- */

#define DIRECTORY_RIGHTS                                                                           \
    (WASI_PATH_CREATE_DIRECTORY | WASI_PATH_CREATE_FILE | WASI_PATH_LINK_SOURCE |                  \
     WASI_PATH_LINK_TARGET | WASI_PATH_OPEN | WASI_FD_READDIR | WASI_PATH_READLINK |               \
     WASI_PATH_RENAME_SOURCE | WASI_PATH_RENAME_TARGET | WASI_PATH_SYMLINK |                       \
     WASI_PATH_REMOVE_DIRECTORY | WASI_PATH_UNLINK_FILE | WASI_PATH_FILESTAT_GET |                 \
     WASI_PATH_FILESTAT_SET_TIMES | WASI_FD_FILESTAT_GET | WASI_FD_FILESTAT_SET_TIMES)
#define INHERITED_RIGHTS                                                                           \
    (DIRECTORY_RIGHTS | WASI_FD_DATASYNC | WASI_FD_READ | WASI_FD_SEEK |                           \
     WASI_FD_FDSTAT_SET_FLAGS | WASI_FD_SYNC | WASI_FD_TELL | WASI_FD_WRITE | WASI_FD_ADVISE |     \
     WASI_FD_ALLOCATE | WASI_FD_FILESTAT_SET_SIZE | WASI_POLL_FD_READWRITE)
#define SOCKET_RIGHTS                                                                              \
    (WASI_FD_READ | WASI_FD_WRITE | WASI_FD_FDSTAT_SET_FLAGS | WASI_FD_FILESTAT_GET |              \
     WASI_POLL_FD_READWRITE | WASI_SOCK_SHUTDOWN | WASI_SOCK_ACCEPT)

static uint16_t fdflags_of(int host_flags)
{
    return (uint16_t)((host_flags & O_APPEND ? WASI_APPEND : 0) |
                      (host_flags & O_NONBLOCK ? WASI_NONBLOCK : 0) |
                      (host_flags & O_DSYNC ? WASI_DSYNC : 0) |
                      ((host_flags & O_SYNC) == O_SYNC ? WASI_SYNC | WASI_RSYNC : 0));
}

static uint64_t file_rights(int host_flags)
{
    int access = host_flags & O_ACCMODE;

    return WASI_RIGHTS_ALL & ~(access == O_WRONLY ? WASI_FD_READ | WASI_FD_READDIR : 0) &
           ~(access == O_RDONLY ? WASI_FD_WRITE : 0);
}

static struct wasi_fdstat describe(const struct wasi_fd *f, int host_flags, const struct stat *st)
{
    struct wasi_fdstat s = { .filetype = wasi_filetype(st->st_mode),
                             .flags = fdflags_of(host_flags) };

    switch (f->kind) {
    case WASI_STDIO: /* a guest takes it for a terminal by type and missing seek and tell */
        s.rights_base = f->fd == 0 ? WASI_FD_READ : WASI_FD_WRITE;
        s.rights_base |= WASI_POLL_FD_READWRITE | WASI_FD_FDSTAT_SET_FLAGS | WASI_FD_FILESTAT_GET;
        s.filetype = isatty(f->fd) ? WASI_FILETYPE_CHARACTER : WASI_FILETYPE_UNKNOWN;
        s.rights_inheriting = s.rights_base;
        break;
    case WASI_DIR:
        s.rights_base = DIRECTORY_RIGHTS;
        /* read-only ones, too: a library that opens to write is to be told so at once, and masks
         * what it asks for by these */
        s.rights_inheriting = INHERITED_RIGHTS;
        break;
    case WASI_SOCKET:
        s.rights_base = s.rights_inheriting = SOCKET_RIGHTS;
        break;
    default:
        s.rights_base = s.rights_inheriting = file_rights(host_flags);
    }
    return s;
}

static uint32_t fd_fdstat_get(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct wasi_fd *f = wasi_find(w, (uint32_t)a[0].i32);
    struct stat st;
    int flags = f ? fcntl(f->fd, F_GETFL) : -1;

    if (!f)
        return WASI_EBADF;
    if (flags < 0 || fstat(f->fd, &st) < 0)
        return wasi_errno_of(errno);
    const struct wasi_fdstat s = describe(f, flags, &st);
    return wasi_put(w, (uint32_t)a[1].i32, &s, sizeof s);
}

/* What can change after the open is what fcntl(2) F_SETFL can: append and nonblock. */
static uint32_t fd_fdstat_set_flags(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct wasi_fd *f = wasi_find(w, (uint32_t)a[0].i32);
    uint32_t flags = (uint32_t)a[1].i32;

    if (!f || f->kind == WASI_DIR)
        return WASI_EBADF;
    if (flags & ~(uint32_t)(WASI_APPEND | WASI_NONBLOCK))
        return WASI_EINVAL;
    int have = fcntl(f->fd, F_GETFL);
    int want = (have & ~(O_APPEND | O_NONBLOCK)) | (flags & WASI_APPEND ? O_APPEND : 0) |
               (flags & WASI_NONBLOCK ? O_NONBLOCK : 0);
    return have < 0 || fcntl(f->fd, F_SETFL, want) < 0 ? wasi_errno_of(errno) : WASI_OK;
}

/* As wasmtime-wasi: rights are told for the libraries that look at them, and not narrowed. */
static uint32_t fd_fdstat_set_rights(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return wasi_find(w, (uint32_t)a[0].i32) ? WASI_ENOTSUP : WASI_EBADF;
}

/* ---- filestat ---- */

static uint32_t fd_filestat_get(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct wasi_fd *f = wasi_find(w, (uint32_t)a[0].i32);
    struct wasi_filestat out;
    struct stat st = { 0 };

    if (!f)
        return WASI_EBADF;
    if (fstat(f->fd, &st) < 0)
        return wasi_errno_of(errno);
    wasi_fill_filestat(&st, &out);
    if (f->kind == WASI_STDIO) /* what it is on the host is not the guest's business */
        out = (struct wasi_filestat){ .filetype = isatty(f->fd) ? WASI_FILETYPE_CHARACTER
                                                                : WASI_FILETYPE_UNKNOWN };
    return wasi_put(w, (uint32_t)a[1].i32, &out, sizeof out);
}

static uint32_t fd_filestat_set_size(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct wasi_fd *f = wasi_find_kind(w, (uint32_t)a[0].i32, WASI_FILE);

    if (!f)
        return WASI_EBADF;
    if (a[1].i64 < 0)
        return WASI_EINVAL;
    while (ftruncate(f->fd, a[1].i64) < 0) {
        uint32_t rc = wasi_failed(w);
        if (rc)
            return rc;
    }
    return WASI_OK;
}

static uint32_t fd_filestat_set_times(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct wasi_fd *f = wasi_find(w, (uint32_t)a[0].i32);
    struct timespec times[2];

    if (!f || (f->kind != WASI_FILE && f->kind != WASI_DIR))
        return WASI_EBADF;
    if (!wasi_times((uint64_t)a[1].i64, (uint64_t)a[2].i64, (uint32_t)a[3].i32, times))
        return WASI_EINVAL;
    if (f->readonly) /* a time needs no descriptor for writing, only to own the file */
        return WASI_EROFS;
    return futimens(f->fd, times) < 0 ? wasi_errno_of(errno) : WASI_OK;
}

const struct wasi_function wasi_stat_functions[] = {
    { "fd_fdstat_get", "ii", fd_fdstat_get },
    { "fd_fdstat_set_flags", "ii", fd_fdstat_set_flags },
    { "fd_fdstat_set_rights", "iII", fd_fdstat_set_rights },
    { "fd_filestat_get", "ii", fd_filestat_get },
    { "fd_filestat_set_size", "iI", fd_filestat_set_size },
    { "fd_filestat_set_times", "iIIi", fd_filestat_set_times },
    { NULL, NULL, NULL },
};
