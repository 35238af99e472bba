// SPDX-License-Identifier: Apache-2.0
/* How callers are told of a process: its pid in a file, its pidfd over a socket. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "ocicli/make.h"

int pid_file_write(const char *path, pid_t pid, struct zl_error *err)
{
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX], text[16];
    int n = snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");

    if (n < 0 || (size_t)n >= sizeof dir)
        return zl_fail(err, ZL_ERR_INVALID, "--pid-file: '%s' is too long", path);
    zl_autoclose int fd = zl_open_dir(AT_FDCWD, dir[0] ? dir : "/", err);
    if (fd < 0)
        return zl_wrap(err, "write pid file '%s'", path);
    n = snprintf(text, sizeof text, "%d", (int)pid);
    return zl_write_atomic(fd, slash ? slash + 1 : path, text, (size_t)n, 0644, false, err);
}

void pid_file_remove(const char *path)
{
    if (path)
        (void)unlink(path); /* it is told of what failed before */
}

int socket_connect(const char *option, const char *path, struct zl_error *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof to.sun_path)
        return zl_fail(err, ZL_ERR_INVALID, "%s: '%s' is too long", option, path);
    memcpy(to.sun_path, path, strlen(path) + 1);
    zl_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        return zl_fail_errno(err, "%s: connect to '%s'", option, path);
    return zl_take_fd(&fd);
}

int descriptor_send(int socket, int fd, const char *text)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    char bytes[64];
    struct iovec data = { bytes, strlen(text) };
    struct msghdr m = { .msg_iov = &data,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = sizeof control.space };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    (void)snprintf(bytes, sizeof bytes, "%s", text); /* a word of ours */
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return sendmsg(socket, &m, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int pidfd_send(const char *path, int pidfd, struct zl_error *err)
{
    zl_autoclose int fd = socket_connect("--pidfd-socket", path, err);

    if (fd < 0)
        return -1;
    return descriptor_send(fd, pidfd, "pidfd") < 0
               ? zl_fail_errno(err, "--pidfd-socket: send to '%s'", path)
               : 0;
}
