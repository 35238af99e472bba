// SPDX-License-Identifier: Apache-2.0
/*
 * Making a cgroup: its folder, with the folders above it where they are missing, and its limits,
 * which are in force before anything runs in it. Nobody is moved by pid at a start:
 * docs/architecture.md tells what that would cost.
 */
#include "sandbox/carry/cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/openat2.h"
#include "sandbox/carry/inner.h"
#include "sandbox/kernel.h"

void cgroup_init(struct cgroup *c, const void *base, const struct plan_cgroup *pc)
{
    *c = (struct cgroup){
        .base = base,
        .plan = pc,
        .mount = plan_text(base, pc->mount),
        .path = plan_text(base, pc->path),
        .controller = plan_text(base, pc->controller),
        .mount_fd = -1,
        .dir_fd = -1,
        .tasks_fd = -1,
    };
}

void cgroup_done(struct cgroup *c)
{
    zl_closep(&c->mount_fd);
    zl_closep(&c->dir_fd);
    zl_closep(&c->tasks_fd);
    c->mount_fd = c->dir_fd = c->tasks_fd = -1;
}

bool cgroup_is_of(const struct cgroup *c, const char *controller)
{
    size_t n = strlen(controller);

    for (const char *at = c->controller; at && *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == n && memcmp(at, controller, n) == 0)
            return true;
    return false;
}

bool cgroup_is_late(const struct cgroup *c)
{
    return c->plan->flags & PLAN_CGROUP_LATE;
}

static int mount_dir(struct cgroup *c)
{
    if (c->mount_fd < 0)
        c->mount_fd = open(c->mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return c->mount_fd;
}

int cgroup_dir(struct cgroup *c)
{
    if (c->dir_fd < 0 && mount_dir(c) >= 0)
        c->dir_fd = openat(c->mount_fd, c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return c->dir_fd;
}

int cgroup_write_value(int fd, const char *value)
{
    size_t n = strlen(value);
    ssize_t w = write(fd, value, n);

    if (w >= 0 && (size_t)w != n)
        errno = EIO;
    return w == (ssize_t)n ? 0 : -1;
}

static int put(int dir_fd, const char *file, const char *value)
{
    zl_autoclose int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -1 : cgroup_write_value(fd, value);
}

/* ---- folders ---- */

/* v1's cpuset begins without CPUs and memory nodes, and takes no process then: as the one above. */
static int inherit_cpuset(int parent_fd, int dir_fd)
{
    static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

    for (size_t i = 0; i < ZL_ARRAY_LEN(files); i++) {
        char value[4096];
        zl_autoclose int fd = openat(parent_fd, files[i], O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, value, sizeof value - 1);
        if (n < 0)
            return -1;
        value[n] = '\0';
        if (put(dir_fd, files[i], value) < 0)
            return -1;
    }
    return 0;
}

static bool is_cpuset(const struct cgroup *c)
{
    return c->plan->kind == PLAN_CGROUP_V1 && c->controller && strcmp(c->controller, "cpuset") == 0;
}

/* Makes one folder below parent_fd and readies it for what will be below or in it. 1 it was not
 * there, 0 it was; -1 and errno, and it is not there if it was not. */
static int make_folder(const struct cgroup *c, int parent_fd, const char *name)
{
    zl_autoclose int fd = -1;

    if (mkdirat(parent_fd, name, 0755) < 0)
        return errno == EEXIST ? 0 : -1;
    if (!is_cpuset(c))
        return 1;
    fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && inherit_cpuset(parent_fd, fd) == 0)
        return 1;
    int why = errno;
    (void)unlinkat(parent_fd, name, AT_REMOVEDIR); /* nobody could ever be in it */
    errno = why;
    return -1;
}

/* v2: each controller is switched on by itself, so that one that is missing does not spoil the
 * others; whose file is then wanted will be missed by name. */
static void enable_below(int dir_fd, const char *enable)
{
    char word[64];

    while (enable && *enable) {
        size_t n = strcspn(enable, " ");
        if (n && n < sizeof word) {
            memcpy(word, enable, n);
            word[n] = '\0';
            (void)put(dir_fd, "cgroup.subtree_control", word);
        }
        enable += n + (enable[n] == ' ');
    }
}

/* Every folder of the path, from the top; those above the last get their controllers (v2). As
 * make_folder() of the last. */
static int make_path(struct cgroup *c, const char *enable)
{
    zl_autoclose int dir = openat(c->mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[NAME_MAX + 1];
    const char *at = c->path;
    int made = 0;

    if (dir < 0)
        return -1;
    while (*at) {
        size_t n = strcspn(at, "/");
        if (n > NAME_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, at, n);
        name[n] = '\0';
        if (c->plan->kind == PLAN_CGROUP_V2)
            enable_below(dir, enable);
        made = n ? make_folder(c, dir, name) : made;
        if (made < 0)
            return -1;
        at += n + (at[n] == '/');
        if (!*at)
            break;
        int next = openat(dir, n ? name : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (next < 0)
            return -1;
        (void)close(dir);
        dir = next;
    }
    return made;
}

/* The folder above is there after the first container: one call then. */
int cgroup_make_folder(struct cgroup *c)
{
    if (mount_dir(c) < 0)
        return -1;
    if (!is_cpuset(c)) {
        if (mkdirat(c->mount_fd, c->path, 0755) == 0)
            return 1;
        if (errno == EEXIST)
            return 0;
        if (errno != ENOENT)
            return -1;
    }
    return make_path(c, plan_text(c->base, c->plan->enable));
}

/* ---- limits ---- */

int cgroup_open_file(struct cgroup *c, const char *name, const char *enable)
{
    int fd = openat(c->dir_fd, name, O_WRONLY | O_CLOEXEC);

    /* v2: a controller that nobody asked for yet is not switched on above */
    if (fd < 0 && errno == ENOENT && c->plan->kind == PLAN_CGROUP_V2 && enable &&
        make_path(c, enable) >= 0)
        fd = openat(c->dir_fd, name, O_WRONLY | O_CLOEXEC);
    return fd;
}

int cgroup_write_failed(const struct cgroup *c, const char *name, const char *value,
                        struct zl_error *err)
{
    if (errno == ENOENT && c->plan->kind == PLAN_CGROUP_V2)
        return zl_fail(err, ZL_ERR_CONFIGURATION,
                       "write '%s' into '%s/%s/%s': there is no such file: its controller is not "
                       "handed down to this cgroup",
                       value, c->mount, c->path, name);
    return zl_fail_errno(err, "write '%s' into '%s/%s/%s'", value, c->mount, c->path, name);
}

struct open_file { /* of the last value: device rules go into one file, one write each */
    const char *name;
    int fd;
};

static int open_next(struct cgroup *c, const char *name, struct open_file *last)
{
    if (last->name && strcmp(last->name, name) == 0)
        return 0;
    zl_closep(&last->fd);
    last->name = NULL;
    last->fd = cgroup_open_file(c, name, plan_text(c->base, c->plan->enable));
    if (last->fd < 0)
        return -1;
    last->name = name;
    return 0;
}

int cgroup_limit(struct cgroup *c, struct zl_error *err)
{
    const struct plan_file *f = plan_table(c->base, c->plan->files);
    struct open_file last = { .fd = -1 };
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < c->plan->files.n; i++) {
        const char *name = plan_text(c->base, f[i].path);
        const char *value = plan_text(c->base, f[i].value);
        bool chosen = open_next(c, name, &last) == 0;
        if (!chosen && errno == ENOENT && f[i].flags & PLAN_FILE_OR_NEXT)
            continue;
        if ((!chosen || cgroup_write_value(last.fd, value) < 0) &&
            !(f[i].flags & PLAN_FILE_OPTIONAL))
            rc = cgroup_write_failed(c, name, value, err);
        if (f[i].flags & PLAN_FILE_OR_NEXT)
            i++;
    }
    zl_closep(&last.fd);
    return rc;
}

int cgroup_open_join(struct cgroup *c, struct zl_error *err)
{
    if (cgroup_dir(c) < 0)
        return zl_fail_errno(err, "open cgroup '%s/%s'", c->mount, c->path);
    if (c->plan->kind == PLAN_CGROUP_V1 && c->tasks_fd < 0)
        c->tasks_fd = openat(c->dir_fd, "tasks", O_WRONLY | O_CLOEXEC);
    if (c->plan->kind == PLAN_CGROUP_V1 && c->tasks_fd < 0)
        return zl_fail_errno(err, "open '%s/%s/tasks'", c->mount, c->path);
    return 0;
}

int cgroup_open_below(struct cgroup *c, const char *path, struct zl_error *err)
{
    const char *below = path + strspn(path, "/");
    zl_autoclose int dir = cgroup_dir(c) < 0 ? -1
                                             : zl_openat2(c->dir_fd, below[0] ? below : ".",
                                                          O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
                                                          RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    int fd;

    if (dir < 0)
        return zl_fail_errno(err, "open cgroup '%s/%s/%s'", c->mount, c->path, below);
    if (c->plan->kind == PLAN_CGROUP_V2)
        return zl_take_fd(&dir);
    fd = openat(dir, "tasks", O_WRONLY | O_CLOEXEC);
    return fd < 0 ? zl_fail_errno(err, "open '%s/%s/%s/tasks'", c->mount, c->path, below) : fd;
}

int cgroup_open_of(struct cgroup *c, int pidfd, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(65536);
    char path[48];
    size_t n = strlen(c->path);

    (void)snprintf(path, sizeof path, "/proc/%d/cgroup", (int)carry_pid_of(pidfd));
    if (zl_read_file(AT_FDCWD, path, &text, err) < 0)
        return -1;
    for (char *at = text.data; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        char *below = at + 4 + n; /* "0::/" and our own path */
        if (strncmp(at, "0::/", 4) != 0 || strncmp(at + 4, c->path, n) != 0 || *below != '/')
            continue;
        below[strcspn(below, "\n")] = '\0';
        return cgroup_open_below(c, below, err);
    }
    return zl_fail(err, ZL_ERR_CONFLICT,
                   "the container's first process has left its cgroup '%s/%s'", c->mount, c->path);
}

/* The folder and what the kernel says may go with it (cgroups(7), /sys/kernel/cgroup/delegate): its
 * limits stay whose they are. */
static int give_away(struct cgroup *c, struct zl_error *err)
{
    char files[4096] = "";
    zl_autoclose int list = open("/sys/kernel/cgroup/delegate", O_RDONLY | O_CLOEXEC);
    ssize_t n = list < 0 ? -1 : read(list, files, sizeof files - 1);

    if (n < 0)
        return zl_fail_errno(err, "read '/sys/kernel/cgroup/delegate'");
    if (fchown(c->dir_fd, c->plan->owner, (gid_t)-1) < 0)
        return zl_fail_errno(err, "give cgroup '%s/%s' to user %u", c->mount, c->path,
                             c->plan->owner);
    for (char *at = files, *rest; (at = strtok_r(at, "\n", &rest)); at = NULL)
        if (fchownat(c->dir_fd, at, c->plan->owner, (gid_t)-1, 0) < 0 && errno != ENOENT)
            return zl_fail_errno(err, "give '%s/%s/%s' to user %u", c->mount, c->path, at,
                                 c->plan->owner);
    return 0;
}

int cgroup_make(struct cgroup *c, struct zl_error *err)
{
    int made = cgroup_make_folder(c), empty = 1;

    c->ours = made == 1;
    c->gone = false;
    if (made < 0 || cgroup_dir(c) < 0)
        return zl_fail_errno(err, "make cgroup '%s/%s'", c->mount, c->path);
    /* all that is in a container's cgroup ends with the container */
    if (!made && !(c->plan->flags & PLAN_CGROUP_GIVEN))
        empty = cgroup_empty(c);
    if (empty < 0)
        return zl_fail_errno(err, "look whether cgroup '%s/%s' is empty", c->mount, c->path);
    if (!empty)
        return zl_fail(err, ZL_ERR_CONFLICT, "make cgroup '%s/%s': processes are in it already",
                       c->mount, c->path);
    c->ours = true;
    c->fresh = made;
    if (cgroup_limit(c, err) < 0 || (c->plan->owner && give_away(c, err) < 0))
        return -1;
    if (c->plan->device_bpf.n && cgroup_set_devices(c, plan_table(c->base, c->plan->device_bpf),
                                                    c->plan->device_bpf.n, err) < 0)
        return -1;
    return cgroup_open_join(c, err);
}
