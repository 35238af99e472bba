// SPDX-License-Identifier: Apache-2.0
/*
 * The container's root: of a folder or of layers, with what is masked and read-only in it, and how
 * it becomes "/". What lies in it is reached by target.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/weaken.h"
#include "sandbox/carry/child.h"
#include "sandbox/kernel.h"

/*
 * overlayfs takes only directories of the caller's own mount namespace, and ours is a copy: the
 * layer is opened again by the path it had, and must be the same directory still.
 */
static int reopen(int fd)
{
    char link[FD_PATH_SIZE];
    char path[PATH_MAX];
    struct stat was, is;
    ssize_t n = readlink(child_fd_path(fd, link), path, sizeof path - 1);
    int again;

    if (n < 0)
        return -1;
    path[n] = '\0';
    again = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (again < 0 || fstat(fd, &was) < 0 || fstat(again, &is) < 0)
        return -1;
    if (was.st_dev != is.st_dev || was.st_ino != is.st_ino) {
        errno = ESTALE;
        return -1;
    }
    return again;
}

struct options {
    char text[4096]; /* mount(2) takes a page */
    size_t n;
};

static int add_layer(struct child *k, struct options *o, const char *before, uint32_t i)
{
    char path[FD_PATH_SIZE];
    int fd = reopen(k->plan_fds[i]);
    size_t a = strlen(before);

    if (fd < 0)
        return child_fail(k, STEP_LAYER, NULL, NULL);
    child_fd_path(fd, path);
    size_t b = strlen(path);
    if (o->n + a + b + 1 > sizeof o->text) {
        errno = ENAMETOOLONG;
        return child_fail(k, STEP_ROOT, "overlay: its layers take more than 4096 bytes to name",
                          NULL);
    }
    memcpy(o->text + o->n, before, a);
    memcpy(o->text + o->n + a, path, b + 1);
    o->n += a + b;
    return 0;
}

static int add_option(struct options *o, const char *text)
{
    size_t n = strlen(text);

    if (o->n + n + 1 > sizeof o->text) {
        errno = E2BIG;
        return -1;
    }
    memcpy(o->text + o->n, text, n + 1);
    o->n += n;
    return 0;
}

/* The folders and files that mounts will want, in the tmpfs at where: with them as its lowest layer
 * a root that nobody can write still has every mount target. */
static int make_targets(struct child *k, const char *where)
{
    const struct plan_mount *m = plan_table(k->base, k->plan->mounts);
    struct stat st;

    if (mount("tmpfs", where, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0)
        return child_fail(k, STEP_ROOT, where, "tmpfs");
    k->root_fd = open(where, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (k->root_fd < 0)
        return child_fail(k, STEP_ROOT, where, NULL);
    for (uint32_t i = 0; i < k->plan->mounts.n; i++) {
        const char *target = plan_text(k->base, m[i].target);
        bool file = m[i].kind == PLAN_MOUNT_BIND &&
                    stat(plan_text(k->base, m[i].source), &st) == 0 && !S_ISDIR(st.st_mode);
        int fd = m[i].kind == PLAN_MOUNT_FS || m[i].kind == PLAN_MOUNT_BIND
                     ? child_target(k, target, !file)
                     : k->root_fd;
        if (fd < 0)
            return child_fail(k, STEP_TARGET, target, NULL);
        if (fd != k->root_fd)
            (void)close(fd); /* O_PATH */
    }
    return 0;
}

static int mount_overlay(struct child *k, const char *where)
{
    const struct plan *p = k->plan;
    struct options o = { .n = 0 };
    char targets[FD_PATH_SIZE];

    if (add_option(&o, "userxattr") < 0)
        return child_fail(k, STEP_ROOT, where, NULL);
    for (uint32_t i = 0; i < p->n_lower; i++)
        if (add_layer(k, &o, i ? ":" : ",lowerdir=", i) < 0)
            return -1;
    if (!(p->flags & PLAN_HAS_UPPER)) {
        if (make_targets(k, where) < 0)
            return -1;
        if (add_option(&o, ":") < 0 || add_option(&o, child_fd_path(k->root_fd, targets)) < 0)
            return child_fail(k, STEP_ROOT, where, NULL);
    }
    if (p->flags & PLAN_HAS_UPPER && (add_layer(k, &o, ",upperdir=", p->n_lower) < 0 ||
                                      add_layer(k, &o, ",workdir=", p->n_lower + 1) < 0))
        return -1;
    if (p->flags & PLAN_OVERLAY_VOLATILE && add_option(&o, ",volatile") < 0)
        return child_fail(k, STEP_ROOT, where, NULL);
    if (mount("overlay", where, "overlay", 0, o.text) < 0)
        return child_fail(k, STEP_ROOT, where, "overlay");
    return 0;
}

/* pivot_root(2) wants the mount that holds the new root not to be shared: the nearest is. */
static int unshare_parent(const char *path)
{
    char above[PATH_MAX];
    size_t n = strlen(path);

    if (n >= sizeof above) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(above, path, n + 1);
    while (mount(NULL, n ? above : "/", NULL, MS_PRIVATE, NULL) < 0) {
        if (errno != EINVAL || !n) /* EINVAL: not a mount point */
            return -1;
        while (n && above[n - 1] != '/')
            n--;
        while (n && above[n - 1] == '/')
            n--;
        above[n] = '\0';
    }
    return 0;
}

/* Where others live, their mounts stay as they are. */
static int mount_beside(struct child *k, const char *path)
{
    const char *at = plan_text(k->plan, k->plan->root_mount);

    if (mount(path, at, NULL, MS_BIND | MS_REC, NULL) < 0)
        return child_fail(k, STEP_ROOT, at, path);
    /* what is mounted inside must appear nowhere else */
    if (mount(NULL, at, NULL, MS_PRIVATE | MS_REC, NULL) < 0)
        return child_fail(k, STEP_PROPAGATION, at, NULL);
    k->root_fd = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return k->root_fd < 0 ? child_fail(k, STEP_ROOT, at, NULL) : 0;
}

int child_root(struct child *k)
{
    const struct plan *p = k->plan;
    const char *path = plan_text(p, p->root_path);

    if (p->root_mount)
        return mount_beside(k, path) < 0 ? -1 : child_become_root(k);
    if (p->root_propagation_before) {
        if (mount(NULL, "/", NULL, p->root_propagation_before, NULL) < 0)
            return child_fail(k, STEP_PROPAGATION, "/", NULL);
    } else if (unshare_parent(path) < 0) {
        return child_fail(k, STEP_PROPAGATION, path, NULL);
    }
    if (p->root_kind == PLAN_ROOT_OVERLAY) {
        /* an overlay does everything with the rights of who mounted it */
        if (child_become_root(k) < 0 || mount_overlay(k, path) < 0)
            return -1;
    } else if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0) {
        return child_fail(k, STEP_ROOT, path, NULL);
    }
    k->root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (k->root_fd < 0)
        return child_fail(k, STEP_ROOT, path, NULL);
    /* what is mounted inside must not appear in the bundle on the host */
    if (!p->root_propagation_before && mount(NULL, path, NULL, MS_PRIVATE, NULL) < 0)
        return child_fail(k, STEP_PROPAGATION, path, NULL);
    return child_become_root(k);
}

/* ---- masked and read-only paths ---- */

/* The first masked directory becomes an empty tmpfs, the others binds of it. */
static int mask_directory(struct child *k, const char *path, int fd)
{
    char to[FD_PATH_SIZE], from[FD_PATH_SIZE];

    child_fd_path(fd, to);
    if (k->mask_fd >= 0)
        return mount(child_fd_path(k->mask_fd, from), to, NULL, MS_BIND, NULL);
    if (mount("tmpfs", to, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=0,nr_inodes=1,mode=755") < 0)
        return -1;
    k->mask_fd = child_open(k, path, O_DIRECTORY);
    return k->mask_fd < 0 ? -1 : 0;
}

/* What masks: the host's /dev/null. What an image has under this name may be a link to anything,
 * and become one when it has been looked at. */
static const char *open_null(struct child *k, char weak[FD_PATH_SIZE])
{
    struct stat st;

    if (zl_weaken(DEVNULL))
        return child_fd_path(child_open(k, "/dev/null", 0), weak);
    if (zl_weaken(RACE) && fstatat(k->root_fd, "dev/null", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISCHR(st.st_mode))
        return child_fd_path(child_open(k, "/dev/null", 0), weak);
    return "/dev/null";
}

int child_mask(struct child *k)
{
    const plan_str *v = plan_table(k->base, k->plan->masked);
    char to[FD_PATH_SIZE], weak[FD_PATH_SIZE];
    const char *null = open_null(k, weak);
    struct stat st;

    for (uint32_t i = 0; i < k->plan->masked.n; i++) {
        const char *path = plan_text(k->base, v[i]);
        int fd = child_open(k, path, 0);
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
            continue;
        /* looked at first: a bind that fails costs an RCU grace period */
        if (fd < 0 || fstat(fd, &st) < 0 ||
            (S_ISDIR(st.st_mode) ? mask_directory(k, path, fd)
                                 : mount(null, child_fd_path(fd, to), NULL, MS_BIND, NULL)) < 0)
            return child_fail(k, STEP_MASK, path, NULL);
        (void)close(fd);
    }
    return 0;
}

static int make_readonly(int fd)
{
    struct k_mount_attr readonly = { .attr_set = K_ATTR_RDONLY };
    int tree = k_open_tree(
        fd, "", K_OPEN_TREE_CLONE | K_OPEN_TREE_CLOEXEC | K_AT_EMPTY_PATH | K_AT_RECURSIVE);

    if (tree < 0 || k_mount_setattr(tree, "", K_AT_EMPTY_PATH, &readonly) < 0 ||
        child_attach(tree, fd) < 0)
        return -1;
    (void)close(tree);
    return 0;
}

int child_readonly(struct child *k)
{
    const plan_str *v = plan_table(k->base, k->plan->readonly);

    for (uint32_t i = 0; i < k->plan->readonly.n; i++) {
        const char *path = plan_text(k->base, v[i]);
        int fd = child_open(k, path, 0);
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
            continue;
        if (fd < 0 || (!zl_weaken(READONLY) && make_readonly(fd) < 0))
            return child_fail(k, STEP_READONLY, path, NULL);
        (void)close(fd);
    }
    return 0;
}

/* ---- the change of root ---- */

/* The old root stays mounted over the new one until it is detached: pivot_root(2), NOTES. */
static int pivot(struct child *k)
{
    int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (old < 0 || fchdir(k->root_fd) < 0 || k_pivot_root(".", ".") < 0 || fchdir(old) < 0)
        return -1;
    /* a root that is shared with the host must not be unmounted there as well */
    if (!k->plan->root_propagation_before && mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        return -1;
    if (umount2(".", MNT_DETACH) < 0)
        return -1;
    (void)close(old);
    return chdir("/");
}

static int move_and_chroot(struct child *k)
{
    if (fchdir(k->root_fd) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
        return -1;
    return chdir("/");
}

static int enter_root(struct child *k)
{
    return fchdir(k->root_fd) < 0 || chroot(".") < 0 ? -1 : chdir("/");
}

static int change_root(struct child *k)
{
    if (k->plan->root_mount)
        return enter_root(k);
    return k->plan->flags & PLAN_NO_PIVOT ? move_and_chroot(k) : pivot(k);
}

int child_pivot(struct child *k)
{
    const struct plan *p = k->plan;
    struct k_mount_attr readonly = { .attr_set = K_ATTR_RDONLY };

    if (change_root(k) < 0)
        return child_fail(k, STEP_PIVOT, NULL, NULL);
    if (p->flags & PLAN_ROOT_READONLY && k_mount_setattr(AT_FDCWD, "/", 0, &readonly) < 0)
        return child_fail(k, STEP_READONLY, "/", NULL);
    if (p->root_propagation_after && mount(NULL, "/", NULL, p->root_propagation_after, NULL) < 0)
        return child_fail(k, STEP_PROPAGATION, "/", NULL);
    return 0;
}
