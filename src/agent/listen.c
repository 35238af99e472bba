// SPDX-License-Identifier: Apache-2.0
#include "agent/listen.h"

#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fd.h"

enum { BACKLOG = 128 };
#define LOCK_FILE "lock"
#define SOCKET_GROUP "zlayer"

/* Whoever has the lock wrote its pid into the file. */
static int fail_locked(int fd, struct zl_error *err)
{
    zl_autobuf struct zl_buf pid = ZL_BUF(64);
    if (zl_read_fd(fd, &pid, LOCK_FILE, NULL) < 0 || pid.len == 0)
        return zl_fail(err, ZL_ERR_CONFLICT, "another agent serves these folders");
    return zl_fail(err, ZL_ERR_CONFLICT, "another agent serves these folders: process %.*s",
                   (int)strcspn(pid.data, "\n"), pid.data);
}

int agent_lock(int run_fd, struct zl_error *err)
{
    char pid[32];
    zl_autoclose int fd = openat(run_fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return zl_fail_errno(err, "open '" LOCK_FILE "'");
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return fail_locked(fd, err);
        return zl_fail_errno(err, "lock '" LOCK_FILE "'");
    }
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0)
        return zl_fail_errno(err, "write '" LOCK_FILE "'");
    if (zl_write_all(fd, pid, (size_t)n, LOCK_FILE, err) < 0)
        return -1;
    return zl_take_fd(&fd);
}

/* In /etc/group, where the installation has it (getgrnam(3) would load libraries to stay); -1: not
 * there. */
static gid_t socket_group(void)
{
    FILE *f = fopen("/etc/group", "re");
    const struct group *g = NULL;
    gid_t ret;

    while (f && (g = fgetgrent(f)) && strcmp(g->gr_name, SOCKET_GROUP) != 0)
        ;
    ret = g ? g->gr_gid : (gid_t)-1;
    if (f)
        (void)fclose(f);
    return ret;
}

static int set_access(int dir_fd, const char *name, struct zl_error *err)
{
    gid_t group = socket_group(); /* without one: only root */

    if (fchmodat(dir_fd, name, 0660, 0) < 0)
        return zl_fail_errno(err, "set the mode of the socket");
    if (fchownat(dir_fd, name, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW) < 0)
        return zl_fail_errno(err, "give the socket to group '" SOCKET_GROUP "'");
    return 0;
}

static int bind_at(int dir_fd, const char *name, struct zl_error *err)
{
    struct sockaddr_un address;
    zl_autoclose int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0)
        return zl_fail_errno(err, "make a socket");
    if (zl_unix_address(dir_fd, name, &address, err) < 0)
        return -1;
    if (bind(sock, (const struct sockaddr *)&address, sizeof address) < 0)
        return zl_fail_errno(err, "bind a socket");
    if (set_access(dir_fd, name, err) < 0)
        return -1;
    if (listen(sock, BACKLOG) < 0)
        return zl_fail_errno(err, "listen");
    return zl_take_fd(&sock);
}

int agent_listen(const char *path, struct zl_error *err)
{
    zl_autofree char *for_dir = strdup(path), *for_name = strdup(path);
    if (!for_dir || !for_name)
        return zl_fail_errno(err, "serve '%s'", path);
    const char *name = basename(for_name);
    zl_autoclose int dir = zl_open_dir(AT_FDCWD, dirname(for_dir), err);
    if (dir < 0)
        return zl_wrap(err, "serve '%s'", path);
    char tmp[32];
    (void)snprintf(tmp, sizeof tmp, ".sock.%d", (int)getpid());
    (void)unlinkat(dir, tmp, 0); /* of a killed agent with our pid, if at all */
    zl_autoclose int sock = bind_at(dir, tmp, err);
    if (sock < 0)
        return zl_wrap(err, "serve '%s'", path);
    if (renameat(dir, tmp, dir, name) < 0) {
        (void)zl_fail_errno(err, "serve '%s'", path);
        (void)unlinkat(dir, tmp, 0); /* the first failure is the one to tell */
        return -1;
    }
    return zl_take_fd(&sock);
}
