// SPDX-License-Identifier: Apache-2.0
#include "tinyplan.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "base/fd.h"

struct hierarchy {
    const char *mount, *controller;
    uint32_t flags;
};

static const struct hierarchy v1[] = {
    { "/sys/fs/cgroup/memory", "memory", 0 },
    { "/sys/fs/cgroup/pids", "pids", 0 },
    { "/sys/fs/cgroup/freezer", "freezer", PLAN_CGROUP_LATE },
    { 0 },
};
static const struct hierarchy v2[] = {
    { "/sys/fs/cgroup", "", 0 },
    { 0 },
};

static const struct hierarchy *hierarchies(void)
{
    if (access("/sys/fs/cgroup/memory/tasks", W_OK) == 0)
        return v1;
    return access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? v2 : NULL;
}

bool tiny_cgroups_work(void)
{
    return geteuid() == 0 && hierarchies();
}

const char *tiny_pids_mount(void)
{
    return hierarchies() == v1 ? v1[1].mount : v2[0].mount;
}

const char *tiny_cgroup_mount(void)
{
    return hierarchies()->mount;
}

void tiny_remove_parent(const char *parent)
{
    static const char *const below[] = { "/c", "/shims", "" };
    char path[512];

    for (const struct hierarchy *h = hierarchies(); h->mount; h++) {
        for (size_t i = 0; i < ZL_ARRAY_LEN(below); i++) {
            (void)snprintf(path, sizeof path, "%s/%s%s", h->mount, parent, below[i]);
            (void)rmdir(path);
        }
    }
}

static void kill_listed(const char *path)
{
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 16);
    const char *p;

    if (zl_read_file(AT_FDCWD, path, &text, NULL) < 0)
        return;
    for (p = text.data; *p; p += strcspn(p, "\n") + 1)
        (void)kill((pid_t)strtol(p, NULL, 10), SIGKILL);
}

void tiny_remove_cgroup(const char *cgroup)
{
    char path[512];

    for (const struct hierarchy *h = hierarchies(); h->mount; h++) {
        for (int i = 0; i < 200; i++) { /* a killed process leaves in its own time */
            (void)snprintf(path, sizeof path, "%s/%s/cgroup.procs", h->mount, cgroup);
            kill_listed(path);
            (void)snprintf(path, sizeof path, "%s/%s", h->mount, cgroup);
            if (rmdir(path) == 0 || errno == ENOENT)
                break;
            (void)poll(NULL, 0, 5);
        }
    }
}

/* --- appending to the flat buffer; members are set by offset, since it may move --- */

static void align(struct zl_buf *b)
{
    while (b->len % 8)
        zl_buf_addc(b, '\0');
}

static plan_str text(struct zl_buf *b, const char *s)
{
    plan_str at = (plan_str)b->len;

    zl_buf_add(b, s, strlen(s) + 1);
    return at;
}

static struct plan_tab table(struct zl_buf *b, const void *elements, size_t size, size_t n)
{
    align(b);
    struct plan_tab t = { (uint32_t)b->len, (uint32_t)n };
    zl_buf_add(b, elements, size * n);
    return t;
}

static struct plan_tab texts(struct zl_buf *b, const char *const *v)
{
    plan_str at[32];
    size_t n = 0;

    for (; v[n]; n++)
        at[n] = text(b, v[n]);
    return table(b, at, sizeof at[0], n);
}

static void add_process(struct zl_buf *b, const char *const *argv, bool terminal,
                        struct plan_process *p)
{
    static const char *const env[] = { "PATH=/bin", "TERM=dumb", NULL };

    p->argv = texts(b, argv);
    p->env = texts(b, env);
    p->cwd = text(b, "/");
    p->flags = PLAN_NO_NEW_PRIVS | (terminal ? PLAN_TERMINAL : 0);
    for (int i = 0; i < PLAN_CAP_SETS; i++)
        p->caps[i] = i == PLAN_CAP_AMBIENT || i == PLAN_CAP_INHERITABLE ? 0 : 0xa80425fb;
}

static struct plan_tab add_cgroups(struct zl_buf *b, const struct tiny_options *o)
{
    struct plan_cgroup groups[4];
    size_t n = 0;

    for (const struct hierarchy *h = hierarchies(); h->mount; h++) {
        bool is_v2 = !h->controller[0];
        struct plan_cgroup g = { .kind = is_v2 ? PLAN_CGROUP_V2 : PLAN_CGROUP_V1 };
        g.flags = h->flags;
        g.mount = text(b, h->mount);
        g.path = text(b, o->cgroup);
        g.controller = text(b, h->controller);
        if (is_v2)
            g.enable = text(b, "+memory +pids");
        if (o->memory_max && (is_v2 || strcmp(h->controller, "memory") == 0)) {
            struct plan_file limit = {
                .path = text(b, is_v2 ? "memory.max" : "memory.limit_in_bytes"),
                .value = text(b, o->memory_max),
            };
            g.files = table(b, &limit, sizeof limit, 1);
        }
        groups[n++] = g;
    }
    return table(b, groups, sizeof groups[0], n);
}

static struct plan_tab add_mounts(struct zl_buf *b, bool terminal)
{
    struct plan_mount m[3] = {
        { .kind = PLAN_MOUNT_FS,
          .source = text(b, "proc"),
          .target = text(b, "/proc"),
          .type = text(b, "proc"),
          .flags = MS_NOSUID | MS_NODEV | MS_NOEXEC },
        { .kind = PLAN_MOUNT_FS,
          .source = text(b, "tmpfs"),
          .target = text(b, "/dev"),
          .type = text(b, "tmpfs") },
        { .kind = PLAN_MOUNT_FS,
          .source = text(b, "devpts"),
          .target = text(b, "/dev/pts"),
          .type = text(b, "devpts"),
          .data = text(b, "newinstance,ptmxmode=0666,mode=0620") },
    };
    return table(b, m, sizeof m[0], terminal ? 3 : 1);
}

static int sealed_memfd(const struct zl_buf *b)
{
    int fd = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || zl_write_all(fd, b->data, b->len, "plan", NULL) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
        abort(); /* a test cannot go on */
    return fd;
}

int tiny_plan(const struct tiny_options *o)
{
    zl_autobuf struct zl_buf b = ZL_BUF(PLAN_MAX);
    struct plan p = { .magic = PLAN_MAGIC, .version = PLAN_VERSION, .root_kind = PLAN_ROOT_BIND };

    zl_buf_add(&b, &p, sizeof p);
    p.namespaces = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET |
                   (o->host_pids ? 0 : CLONE_NEWPID);
    p.root_path = text(&b, o->root);
    p.root_propagation_before = MS_PRIVATE | MS_REC;
    p.hostname = text(&b, "tiny");
    p.cgroups = add_cgroups(&b, o);
    p.mounts = add_mounts(&b, o->terminal);
    add_process(&b, o->argv, o->terminal, &p.process);
    align(&b);
    zl_buf_add(&b, "\0\0\0\0\0\0\0\0", 8);
    p.size = (uint32_t)b.len;
    memcpy(b.data, &p, sizeof p);
    return sealed_memfd(&b);
}

int tiny_update_plan(const char *cgroup, const char *pids_max)
{
    zl_autobuf struct zl_buf b = ZL_BUF(PLAN_MAX);
    struct plan_update u = { .magic = PLAN_UPDATE_MAGIC, .version = PLAN_VERSION };
    bool is_v2 = hierarchies() == v2;
    struct plan_cgroup g = { .kind = is_v2 ? PLAN_CGROUP_V2 : PLAN_CGROUP_V1 };
    struct plan_file limit = { 0 };

    zl_buf_add(&b, &u, sizeof u);
    g.mount = text(&b, tiny_pids_mount());
    g.path = text(&b, cgroup);
    g.controller = text(&b, is_v2 ? "" : "pids");
    limit.path = text(&b, "pids.max");
    limit.value = text(&b, pids_max);
    g.files = table(&b, &limit, sizeof limit, 1);
    u.cgroups = table(&b, &g, sizeof g, 1);
    align(&b);
    zl_buf_add(&b, "\0\0\0\0\0\0\0\0", 8);
    u.size = (uint32_t)b.len;
    memcpy(b.data, &u, sizeof u);
    return sealed_memfd(&b);
}

int tiny_exec_plan(const char *const *argv, bool terminal)
{
    zl_autobuf struct zl_buf b = ZL_BUF(PLAN_MAX);
    struct plan_exec x = { .magic = PLAN_EXEC_MAGIC, .version = PLAN_VERSION };

    zl_buf_add(&b, &x, sizeof x);
    add_process(&b, argv, terminal, &x.process);
    align(&b);
    zl_buf_add(&b, "\0\0\0\0\0\0\0\0", 8);
    x.size = (uint32_t)b.len;
    memcpy(b.data, &x, sizeof x);
    return sealed_memfd(&b);
}
