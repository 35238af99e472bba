// SPDX-License-Identifier: Apache-2.0
/*
 * The container's root: mounted, filled with mounts, masked, and made "/". Paths inside come from
 * an image or its configuration: each is resolved by openat2(2) as if the root were "/" and mounted
 * on by descriptor, so that no symlink in an image leads out, not even one swapped in meanwhile.
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

/* ---- targets ---- */

/* What others did before openat2(2): "/" of a link is the host's; or the way is looked at, and then
 * gone again by name. Never in what is shipped. */
static int open_weakly(struct child *k, const char *path, int flags)
{
    char link[FD_PATH_SIZE], name[PATH_MAX];
    ssize_t n;
    int fd;

    path += strspn(path, "/");
    path = *path ? path : ".";
    if (zl_weaken(TARGET))
        return openat(k->root_fd, path, flags | O_PATH | O_CLOEXEC);
    fd = k_openat2(k->root_fd, path, (uint64_t)flags | O_PATH | O_CLOEXEC, 0, CHILD_PATH_RESOLVE);
    if (fd < 0)
        return -1;
    n = readlink(child_fd_path(fd, link), name, sizeof name - 1);
    (void)close(fd);
    if (n < 0)
        return -1;
    name[n] = '\0';
    return open(name, flags | O_PATH | O_CLOEXEC);
}

static int open_inside(struct child *k, const char *path, int flags)
{
    if (zl_weaken(TARGET) || zl_weaken(RACE))
        return open_weakly(k, path, flags);
    return k_openat2(k->root_fd, path, (uint64_t)flags | O_PATH | O_CLOEXEC, 0, CHILD_PATH_RESOLVE);
}

/* One missing component; the folder that holds it is there. */
static int make_component(int dir_fd, const char *name, bool directory)
{
    int fd;

    if (directory)
        return mkdirat(dir_fd, name, 0755) < 0 && errno != EEXIST ? -1 : 0;
    fd = openat(dir_fd, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0)
        return errno == EEXIST ? 0 : -1;
    (void)close(fd); /* empty */
    return 0;
}

/* The folder above is there most often. 1 it was, 0 more is missing, -1 and errno. */
static int make_last(struct child *k, char *path, bool directory)
{
    char *name = strrchr(path, '/');
    int dir_fd, rc;

    if (!name)
        return 0;
    *name = '\0'; /* "" is the root itself */
    dir_fd = open_inside(k, path[0] ? path : ".", O_DIRECTORY);
    *name = '/';
    if (dir_fd < 0)
        return errno == ENOENT ? 0 : -1;
    rc = make_component(dir_fd, name + 1, directory);
    (void)close(dir_fd);
    return rc < 0 ? -1 : 1;
}

/* Makes what is missing of path, component by component, each looked up anew inside the root. */
static int make_path(struct child *k, const char *path, bool directory)
{
    char walked[PATH_MAX];
    size_t n = strlen(path);
    size_t at = 0;

    if (n >= sizeof walked) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(walked, path, n + 1);
    while (n > 1 && walked[n - 1] == '/')
        walked[--n] = '\0';
    int made = make_last(k, walked, directory);
    if (made)
        return made < 0 ? -1 : 0;
    while (walked[at] == '/')
        at++;
    while (at < n) {
        size_t end = at + strcspn(walked + at, "/");
        size_t next = end;
        int dir_fd, rc;
        while (walked[next] == '/')
            next++;
        char cut = walked[end];
        walked[end] = '\0';
        int fd = open_inside(k, walked, 0);
        if (fd < 0 && errno != ENOENT)
            return -1;
        if (fd >= 0) {
            (void)close(fd); /* O_PATH */
        } else {
            char first = walked[at];
            walked[at] = '\0'; /* the folder above: "" is the root itself */
            dir_fd = open_inside(k, at ? walked : ".", O_DIRECTORY);
            walked[at] = first;
            if (dir_fd < 0)
                return -1;
            rc = make_component(dir_fd, walked + at, directory || next < n);
            (void)close(dir_fd);
            if (rc < 0)
                return -1;
        }
        walked[end] = cut;
        at = next;
    }
    return 0;
}

int child_target(struct child *k, const char *path, bool directory)
{
    int fd = open_inside(k, path, 0);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (make_path(k, path, directory) < 0)
        return -1;
    return open_inside(k, path, 0);
}

/* What the kernel shows of itself lies where its paths say and nowhere else: through a link of the
 * image it would lie at a place that somebody who shares a volume may move, from under its masks.
 */
static int plain_target(struct child *k, const char *path)
{
    int fd = child_target(k, path, true);

    if (fd < 0 || zl_weaken(PROC))
        return fd;
    (void)close(fd); /* O_PATH */
    return k_openat2(k->root_fd, path, O_PATH | O_CLOEXEC, 0,
                     CHILD_PATH_RESOLVE | RESOLVE_NO_SYMLINKS);
}

static bool shows_the_kernel(const char *type)
{
    return type && (strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0);
}

/* ---- mounts ---- */

static int set_attributes(int fd, const struct plan_mount *m)
{
    struct k_mount_attr one = { .attr_set = m->attr_set, .attr_clr = m->attr_clear };
    struct k_mount_attr all = { .attr_set = m->rec_attr_set, .attr_clr = m->rec_attr_clear };
    struct k_mount_attr way = { .propagation = m->propagation & ~(uint64_t)MS_REC };
    unsigned recursive = m->propagation & MS_REC ? K_AT_RECURSIVE : 0;

    if (zl_weaken(READONLY))
        one.attr_set &= ~(uint64_t)K_ATTR_RDONLY;
    if ((one.attr_set || one.attr_clr) && k_mount_setattr(fd, "", K_AT_EMPTY_PATH, &one) < 0)
        return -1;
    if ((all.attr_set || all.attr_clr) &&
        k_mount_setattr(fd, "", K_AT_EMPTY_PATH | K_AT_RECURSIVE, &all) < 0)
        return -1;
    if (way.propagation && k_mount_setattr(fd, "", K_AT_EMPTY_PATH | recursive, &way) < 0)
        return -1;
    return 0;
}

static int attach(int tree_fd, int target_fd)
{
    return k_move_mount(tree_fd, "", target_fd, "",
                        K_MOVE_MOUNT_F_EMPTY_PATH | K_MOVE_MOUNT_T_EMPTY_PATH);
}

/* What lies uppermost at target now, with other attributes. */
static int remount(struct child *k, const char *target, const struct plan_mount *m)
{
    int fd = open_inside(k, target, 0);

    if (fd < 0 || set_attributes(fd, m) < 0)
        return -1;
    (void)close(fd); /* O_PATH */
    return 0;
}

/* covered: the folder that m was mounted on, opened before. */
static int copy_up(struct child *k, const struct plan_mount *m, int covered)
{
    int fresh = open_inside(k, plan_text(k->base, m->target), O_DIRECTORY);

    if (fresh < 0 || child_copy_tree(covered, fresh, m->copy_up & PLAN_COPY_UP_FOLDER) < 0)
        return -1;
    return close(fresh);
}

/*
 * mount(2) refuses what lies there already (EBUSY): of cgroup v2 there is but one, which a bind of
 * the host's /sys brings along, seen from another root. The newer calls have no such objection.
 */
static int mount_over_itself(const struct plan_mount *m, int target_fd)
{
    const uint64_t same = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC; /* MOUNT_ATTR_… alike */
    int fd = k_fsmount("cgroup2", (unsigned)(m->flags & same));

    if (fd < 0 || attach(fd, target_fd) < 0)
        return -1;
    return close(fd);
}

static int mount_fs(struct child *k, const struct plan_mount *m, int target_fd)
{
    char path[FD_PATH_SIZE];
    const char *type = plan_text(k->base, m->type);
    const char *source = plan_text(k->base, m->source);

    if (mount(source ? source : type, child_fd_path(target_fd, path), type,
              zl_weaken(READONLY) ? m->flags & ~(uint64_t)MS_RDONLY : m->flags,
              plan_text(k->base, m->data)) < 0 &&
        (errno != EBUSY || !type || strcmp(type, "cgroup2") != 0 ||
         mount_over_itself(m, target_fd) < 0))
        return -1;
    if (m->copy_up && copy_up(k, m, target_fd) < 0)
        return child_fail(k, STEP_COPY_UP, plan_text(k->base, m->target), NULL);
    return m->propagation ? remount(k, plan_text(k->base, m->target), m) : 0;
}

/* What our maker opened for it, -1: nothing. */
static int tree_of(const struct child *k, const struct plan_mount *m)
{
    const struct plan_mount *first = plan_table(k->base, k->plan->mounts);

    return k->trees && m >= first && m < first + k->plan->mounts.n ? k->trees[m - first] : -1;
}

static int mount_bind(struct child *k, const struct plan_mount *m)
{
    const char *target = plan_text(k->base, m->target);
    struct stat st;
    int tree, target_fd;

    tree = tree_of(k, m);
    if (tree < 0)
        tree = k_open_tree(AT_FDCWD, plan_text(k->base, m->source),
                           K_OPEN_TREE_CLONE | K_OPEN_TREE_CLOEXEC |
                               (m->recursive ? K_AT_RECURSIVE : 0));
    if (tree < 0 || fstat(tree, &st) < 0)
        return -1;
    target_fd = child_target(k, target, S_ISDIR(st.st_mode));
    if (target_fd < 0)
        return child_fail(k, STEP_TARGET, target, NULL);
    if (set_attributes(tree, m) < 0 || attach(tree, target_fd) < 0)
        return -1;
    (void)close(tree);
    (void)close(target_fd);
    return 0;
}

static int make_symlink(struct child *k, const char *path, const char *to)
{
    char dir[PATH_MAX];
    const char *name = strrchr(path, '/');
    size_t n = name ? (size_t)(name - path) : 0;
    int dir_fd;

    if (!name || n >= sizeof dir) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(dir, path, n);
    dir[n] = '\0';
    dir_fd = child_target(k, n ? dir : "/", true);
    if (dir_fd < 0 || (symlinkat(to, dir_fd, name + 1) < 0 && errno != EEXIST))
        return -1;
    (void)close(dir_fd);
    return 0;
}

static int mount_one(struct child *k, const struct plan_mount *m)
{
    const char *target = plan_text(k->base, m->target);
    int fd, rc;

    switch ((enum plan_mount_kind)m->kind) {
    case PLAN_MOUNT_BIND:
        return mount_bind(k, m);
    case PLAN_MOUNT_SYMLINK:
        return make_symlink(k, target, plan_text(k->base, m->source));
    case PLAN_MOUNT_REMOUNT:
        return remount(k, target, m);
    case PLAN_MOUNT_FS:
    case PLAN_MOUNT_KINDS: /* refused by plan_check */
        break;
    }
    fd = shows_the_kernel(plan_text(k->base, m->type)) ? plain_target(k, target)
                                                       : child_target(k, target, true);
    if (fd < 0)
        return child_fail(k, STEP_TARGET, target, NULL);
    rc = mount_fs(k, m, fd);
    if (rc == 0)
        (void)close(fd);
    return rc;
}

static int mount_table(struct child *k, struct plan_tab t, enum step step)
{
    const struct plan_mount *m = plan_table(k->base, t);

    for (uint32_t i = 0; i < t.n; i++) {
        const char *source = plan_text(k->base, m[i].source);
        if (mount_one(k, &m[i]) == 0)
            continue;
        if (k->shared->report.step != STEP_NONE)
            return -1;
        return child_fail(k, step, plan_text(k->base, m[i].target),
                          source ? source : plan_text(k->base, m[i].type));
    }
    return 0;
}

int child_mounts(struct child *k)
{
    return mount_table(k, k->plan->mounts, STEP_MOUNT);
}

int child_late_mounts(struct child *k)
{
    return mount_table(k, k->plan->late_mounts, STEP_LATE_MOUNT);
}

/* ---- the root itself ---- */

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
        errno = E2BIG;
        return child_fail(k, STEP_LAYER, NULL, NULL);
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
    k->mask_fd = open_inside(k, path, O_DIRECTORY);
    return k->mask_fd < 0 ? -1 : 0;
}

int child_mask(struct child *k)
{
    const plan_str *v = plan_table(k->base, k->plan->masked);
    char to[FD_PATH_SIZE], weak[FD_PATH_SIZE];
    /* the host's: what an image has under this name may be a link to anything */
    const char *null =
        zl_weaken(DEVNULL) ? child_fd_path(open_inside(k, "/dev/null", 0), weak) : "/dev/null";
    struct stat st;

    for (uint32_t i = 0; i < k->plan->masked.n; i++) {
        const char *path = plan_text(k->base, v[i]);
        int fd = open_inside(k, path, 0);
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
        attach(tree, fd) < 0)
        return -1;
    (void)close(tree);
    return 0;
}

int child_readonly(struct child *k)
{
    const plan_str *v = plan_table(k->base, k->plan->readonly);

    for (uint32_t i = 0; !zl_weaken(READONLY) && i < k->plan->readonly.n; i++) {
        const char *path = plan_text(k->base, v[i]);
        int fd = open_inside(k, path, 0);
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
            continue;
        if (fd < 0 || make_readonly(fd) < 0)
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
