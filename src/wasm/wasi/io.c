// SPDX-License-Identifier: Apache-2.0
/*
 * Reading and writing. The host's file position and flags are the guest's. A signal that means
 * nothing to the guest never shows: calls are taken up again.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "wasm/wasi/abi.h"
#include "wasm/wasi/wasi.h"

enum transfer { READ, WRITE, PREAD, PWRITE };

static ssize_t transfer_once(enum transfer what, int fd, const struct iovec *v, int n, off_t at)
{
    switch (what) {
    case READ:
        return readv(fd, v, n);
    case WRITE:
        return writev(fd, v, n);
    case PREAD:
        return preadv(fd, v, n, at);
    case PWRITE:
        return pwritev(fd, v, n, at);
    }
    return -1;
}

static uint32_t transfer(struct wasi *w, enum transfer what, const wasmtime_val_raw_t *a)
{
    bool positioned = what == PREAD || what == PWRITE;
    uint64_t at = positioned ? (uint64_t)a[3].i64 : 0;
    uint32_t count_at = (uint32_t)(positioned ? a[4].i32 : a[3].i32);
    struct iovec v[WASI_IOV_MAX];
    int n;
    struct wasi_fd *f = wasi_find(w, (uint32_t)a[0].i32);

    if (!f || f->kind == WASI_DIR || !wasi_goes(f, what == WRITE || what == PWRITE))
        return WASI_EBADF;
    if (positioned && f->kind != WASI_FILE)
        return WASI_ESPIPE;
    if (at > INT64_MAX)
        return WASI_EINVAL;
    uint32_t rc = wasi_iovecs(w, (uint32_t)a[1].i32, (uint32_t)a[2].i32, v, &n);
    if (rc)
        return rc;
    for (;;) {
        ssize_t done = transfer_once(what, f->fd, v, n, (off_t)at);
        if (done >= 0)
            return wasi_put_u32(w, count_at, (uint32_t)done);
        rc = wasi_failed(w);
        if (rc)
            return rc;
    }
}

static uint32_t fd_read(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return transfer(w, READ, a);
}

static uint32_t fd_write(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return transfer(w, WRITE, a);
}

/* offset is the fourth parameter, the place for the count the fifth */
static uint32_t fd_pread(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return transfer(w, PREAD, a);
}

static uint32_t fd_pwrite(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return transfer(w, PWRITE, a);
}

/* ---- position ---- */

static uint32_t seek(struct wasi *w, uint32_t fd, int64_t offset, uint32_t whence, uint32_t at)
{
    static const int whences[] = { SEEK_SET, SEEK_CUR, SEEK_END };
    struct wasi_fd *f = wasi_find(w, fd);

    if (!f || f->kind == WASI_DIR)
        return WASI_EBADF;
    if (f->kind != WASI_FILE)
        return WASI_ESPIPE;
    if (whence >= ZL_ARRAY_LEN(whences))
        return WASI_EINVAL;
    off_t now = lseek(f->fd, offset, whences[whence]);
    return now < 0 ? wasi_errno_of(errno) : wasi_put_u64(w, at, (uint64_t)now);
}

static uint32_t fd_seek(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return seek(w, (uint32_t)a[0].i32, a[1].i64, (uint32_t)a[2].i32, (uint32_t)a[3].i32);
}

static uint32_t fd_tell(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return seek(w, (uint32_t)a[0].i32, 0, WASI_WHENCE_CUR, (uint32_t)a[1].i32);
}

/* ---- the file as a whole ---- */

static uint32_t sync_file(struct wasi *w, uint32_t fd, int (*sync)(int))
{
    struct wasi_fd *f = wasi_find_kind(w, fd, WASI_FILE);

    if (!f)
        return WASI_EBADF;
    while (sync(f->fd) < 0) {
        uint32_t rc = wasi_failed(w);
        if (rc)
            return rc;
    }
    return WASI_OK;
}

static uint32_t fd_sync(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return sync_file(w, (uint32_t)a[0].i32, fsync);
}

static uint32_t fd_datasync(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return sync_file(w, (uint32_t)a[0].i32, fdatasync);
}

static bool is_range(int64_t offset, int64_t length)
{
    int64_t end;
    return offset >= 0 && length >= 0 && !__builtin_add_overflow(offset, length, &end);
}

static uint32_t fd_advise(struct wasi *w, const wasmtime_val_raw_t *a)
{
    static const int advices[] = { POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                                   POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE };
    struct wasi_fd *f = wasi_find_kind(w, (uint32_t)a[0].i32, WASI_FILE);

    if (!f)
        return WASI_EBADF;
    if ((uint32_t)a[3].i32 >= ZL_ARRAY_LEN(advices) || !is_range(a[1].i64, a[2].i64))
        return WASI_EINVAL;
    int rc = posix_fadvise(f->fd, a[1].i64, a[2].i64, advices[a[3].i32]);
    return rc ? wasi_errno_of(rc) : WASI_OK;
}

/* wasmtime-wasi answers NOTSUP; the document says what it does, and Linux can. */
static uint32_t fd_allocate(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct wasi_fd *f = wasi_find_kind(w, (uint32_t)a[0].i32, WASI_FILE);

    if (!f)
        return WASI_EBADF;
    if (!is_range(a[1].i64, a[2].i64) || a[2].i64 == 0)
        return WASI_EINVAL;
    while (fallocate(f->fd, 0, a[1].i64, a[2].i64) < 0) {
        uint32_t rc = wasi_failed(w);
        if (rc)
            return rc;
    }
    return WASI_OK;
}

/* ---- the descriptor ---- */

static uint32_t fd_close(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct wasi_fd *f = wasi_find(w, (uint32_t)a[0].i32);

    if (!f)
        return WASI_EBADF;
    wasi_drop(f);
    return WASI_OK;
}

/* Both must be open: a guest cannot choose numbers that it was not given. */
static uint32_t fd_renumber(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct wasi_fd *from = wasi_find(w, (uint32_t)a[0].i32);
    struct wasi_fd *to = wasi_find(w, (uint32_t)a[1].i32);

    if (!from || !to)
        return WASI_EBADF;
    if (from == to)
        return WASI_OK;
    wasi_drop(to);
    *to = *from;
    *from = (struct wasi_fd){ .kind = WASI_FREE };
    return WASI_OK;
}

const struct wasi_function wasi_io_functions[] = {
    { "fd_read", "iiii", fd_read },
    { "fd_write", "iiii", fd_write },
    { "fd_pread", "iiiIi", fd_pread },
    { "fd_pwrite", "iiiIi", fd_pwrite },
    { "fd_seek", "iIii", fd_seek },
    { "fd_tell", "ii", fd_tell },
    { "fd_sync", "i", fd_sync },
    { "fd_datasync", "i", fd_datasync },
    { "fd_advise", "iIIi", fd_advise },
    { "fd_allocate", "iII", fd_allocate },
    { "fd_close", "i", fd_close },
    { "fd_renumber", "ii", fd_renumber },
    { NULL, NULL, NULL },
};
