// SPDX-License-Identifier: Apache-2.0
/* Device nodes and links, mostly of /dev: the folder of the last one is kept open for the next. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/weaken.h"
#include "sandbox/carry/child.h"
#include "sandbox/kernel.h"

/* Opens (or makes) the folder of path and returns the name in it; NULL and errno. */
static const char *enter_folder(struct child *k, const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;

    if (!slash || n >= sizeof dir) {
        errno = EINVAL;
        return NULL;
    }
    if (k->dir && k->dir_len == n && memcmp(k->dir, path, n) == 0)
        return slash + 1;
    if (k->dir)
        (void)close(k->dir_fd);
    k->dir = NULL;
    memcpy(dir, path, n);
    dir[n] = '\0';
    k->dir_fd = child_target(k, n ? dir : "/", true);
    if (k->dir_fd < 0)
        return NULL;
    k->dir = path;
    k->dir_len = n;
    return slash + 1;
}

/* An image, or a mount over /dev, may have brought the node along: it must be the same device. */
static int accept_existing(struct child *k, const char *name, const struct plan_device *d)
{
    struct stat st;

    if (fstatat(k->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (zl_weaken(DEVICE) || ((st.st_mode & S_IFMT) == (d->mode & S_IFMT) && st.st_rdev == d->rdev))
        return 0;
    errno = EEXIST;
    return -1;
}

static int make_device(struct child *k, const struct plan_device *d)
{
    const char *name = enter_folder(k, plan_text(k->base, d->path));

    if (!name)
        return -1;
    if (mknodat(k->dir_fd, name, d->mode, d->rdev) < 0)
        return errno == EEXIST ? accept_existing(k, name, d) : -1;
    if ((d->uid || d->gid) && fchownat(k->dir_fd, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    return 0;
}

/* In a user namespace no device can be made: the host's, of the same name, is bound. */
static int bind_device(struct child *k, const struct plan_device *d)
{
    const char *path = plan_text(k->base, d->path);
    struct stat st;
    int tree = k_open_tree(AT_FDCWD, path, K_OPEN_TREE_CLONE | K_OPEN_TREE_CLOEXEC);
    int target;

    if (tree < 0 || fstat(tree, &st) < 0)
        return -1;
    if ((st.st_mode & S_IFMT) != (d->mode & S_IFMT) || st.st_rdev != d->rdev) {
        errno = ENODEV;
        return -1;
    }
    target = child_target(k, path, false);
    if (target < 0 || k_move_mount(tree, "", target, "",
                                   K_MOVE_MOUNT_F_EMPTY_PATH | K_MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return -1;
    (void)close(tree);
    return close(target);
}

static int put_device(struct child *k, const struct plan_device *d)
{
    bool fifo = (d->mode & S_IFMT) == S_IFIFO;

    if (k->process->flags & PLAN_USER_NS && !fifo)
        return bind_device(k, d);
    if (make_device(k, d) == 0)
        return 0;
    return errno == EPERM && !fifo ? bind_device(k, d)
                                   : -1; /* we are in such a namespace already */
}

int child_devices(struct child *k)
{
    const struct plan_device *d = plan_table(k->base, k->plan->devices);

    for (uint32_t i = 0; i < k->plan->devices.n; i++)
        if (put_device(k, &d[i]) < 0)
            return child_fail(k, STEP_DEVICE, plan_text(k->base, d[i].path), NULL);
    return 0;
}

int child_links(struct child *k)
{
    const struct plan_link *l = plan_table(k->base, k->plan->links);

    for (uint32_t i = 0; i < k->plan->links.n; i++) {
        const char *path = plan_text(k->base, l[i].path);
        const char *name = enter_folder(k, path);
        if (!name ||
            (symlinkat(plan_text(k->base, l[i].target), k->dir_fd, name) < 0 && errno != EEXIST))
            return child_fail(k, STEP_LINK, path, NULL);
    }
    return 0;
}
