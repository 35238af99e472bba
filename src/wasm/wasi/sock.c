// SPDX-License-Identifier: Apache-2.0
/*
 * Sockets: preview 1 makes none, it accepts on those that the guest was given (the endpoints of its
 * service, listening) and talks on what came of that. wasmtime-wasi has none of it.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "wasm/wasi/abi.h"
#include "wasm/wasi/wasi.h"

static uint32_t find_socket(struct wasi *w, uint32_t fd, struct wasi_fd **ret)
{
    *ret = wasi_find_kind(w, fd, WASI_SOCKET);
    if (*ret)
        return WASI_OK;
    return wasi_find(w, fd) ? WASI_ENOTSOCK : WASI_EBADF;
}

static uint32_t sock_accept(struct wasi *w, const wasmtime_val_raw_t *a)
{
    uint32_t flags = (uint32_t)a[1].i32, number;
    struct wasi_fd *f;
    uint32_t rc = find_socket(w, (uint32_t)a[0].i32, &f);
    int fd;

    if (rc)
        return rc;
    if (flags & ~(uint32_t)WASI_NONBLOCK)
        return WASI_EINVAL;
    int how = SOCK_CLOEXEC | (flags & WASI_NONBLOCK ? SOCK_NONBLOCK : 0);
    while ((fd = accept4(f->fd, NULL, NULL, how)) < 0) {
        rc = wasi_failed(w);
        if (rc)
            return rc;
    }
    rc = wasi_add(w, WASI_SOCKET, fd, false, &number);
    return rc ? rc : wasi_put_u32(w, (uint32_t)a[2].i32, number);
}

static uint32_t sock_recv(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct iovec v[WASI_IOV_MAX];
    struct wasi_fd *f;
    uint32_t asked = (uint32_t)a[3].i32, rc = find_socket(w, (uint32_t)a[0].i32, &f);
    struct msghdr m = { .msg_iov = v };
    int n;

    rc = rc ? rc : wasi_iovecs(w, (uint32_t)a[1].i32, (uint32_t)a[2].i32, v, &n);
    if (rc)
        return rc;
    if (asked & ~(uint32_t)(WASI_RECV_PEEK | WASI_RECV_WAITALL))
        return WASI_ENOTSUP;
    m.msg_iovlen = (size_t)n;
    int flags =
        (asked & WASI_RECV_PEEK ? MSG_PEEK : 0) | (asked & WASI_RECV_WAITALL ? MSG_WAITALL : 0);
    for (;;) {
        ssize_t got = recvmsg(f->fd, &m, flags);
        if (got < 0) {
            rc = wasi_failed(w);
            if (rc)
                return rc;
            continue;
        }
        uint16_t cut = m.msg_flags & MSG_TRUNC ? WASI_RECV_DATA_TRUNCATED : 0;
        rc = wasi_put_u32(w, (uint32_t)a[4].i32, (uint32_t)got);
        return rc ? rc : wasi_put(w, (uint32_t)a[5].i32, &cut, sizeof cut);
    }
}

static uint32_t sock_send(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct iovec v[WASI_IOV_MAX];
    struct wasi_fd *f;
    uint32_t rc = find_socket(w, (uint32_t)a[0].i32, &f);
    struct msghdr m = { .msg_iov = v };
    int n;

    rc = rc ? rc : wasi_iovecs(w, (uint32_t)a[1].i32, (uint32_t)a[2].i32, v, &n);
    if (rc)
        return rc;
    if (a[3].i32) /* no flags are defined */
        return WASI_ENOTSUP;
    m.msg_iovlen = (size_t)n;
    for (;;) {
        ssize_t sent = sendmsg(f->fd, &m, MSG_NOSIGNAL);
        if (sent >= 0)
            return wasi_put_u32(w, (uint32_t)a[4].i32, (uint32_t)sent);
        rc = wasi_failed(w);
        if (rc)
            return rc;
    }
}

static uint32_t sock_shutdown(struct wasi *w, const wasmtime_val_raw_t *a)
{
    static const int hows[] = { [WASI_SHUT_RD] = SHUT_RD,
                                [WASI_SHUT_WR] = SHUT_WR,
                                [WASI_SHUT_RD | WASI_SHUT_WR] = SHUT_RDWR };
    uint32_t how = (uint32_t)a[1].i32;
    struct wasi_fd *f;
    uint32_t rc = find_socket(w, (uint32_t)a[0].i32, &f);

    if (rc)
        return rc;
    if (how == 0 || how >= ZL_ARRAY_LEN(hows))
        return WASI_EINVAL;
    return shutdown(f->fd, hows[how]) < 0 ? wasi_errno_of(errno) : WASI_OK;
}

const struct wasi_function wasi_sock_functions[] = {
    { "sock_accept", "iii", sock_accept },
    { "sock_recv", "iiiiii", sock_recv },
    { "sock_send", "iiiii", sock_send },
    { "sock_shutdown", "ii", sock_shutdown },
    { NULL, NULL, NULL },
};
