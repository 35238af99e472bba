// SPDX-License-Identifier: Apache-2.0
#include "wasm/give.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/msg.h"
#include "base/passfd.h"
#include "sandbox/kernel.h"

enum { SAFE_ATTRS = K_ATTR_NOSUID | K_ATTR_NODEV | K_ATTR_NOEXEC, BACKLOG = 1024 };
enum { CONFIG_FLAG = 0, CONFIG_STRING = 1, CONFIG_CREATE = 6, FS_CLOEXEC = 1 }; /* linux/mount.h */

/* ---- folders ---- */

/* The folder itself, open for reading, as the mount shows it. */
static int open_folder(int mount_fd, const char *source, struct zl_error *err)
{
    int fd = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOTDIR)
        return zl_fail(err, ZL_ERR_INVALID,
                       "'%s' is not a folder, and folders are all that a module can be given",
                       source);
    return fd >= 0 ? fd : zl_fail_errno(err, "open '%s'", source);
}

/* Whoever may not mount has the folder itself: read-only is kept by the WASI functions then. */
static int bind_unprivileged(const char *source, struct zl_error *err)
{
    zl_autoclose int path = open(source, O_PATH | O_CLOEXEC);
    return path < 0 ? zl_fail_errno(err, "open '%s'", source) : open_folder(path, source, err);
}

static int bind_folder(const char *source, const struct plan_mount *m, struct zl_error *err)
{
    unsigned recursive = m->recursive ? K_AT_RECURSIVE : 0;
    struct k_mount_attr attr = { .attr_set = m->attr_set | SAFE_ATTRS, .attr_clr = m->attr_clear };
    zl_autoclose int tree =
        k_open_tree(AT_FDCWD, source, K_OPEN_TREE_CLONE | K_OPEN_TREE_CLOEXEC | recursive);

    if (tree < 0 && errno == EPERM && geteuid() != 0)
        return bind_unprivileged(source, err);
    if (tree < 0)
        return zl_fail_errno(err, "bind '%s'", source);
    attr.attr_clr &= ~attr.attr_set;
    if (k_mount_setattr(tree, "", K_AT_EMPTY_PATH | recursive, &attr) < 0)
        return zl_fail_errno(err, "set the mount flags of '%s'", source);
    return open_folder(tree, source, err);
}

/* options: "size=65536,mode=700" */
static int configure(int fs, const char *options, struct zl_error *err)
{
    zl_autofree char *copy = strdup(options ? options : "");
    char *rest = copy;

    if (!copy)
        return zl_fail_errno(err, "make a tmpfs");
    for (char *one; (one = strsep(&rest, ","));) {
        char *value = strchr(one, '=');
        if (!*one)
            continue;
        if (value)
            *value++ = '\0';
        if (syscall(K_SYS_fsconfig, fs, value ? CONFIG_STRING : CONFIG_FLAG, one, value, 0) < 0)
            return zl_fail_errno(err, "make a tmpfs: option '%s'", one);
    }
    if (syscall(K_SYS_fsconfig, fs, CONFIG_CREATE, NULL, NULL, 0) < 0)
        return zl_fail_errno(err, "make a tmpfs");
    return 0;
}

static int make_tmpfs(const struct plan *plan, const struct plan_mount *m, struct zl_error *err)
{
    zl_autoclose int fs = (int)syscall(K_SYS_fsopen, "tmpfs", FS_CLOEXEC);

    if (fs < 0)
        return zl_fail_errno(err, "make a tmpfs");
    if (configure(fs, plan_text(plan, m->data), err) < 0)
        return -1;
    unsigned attrs = SAFE_ATTRS | (m->flags & MS_RDONLY ? K_ATTR_RDONLY : 0);
    zl_autoclose int tree = (int)syscall(K_SYS_fsmount, fs, FS_CLOEXEC, attrs);
    return tree < 0 ? zl_fail_errno(err, "make a tmpfs") : open_folder(tree, "tmpfs", err);
}

static int give_folder(struct given *g, const struct plan *plan, const struct plan_mount *m,
                       struct zl_error *err)
{
    const char *name = plan_text(plan, m->target), *source = plan_text(plan, m->source);
    bool bind = m->kind == PLAN_MOUNT_BIND;
    int fd = bind ? bind_folder(source, m, err) : make_tmpfs(plan, m, err);

    if (fd < 0)
        return zl_wrap(err, "give the guest '%s'", name);
    g->folders[g->n_folders++] = (struct wasi_preopen){
        .fd = fd,
        .name = name,
        .readonly = bind ? m->attr_set & K_ATTR_RDONLY : m->flags & MS_RDONLY,
    };
    return 0;
}

int give_folders(struct given *g, const struct plan *plan, struct zl_error *err)
{
    const struct plan_mount *v = plan_table(plan, plan->mounts);

    for (uint32_t i = 0; i < plan->mounts.n; i++) {
        const char *type = plan_text(plan, v[i].type);
        if (v[i].kind != PLAN_MOUNT_BIND &&
            (v[i].kind != PLAN_MOUNT_FS || !type || strcmp(type, "tmpfs") != 0))
            return zl_fail(err, ZL_ERR_UNSUPPORTED, "a module cannot be given a mount of type '%s'",
                           type ? type : "?");
        if (g->n_folders == GIVEN_MAX)
            return zl_fail(err, ZL_ERR_INVALID, "a module can be given at most %d folders",
                           GIVEN_MAX);
        if (give_folder(g, plan, &v[i], err) < 0)
            return -1;
    }
    return 0;
}

/* ---- sockets ---- */

int give_socket(struct given *g, const struct wasm_listen *where, struct zl_error *err)
{
    const int on = 1;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(where->port) };
    zl_autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)memcpy(&a.sin_addr, where->address, sizeof a.sin_addr);
    if (fd < 0)
        return zl_fail_errno(err, "make a socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* only bind depends on it */
    if (bind(fd, (const struct sockaddr *)&a, sizeof a) < 0 || listen(fd, BACKLOG) < 0)
        return zl_fail_errno(err, "listen on port %u", where->port);
    if (g->n_sockets == GIVEN_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "a module can be given at most %d sockets", GIVEN_MAX);
    g->sockets[g->n_sockets++] = zl_take_fd(&fd);
    return 0;
}

void given_close(struct given *g)
{
    for (size_t i = 0; i < g->n_folders; i++)
        (void)close(g->folders[i].fd);
    for (size_t i = 0; i < g->n_sockets; i++)
        (void)close(g->sockets[i]);
    g->n_folders = g->n_sockets = 0;
}

/* ---- terminal ---- */

int give_terminal(int console, int ret_stdio[3])
{
    const int unlocked = 0;
    const char byte = 0; /* a message has at least one */
    zl_autoclose int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) < 0)
        return -1;
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return -1;
    (void)setsid(); /* fails only for a leader, which is as good */
    if (ioctl(slave, TIOCSCTTY, 0) < 0 || zl_fd_send(console, master, &byte, 1) < 0)
        return -1;
    ret_stdio[0] = ret_stdio[1] = ret_stdio[2] = slave;
    return 0;
}
