// SPDX-License-Identifier: Apache-2.0
/* The guest's descriptors, its memory, and how the host's errors are called there. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "wasm/wasi/abi.h"
#include "wasm/wasi/wasi.h"

enum { FDS_MAX = 1 << 16, FDS_FIRST = 16 };

/* ---- descriptors ---- */

static int add_given(struct wasi *w, const struct wasi_config *c)
{
    uint32_t at;

    for (int i = 0; i < 3; i++)
        if (wasi_add(w, WASI_STDIO, i, false, &at) != WASI_OK)
            return -1;
    for (size_t i = 0; i < c->n_preopens; i++) {
        const struct wasi_preopen *p = &c->preopens[i];
        if (wasi_add(w, WASI_DIR, p->fd, p->readonly, &at) != WASI_OK)
            return -1;
        w->fds[at].preopen = p->name;
    }
    for (size_t i = 0; i < c->n_sockets; i++)
        if (wasi_add(w, WASI_SOCKET, c->sockets[i], false, &at) != WASI_OK)
            return -1;
    return 0;
}

int wasi_init(struct wasi *w, const struct wasi_config *c, const volatile sig_atomic_t *expired,
              struct zl_error *err)
{
    *w = (struct wasi){ .argv = c->argv, .env = c->env, .expired = expired };
    if (add_given(w, c) == 0)
        return 0;
    wasi_done(w);
    return zl_fail(err, ZL_ERR_SYSTEM, "prepare the guest's descriptors: out of memory");
}

void wasi_done(struct wasi *w)
{
    for (size_t i = 0; i < w->n_fds; i++)
        wasi_drop(&w->fds[i]);
    free(w->fds);
    w->fds = NULL;
    w->n_fds = 0;
}

struct wasi_fd *wasi_find(struct wasi *w, uint32_t fd)
{
    return fd < w->n_fds && w->fds[fd].kind != WASI_FREE ? &w->fds[fd] : NULL;
}

struct wasi_fd *wasi_find_kind(struct wasi *w, uint32_t fd, enum wasi_kind kind)
{
    struct wasi_fd *f = wasi_find(w, fd);
    return f && f->kind == kind ? f : NULL;
}

static int grow(struct wasi *w)
{
    size_t n = w->n_fds ? w->n_fds * 2 : FDS_FIRST;
    struct wasi_fd *more = n <= FDS_MAX ? realloc(w->fds, n * sizeof *more) : NULL;

    if (!more)
        return -1;
    memset(more + w->n_fds, 0, (n - w->n_fds) * sizeof *more);
    w->fds = more;
    w->n_fds = n;
    return 0;
}

uint32_t wasi_add(struct wasi *w, enum wasi_kind kind, int host_fd, bool readonly, uint32_t *ret)
{
    size_t at = 0;

    while (at < w->n_fds && w->fds[at].kind != WASI_FREE)
        at++;
    if (at == w->n_fds && grow(w) < 0) {
        (void)close(host_fd);
        return WASI_EMFILE;
    }
    w->fds[at] = (struct wasi_fd){ .kind = kind, .fd = host_fd, .readonly = readonly };
    *ret = (uint32_t)at;
    return WASI_OK;
}

void wasi_drop(struct wasi_fd *f)
{
    if (f->kind != WASI_FREE && f->kind != WASI_STDIO)
        (void)close(f->fd);
    *f = (struct wasi_fd){ .kind = WASI_FREE };
}

/* ---- memory ---- */

void *wasi_at(struct wasi *w, uint32_t ptr, uint64_t n)
{
    if (n <= w->size && ptr <= w->size - n)
        return w->base + ptr;
    w->trap = "a system call was given a pointer outside of the memory";
    return NULL;
}

uint32_t wasi_put(struct wasi *w, uint32_t ptr, const void *bytes, size_t n)
{
    void *to = wasi_at(w, ptr, n);

    if (!to)
        return WASI_TRAPS;
    memcpy(to, bytes, n);
    return WASI_OK;
}

uint32_t wasi_iovecs(struct wasi *w, uint32_t ptr, uint32_t n, struct iovec *out, int *ret_n)
{
    struct wasi_iovec v;
    const char *list = wasi_at(w, ptr, (uint64_t)n * sizeof v);

    if (!list)
        return WASI_TRAPS;
    *ret_n = n < WASI_IOV_MAX ? (int)n : WASI_IOV_MAX;
    for (int i = 0; i < *ret_n; i++) {
        memcpy(&v, list + (size_t)i * sizeof v, sizeof v); /* the guest may misalign it */
        out[i] = (struct iovec){ wasi_at(w, v.buf, v.len), v.len };
        if (!out[i].iov_base)
            return WASI_TRAPS;
    }
    return WASI_OK;
}

/* ---- errors ---- */

/* clang-format off */
static const struct {
    int host;
    uint16_t guest;
} errnos[] = {
    { E2BIG, WASI_E2BIG },               { EACCES, WASI_EACCES },
    { EADDRINUSE, WASI_EADDRINUSE },     { EADDRNOTAVAIL, WASI_EADDRNOTAVAIL },
    { EAFNOSUPPORT, WASI_EAFNOSUPPORT }, { EAGAIN, WASI_EAGAIN },
    { EALREADY, WASI_EALREADY },         { EBADF, WASI_EBADF },
    { EBUSY, WASI_EBUSY },               { ECANCELED, WASI_ECANCELED },
    { ECONNABORTED, WASI_ECONNABORTED }, { ECONNREFUSED, WASI_ECONNREFUSED },
    { ECONNRESET, WASI_ECONNRESET },     { EDEADLK, WASI_EDEADLK },
    { EDQUOT, WASI_EDQUOT },             { EEXIST, WASI_EEXIST },
    { EFAULT, WASI_EFAULT },             { EFBIG, WASI_EFBIG },
    { EHOSTUNREACH, WASI_EHOSTUNREACH }, { EILSEQ, WASI_EILSEQ },
    { EINPROGRESS, WASI_EINPROGRESS },   { EINTR, WASI_EINTR },
    { EINVAL, WASI_EINVAL },             { EIO, WASI_EIO },
    { EISCONN, WASI_EISCONN },           { EISDIR, WASI_EISDIR },
    { ELOOP, WASI_ELOOP },               { EMFILE, WASI_EMFILE },
    { EMLINK, WASI_EMLINK },             { EMSGSIZE, WASI_EMSGSIZE },
    { ENAMETOOLONG, WASI_ENAMETOOLONG }, { ENETDOWN, WASI_ENETDOWN },
    { ENETUNREACH, WASI_ENETUNREACH },   { ENFILE, WASI_ENFILE },
    { ENOBUFS, WASI_ENOBUFS },           { ENODEV, WASI_ENODEV },
    { ENOENT, WASI_ENOENT },             { ENOLCK, WASI_ENOLCK },
    { ENOMEM, WASI_ENOMEM },             { ENOSPC, WASI_ENOSPC },
    { ENOSYS, WASI_ENOSYS },             { ENOTCONN, WASI_ENOTCONN },
    { ENOTDIR, WASI_ENOTDIR },           { ENOTEMPTY, WASI_ENOTEMPTY },
    { ENOTSOCK, WASI_ENOTSOCK },         { EOPNOTSUPP, WASI_ENOTSUP },
    { ENOTTY, WASI_ENOTTY },             { ENXIO, WASI_ENXIO },
    { EOVERFLOW, WASI_EOVERFLOW },       { EPERM, WASI_EPERM },
    { EPIPE, WASI_EPIPE },               { ERANGE, WASI_ERANGE },
    { EROFS, WASI_EROFS },               { ESPIPE, WASI_ESPIPE },
    { ESTALE, WASI_ESTALE },             { ETIMEDOUT, WASI_ETIMEDOUT },
    { ETXTBSY, WASI_ETXTBSY },           { EXDEV, WASI_EXDEV },
};
/* clang-format on */

uint32_t wasi_errno_of(int host_errno)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(errnos); i++)
        if (errnos[i].host == host_errno)
            return errnos[i].guest;
    return WASI_EIO;
}

uint32_t wasi_failed(struct wasi *w)
{
    if (errno != EINTR)
        return wasi_errno_of(errno);
    if (!*w->expired)
        return WASI_OK;
    w->trap = "interrupt";
    return WASI_TRAPS;
}
