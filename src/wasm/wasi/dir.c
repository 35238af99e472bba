// SPDX-License-Identifier: Apache-2.0
/*
 * Preopened directories and listing. A cookie is 0 for the start, 1 and 2 behind "." and "..",
 * which always come first, and the kernel's own position plus 3 from there on: so a listing may be
 * taken up anywhere, as often as the guest likes, and nothing is remembered here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wasm/wasi/abi.h"
#include "wasm/wasi/wasi.h"

enum { COOKIE_REST = 2, COOKIE_KERNEL = 3 };

static uint32_t fd_prestat_get(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct wasi_fd *f = wasi_find_kind(w, (uint32_t)a[0].i32, WASI_DIR);

    if (!f || !f->preopen)
        return WASI_EBADF; /* by this a guest's library knows that it has seen all */
    const struct wasi_prestat p = { .name_len = (uint32_t)strlen(f->preopen) };
    return wasi_put(w, (uint32_t)a[1].i32, &p, sizeof p);
}

static uint32_t fd_prestat_dir_name(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct wasi_fd *f = wasi_find(w, (uint32_t)a[0].i32);

    if (!f)
        return WASI_EBADF;
    if (f->kind != WASI_DIR || !f->preopen)
        return WASI_ENOTDIR;
    size_t n = strlen(f->preopen);
    if (n > (uint32_t)a[2].i32)
        return WASI_ENAMETOOLONG;
    return wasi_put(w, (uint32_t)a[1].i32, f->preopen, n);
}

/* ---- listing ---- */

struct listing {
    struct wasi *w;
    uint32_t at, left; /* the guest's buffer */
};

/* Entries go out back to back; the last one may be cut off, which tells the guest that there is
 * more. */
static uint32_t put_part(struct listing *l, const void *bytes, size_t n)
{
    uint32_t part = n < l->left ? (uint32_t)n : l->left;
    uint32_t rc = wasi_put(l->w, l->at, bytes, part);

    l->at += part;
    l->left -= part;
    return rc;
}

static uint32_t put_entry(struct listing *l, const char *name, uint64_t ino, uint8_t type,
                          uint64_t next)
{
    const struct wasi_dirent d = {
        .next = next, .ino = ino, .namlen = (uint32_t)strlen(name), .type = type
    };
    uint32_t rc = put_part(l, &d, sizeof d);
    return rc ? rc : put_part(l, name, d.namlen);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Some file systems do not say the type in the listing. */
static uint8_t type_of(int dir, const struct dirent64 *d)
{
    struct stat st;

    if (d->d_type != DT_UNKNOWN)
        return wasi_filetype(DTTOIF(d->d_type));
    if (fstatat(dir, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return WASI_FILETYPE_UNKNOWN; /* gone meanwhile */
    return wasi_filetype(st.st_mode);
}

static uint32_t put_rest(struct listing *l, int dir)
{
    _Alignas(struct dirent64) char buf[8192];

    while (l->left) {
        long n = syscall(SYS_getdents64, dir, buf, sizeof buf);
        if (n <= 0)
            return n < 0 ? wasi_errno_of(errno) : WASI_OK;
        for (long at = 0; at < n && l->left;) {
            const struct dirent64 *d = (const void *)(buf + at);
            uint32_t rc = is_dots(d->d_name) ? WASI_OK
                                             : put_entry(l, d->d_name, d->d_ino, type_of(dir, d),
                                                         (uint64_t)d->d_off + COOKIE_KERNEL);
            if (rc)
                return rc;
            at += d->d_reclen;
        }
    }
    return WASI_OK;
}

static uint32_t put_dots(struct listing *l, int dir, uint64_t cookie)
{
    static const char *const names[] = { ".", ".." };
    struct stat st;

    if (fstat(dir, &st) < 0)
        return wasi_errno_of(errno);
    for (uint64_t i = cookie; i < COOKIE_REST; i++) {
        /* what is above a preopen is not shown: ".." has the number of "." */
        uint32_t rc = put_entry(l, names[i], st.st_ino, WASI_FILETYPE_DIRECTORY, i + 1);
        if (rc)
            return rc;
    }
    return WASI_OK;
}

static uint32_t fd_readdir(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct wasi_fd *f = wasi_find_kind(w, (uint32_t)a[0].i32, WASI_DIR);
    struct listing l = { w, (uint32_t)a[1].i32, (uint32_t)a[2].i32 };
    uint64_t cookie = (uint64_t)a[3].i64;
    uint32_t rc = WASI_OK;

    if (!f)
        return WASI_EBADF;
    if (!wasi_at(w, l.at, l.left))
        return WASI_TRAPS;
    /* preopens are O_PATH or shared with others: each listing has a position of its own */
    zl_autoclose int dir = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return wasi_errno_of(errno);
    if (cookie < COOKIE_KERNEL)
        rc = put_dots(&l, dir, cookie);
    else if (lseek(dir, (off_t)(cookie - COOKIE_KERNEL), SEEK_SET) < 0)
        return wasi_errno_of(errno);
    rc = rc ? rc : put_rest(&l, dir);
    return rc ? rc : wasi_put_u32(w, (uint32_t)a[4].i32, (uint32_t)a[2].i32 - l.left);
}

const struct wasi_function wasi_dir_functions[] = {
    { "fd_prestat_get", "ii", fd_prestat_get },
    { "fd_prestat_dir_name", "iii", fd_prestat_dir_name },
    { "fd_readdir", "iiiIi", fd_readdir },
    { NULL, NULL, NULL },
};
