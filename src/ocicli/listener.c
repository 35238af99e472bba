// SPDX-License-Identifier: Apache-2.0
/*
 * The listener gets one message per process: the container process state (runtime-spec,
 * config-linux.md, "The Container Process State") with the descriptor beside it (SCM_RIGHTS).
 */
#include "ocicli/listener.h"

#include <string.h>
#include <sys/socket.h>

#include "ocicli/make.h"

enum { STATE_MAX = 1 << 20 };

static int process_state(const struct listening *l, pid_t pid, struct zl_buf *out,
                         struct zl_error *err)
{
    const char *metadata = l->config->linux_.seccomp->listener_metadata;
    struct oci_state state = *l->state;
    json_t *root;
    int rc;

    if (!state.pid)
        state.pid = pid;
    root = json_pack("{ss s[s] si ss so}", "ociVersion", OCI_VERSION, "fds", "seccompFd", "pid",
                     (int)pid, "metadata", metadata ? metadata : "", "state",
                     oci_state_json(&state, l->status));
    rc = root ? zl_json_dump(root, JSON_COMPACT, out, err)
              : zl_fail(err, ZL_ERR_SYSTEM, "out of memory");
    json_decref(root);
    return rc;
}

static int send_with(int socket, const struct zl_buf *text, int fd)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec data = { text->data, text->len };
    struct msghdr m = { .msg_iov = &data,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = sizeof control.space };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    ssize_t n;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    do
        n = sendmsg(socket, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0 && (size_t)n != text->len)
        errno = EMSGSIZE;
    return n == (ssize_t)text->len ? 0 : -1;
}

static int on_listener(void *arg, const struct carry_proc *p, int seccomp_fd, struct zl_error *err)
{
    static const char name[] = "linux.seccomp.listenerPath";
    const struct listening *l = arg;
    const char *path = l->config->linux_.seccomp->listener_path;
    zl_autobuf struct zl_buf text = ZL_BUF(STATE_MAX);
    zl_autoclose int socket = socket_connect(name, path, err);

    if (socket < 0)
        return -1;
    if (process_state(l, p->pid, &text, err) < 0)
        return zl_wrap(err, "%s", name);
    return send_with(socket, &text, seccomp_fd) < 0
               ? zl_fail_errno(err, "%s: send to '%s'", name, path)
               : 0;
}

void listener_start(struct listening *l, struct carry_start *how)
{
    how->on_listener = on_listener;
    how->on_listener_arg = l;
}
