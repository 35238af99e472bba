// SPDX-License-Identifier: Apache-2.0
/*
 * Making a cgroup: its folder, with the folders above it where they are missing, and its limits,
 * which are in force before anything runs in it. Nobody is ever moved by pid: see start-path in
 * docs/architecture.md for what that would cost.
 */
#include "sandbox/carry/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef BPF_CGROUP_DEVICE
#define BPF_CGROUP_DEVICE 6
#endif

void cgroup_init(struct cgroup *c, const struct plan *plan, const struct plan_cgroup *pc)
{
    *c = (struct cgroup){
        .plan = pc,
        .mount = plan_text(plan, pc->mount),
        .path = plan_text(plan, pc->path),
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

/* One write(2), as control files want it. -1 and errno. */
static int write_value(int fd, const char *value)
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
    return fd < 0 ? -1 : write_value(fd, value);
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

static bool is_cpuset(const struct cgroup *c, const struct plan *plan)
{
    const char *name = plan_text(plan, c->plan->controller);
    return c->plan->kind == PLAN_CGROUP_V1 && name && strcmp(name, "cpuset") == 0;
}

/* Makes one folder below parent_fd and readies it for what will be below or in it. */
static int make_folder(const struct cgroup *c, const struct plan *plan, int parent_fd,
                       const char *name)
{
    zl_autoclose int fd = -1;

    if (mkdirat(parent_fd, name, 0755) < 0)
        return errno == EEXIST ? 0 : -1;
    if (!is_cpuset(c, plan))
        return 0;
    fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -1 : inherit_cpuset(parent_fd, fd);
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

/* Every folder of the path, from the top; those above the last get their controllers (v2). */
static int make_path(struct cgroup *c, const struct plan *plan)
{
    const char *enable = plan_text(plan, c->plan->enable);
    zl_autoclose int dir = openat(c->mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[NAME_MAX + 1];
    const char *at = c->path;

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
        if (n && make_folder(c, plan, dir, name) < 0)
            return -1;
        int next = openat(dir, n ? name : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (next < 0)
            return -1;
        (void)close(dir);
        dir = next;
        at += n + (at[n] == '/');
    }
    return 0;
}

/* The folder above is there after the first container: one call then. 1 new, 0 perhaps not. */
static int make_leaf(struct cgroup *c, const struct plan *plan)
{
    if (!is_cpuset(c, plan)) {
        if (mkdirat(c->mount_fd, c->path, 0755) == 0)
            return 1;
        if (errno == EEXIST)
            return 0;
        if (errno != ENOENT)
            return -1;
    }
    return make_path(c, plan);
}

/* ---- limits ---- */

struct open_file { /* of the last value: device rules go into one file, one write each */
    const char *name;
    int fd;
};

static int open_file(struct cgroup *c, const struct plan *plan, const char *name,
                     struct open_file *last)
{
    if (last->name && strcmp(last->name, name) == 0)
        return 0;
    zl_closep(&last->fd);
    last->name = NULL;
    last->fd = openat(c->dir_fd, name, O_WRONLY | O_CLOEXEC);
    /* v2: a controller that nobody asked for yet is not switched on above */
    if (last->fd < 0 && errno == ENOENT && c->plan->kind == PLAN_CGROUP_V2 &&
        make_path(c, plan) == 0)
        last->fd = openat(c->dir_fd, name, O_WRONLY | O_CLOEXEC);
    if (last->fd < 0)
        return -1;
    last->name = name;
    return 0;
}

static int put_limits(struct cgroup *c, const struct plan *plan, struct zl_error *err)
{
    const struct plan_file *f = plan_table(plan, c->plan->files);
    struct open_file last = { .fd = -1 };
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < c->plan->files.n; i++) {
        const char *name = plan_text(plan, f[i].path);
        const char *value = plan_text(plan, f[i].value);
        if ((open_file(c, plan, name, &last) < 0 || write_value(last.fd, value) < 0) &&
            !f[i].optional)
            rc = zl_fail_errno(err, "write '%s' into '%s/%s/%s'", value, c->mount, c->path, name);
    }
    zl_closep(&last.fd);
    return rc;
}

static int bpf(int command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

/* v2 knows devices only as a BPF program: cgroups.7, "Cgroups v2 … devices". */
static int attach_devices(struct cgroup *c, const struct plan *plan, struct zl_error *err)
{
    struct plan_tab t = c->plan->device_bpf;
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
        .insn_cnt = t.n,
        .insns = (uint64_t)(uintptr_t)plan_table(plan, t),
        .license = (uint64_t)(uintptr_t) "Apache-2.0",
    };

    if (!t.n)
        return 0;
    zl_autoclose int prog = bpf(BPF_PROG_LOAD, &load);
    if (prog < 0)
        return zl_fail_errno(err, "load the device rules of cgroup '%s/%s'", c->mount, c->path);
    union bpf_attr attach = {
        .target_fd = (uint32_t)c->dir_fd,
        .attach_bpf_fd = (uint32_t)prog,
        .attach_type = BPF_CGROUP_DEVICE,
        .attach_flags = BPF_F_ALLOW_MULTI,
    };
    if (bpf(BPF_PROG_ATTACH, &attach) < 0)
        return zl_fail_errno(err, "attach the device rules to cgroup '%s/%s'", c->mount, c->path);
    return 0;
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

int cgroup_make(struct cgroup *c, const struct plan *plan, struct zl_error *err)
{
    if (mount_dir(c) < 0)
        return zl_fail_errno(err, "open '%s'", c->mount);
    int fresh = make_leaf(c, plan);
    if (fresh < 0 || cgroup_dir(c) < 0)
        return zl_fail_errno(err, "make cgroup '%s/%s'", c->mount, c->path);
    /* all that is in a container's cgroup ends with the container */
    if (!fresh && cgroup_empty(c) != 1)
        return zl_fail(err, ZL_ERR_CONFLICT, "make cgroup '%s/%s': processes are in it already",
                       c->mount, c->path);
    c->ours = true;
    if (put_limits(c, plan, err) < 0 || attach_devices(c, plan, err) < 0)
        return -1;
    return cgroup_open_join(c, err);
}
