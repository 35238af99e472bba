// SPDX-License-Identifier: Apache-2.0
#include "base/msg.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

union fd_control { /* room for the descriptors, aligned as cmsg(3) wants */
    char space[CMSG_SPACE(sizeof(int) * ZL_MSG_FDS)];
    struct cmsghdr align;
};

int zl_msg_send(int sock, const struct zl_msg *m, struct zl_error *err)
{
    union fd_control control;
    struct zl_msg_header head = m->head;
    struct iovec iov[2] = {
        { .iov_base = &head, .iov_len = sizeof head },
        { .iov_base = (void *)(uintptr_t)m->body, .iov_len = head.length }, /* only read */
    };
    struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

    if (sizeof head + head.length > ZL_MSG_MAX || m->n_fds > ZL_MSG_FDS)
        return zl_fail(err, ZL_ERR_INVALID,
                       "message %u of %u bytes and %d descriptors is too large", head.type,
                       head.length, m->n_fds);
    if (m->n_fds > 0) {
        size_t bytes = sizeof(int) * (size_t)m->n_fds;
        mh.msg_control = &control;
        mh.msg_controllen = CMSG_SPACE(bytes);
        memset(&control, 0, mh.msg_controllen);
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(c), m->fds, bytes);
    }
    ssize_t n;
    do {
        n = sendmsg(sock, &mh, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? zl_fail_errno(err, "send message %u", head.type) : 0;
}

static void take_fds(struct msghdr *mh, struct zl_msg *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(m->fds + m->n_fds, CMSG_DATA(c), n * sizeof(int));
        m->n_fds += (int)n;
    }
}

int zl_msg_recv(int sock, void *buf, size_t size, struct zl_msg *m, struct zl_error *err)
{
    union fd_control control;
    struct iovec iov = { .iov_base = buf, .iov_len = size };
    struct msghdr mh = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };

    m->n_fds = 0;
    m->body = NULL;
    ssize_t n;
    do {
        n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return zl_fail_errno(err, "receive a message");
    take_fds(&mh, m);
    if (n == 0) { /* the end, or an empty packet, which may carry descriptors nevertheless */
        zl_msg_close_fds(m);
        return 0;
    }
    if ((size_t)n >= sizeof m->head)
        memcpy(&m->head, buf, sizeof m->head);
    if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || (size_t)n < sizeof m->head ||
        m->head.length != (size_t)n - sizeof m->head) {
        zl_msg_close_fds(m);
        return zl_fail(err, ZL_ERR_PROTOCOL,
                       "a message of %zd bytes is cut or lies about its length", n);
    }
    m->body = (const char *)buf + sizeof m->head;
    return 1;
}

void zl_msg_close_fds(struct zl_msg *m)
{
    for (int i = 0; i < m->n_fds; i++)
        zl_closep(&m->fds[i]);
    m->n_fds = 0;
}

void zl_msg_body(const struct zl_msg *m, void *out, size_t size)
{
    memset(out, 0, size);
    memcpy(out, m->body, m->head.length < size ? m->head.length : size);
}
