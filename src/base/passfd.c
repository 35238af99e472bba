// SPDX-License-Identifier: Apache-2.0
#include "base/passfd.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

union control { /* room for one descriptor, aligned as cmsg(3) wants */
    struct cmsghdr head;
    char space[CMSG_SPACE(sizeof(int))];
};

int zl_fd_send(int socket, int fd, const void *bytes, size_t n)
{
    union control control = { 0 };
    struct iovec data = { (void *)(uintptr_t)bytes, n }; /* only read */
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t sent;

    control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd),
                                     .cmsg_level = SOL_SOCKET,
                                     .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    do {
        sent = sendmsg(socket, &m, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0 && (size_t)sent != n)
        errno = EMSGSIZE;
    return sent == (ssize_t)n ? 0 : -1;
}

int zl_fd_receive(int socket, int flags, void *bytes, size_t n)
{
    union control control;
    struct iovec data = { bytes, n };
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t got;
    int fd;

    do {
        got = recvmsg(socket, &m, flags | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -1;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m); /* the room is for no second one */
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof fd)) {
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
        if (!(m.msg_flags & MSG_CTRUNC))
            return fd;
        (void)close(fd); /* there were more, which the kernel has closed */
    }
    errno = got == 0 ? EPIPE : EBADMSG;
    return -1;
}
