// SPDX-License-Identifier: Apache-2.0
/* The container's mounts: each is made on the descriptor of its target, or attached to it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/weaken.h"
#include "sandbox/carry/child.h"
#include "sandbox/kernel.h"

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

int child_attach(int tree_fd, int target_fd)
{
    return k_move_mount(tree_fd, "", target_fd, "",
                        K_MOVE_MOUNT_F_EMPTY_PATH | K_MOVE_MOUNT_T_EMPTY_PATH);
}

/* What lies uppermost at target now, with other attributes. */
static int remount(struct child *k, const char *target, const struct plan_mount *m)
{
    int fd = child_open(k, target, 0);

    if (fd < 0 || set_attributes(fd, m) < 0)
        return -1;
    (void)close(fd); /* O_PATH */
    return 0;
}

/* covered: the folder that m was mounted on, opened before. */
static int copy_up(struct child *k, const struct plan_mount *m, int covered)
{
    int fresh = child_open(k, plan_text(k->base, m->target), O_DIRECTORY);

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

    if (fd < 0 || child_attach(fd, target_fd) < 0)
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
    if (set_attributes(tree, m) < 0 || child_attach(tree, target_fd) < 0)
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

static bool shows_the_kernel(const char *type)
{
    return type && (strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0);
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
    fd = shows_the_kernel(plan_text(k->base, m->type)) ? child_plain_target(k, target)
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
