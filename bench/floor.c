// SPDX-License-Identifier: Apache-2.0
/*
 * The floor: what the kernel alone takes for one container. A bare program that makes the system
 * calls of the start path (sandbox/carry) one after the other, from the plan of a config.json: no
 * monitor, no log, no record, no messages, no look-ups that cannot be led astray, no error but an
 * abort. What an agent adds to this is its own.
 *
 * It is lower than what an agent must do: no row is stored, no session keyring joined, and its
 * overlay is volatile, so that its end never waits for a disk. It makes its network namespace
 * within its time, though, and its command's end includes that of its mounts.
 *
 *   floor BUNDLE WORK LAYER…
 *
 * BUNDLE has the config.json, LAYERs are the unpacked layers, the uppermost first; WORK is a folder
 * on the file system that upper folders shall lie on. Each byte on stdin is a container: its
 * nanoseconds from the first system call to the last folder removed go to stdout, a line each. A
 * byte 'k' keeps it until stdin ends, and its pid goes to stdout (for bench/density).
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "oci/config.h"
#include "sandbox/kernel.h"
#include "sandbox/plan.h"

enum { STACK = 256 * 1024, CGROUPS = 16, KEPT = 10000 };

struct floor {
    const struct plan *plan;
    char name[32], work[256], root[300], options[4096];
    int tasks[CGROUPS];
    unsigned n_tasks;
    bool keep;
    struct {
        pid_t pid;
        unsigned number;
    } kept[KEPT];
    unsigned n_kept;
};

static _Noreturn void die(const char *what)
{
    perror(what);
    abort();
}

static const char *text(const struct floor *f, plan_str s)
{
    return plan_text(f->plan, s);
}

static void must(long rc, const char *what)
{
    if (rc < 0)
        die(what);
}

static void put(int dir, const char *file, const char *value)
{
    int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, value, strlen(value)); /* a limit that this kernel has not */
        (void)close(fd);
    }
}

/* ---- cgroups ------------------------------------------------------------------------------- */

static void cgroup_path(const struct floor *f, const struct plan_cgroup *g, char out[512])
{
    (void)snprintf(out, 512, "%s/%s-%s", text(f, g->mount), text(f, g->path), f->name);
}

/* Folders above the container's own are there already: the first container made them. */
static void make_cgroups(struct floor *f)
{
    const struct plan_cgroup *g = plan_table(f->plan, f->plan->cgroups);
    f->n_tasks = 0;
    for (uint32_t i = 0; i < f->plan->cgroups.n && i < CGROUPS; i++) {
        const struct plan_file *v = plan_table(f->plan, g[i].files);
        char path[512];
        if (g[i].flags & PLAN_CGROUP_LATE)
            continue;
        cgroup_path(f, &g[i], path);
        must(mkdir(path, 0755), path);
        int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(dir, path);
        for (uint32_t n = 0; n < g[i].files.n; n++)
            put(dir, text(f, v[n].path), text(f, v[n].value));
        f->tasks[f->n_tasks++] = openat(dir, g[i].kind == PLAN_CGROUP_V1 ? "tasks" : "cgroup.procs",
                                        O_WRONLY | O_CLOEXEC);
        (void)close(dir);
    }
}

static void remove_cgroups(const struct floor *f)
{
    const struct plan_cgroup *g = plan_table(f->plan, f->plan->cgroups);
    for (uint32_t i = 0; i < f->plan->cgroups.n && i < CGROUPS; i++) {
        char path[512];
        if (g[i].flags & PLAN_CGROUP_LATE)
            continue;
        cgroup_path(f, &g[i], path);
        (void)rmdir(path);
    }
}

/* ---- the child ----------------------------------------------------------------------------- */

static void loopback_up(void)
{
    struct ifreq rq = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(ioctl(s, SIOCSIFFLAGS, &rq), "lo");
    (void)close(s);
}

/* Targets are relative to the root, which is the working directory. */
static const char *inside(const char *path)
{
    path += strspn(path, "/");
    return *path ? path : ".";
}

static void make_target(const char *path, bool directory)
{
    if (directory) {
        (void)mkdir(path, 0755);
    } else {
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        if (fd >= 0)
            (void)close(fd);
    }
}

static void set_attributes(int fd, const struct plan_mount *m)
{
    struct k_mount_attr one = { .attr_set = m->attr_set, .attr_clr = m->attr_clear };
    struct k_mount_attr way = { .propagation = m->propagation & ~(uint64_t)MS_REC };
    if (one.attr_set || one.attr_clr)
        must(k_mount_setattr(fd, "", K_AT_EMPTY_PATH, &one), "attributes");
    if (way.propagation)
        must(k_mount_setattr(fd, "", K_AT_EMPTY_PATH, &way), "propagation");
}

static void mount_bind(const struct floor *f, const struct plan_mount *m)
{
    const char *target = inside(text(f, m->target));
    struct stat st;
    int tree =
        k_open_tree(AT_FDCWD, text(f, m->source),
                    K_OPEN_TREE_CLONE | K_OPEN_TREE_CLOEXEC | (m->recursive ? K_AT_RECURSIVE : 0));
    must(tree, text(f, m->source));
    must(fstat(tree, &st), "stat");
    if (access(target, F_OK) < 0)
        make_target(target, S_ISDIR(st.st_mode));
    set_attributes(tree, m);
    must(k_move_mount(tree, "", AT_FDCWD, target, K_MOVE_MOUNT_F_EMPTY_PATH), target);
    (void)close(tree);
}

static void mount_all(const struct floor *f, struct plan_tab t)
{
    const struct plan_mount *m = plan_table(f->plan, t);
    for (uint32_t i = 0; i < t.n; i++) {
        const char *target = inside(text(f, m[i].target));
        const char *type = text(f, m[i].type), *source = text(f, m[i].source);
        int fd;
        switch ((enum plan_mount_kind)m[i].kind) {
        case PLAN_MOUNT_BIND:
            mount_bind(f, &m[i]);
            break;
        case PLAN_MOUNT_SYMLINK:
            (void)!symlink(source, target);
            break;
        case PLAN_MOUNT_REMOUNT:
            fd = open(target, O_PATH | O_CLOEXEC);
            set_attributes(fd, &m[i]);
            (void)close(fd);
            break;
        case PLAN_MOUNT_FS:
        case PLAN_MOUNT_KINDS:
            if (access(target, F_OK) < 0)
                make_target(target, true);
            must(mount(source ? source : type, target, type, m[i].flags, text(f, m[i].data)),
                 target);
            break;
        }
    }
}

static void make_nodes(const struct floor *f)
{
    const struct plan_device *d = plan_table(f->plan, f->plan->devices);
    const struct plan_link *l = plan_table(f->plan, f->plan->links);
    for (uint32_t i = 0; i < f->plan->devices.n; i++)
        (void)mknod(inside(text(f, d[i].path)), d[i].mode, d[i].rdev);
    for (uint32_t i = 0; i < f->plan->links.n; i++)
        (void)!symlink(text(f, l[i].target), inside(text(f, l[i].path)));
}

static void hide(const struct floor *f)
{
    const plan_str *ro = plan_table(f->plan, f->plan->readonly);
    const plan_str *masked = plan_table(f->plan, f->plan->masked);
    struct k_mount_attr read_only = { .attr_set = K_ATTR_RDONLY };
    int empty = -1;
    for (uint32_t i = 0; i < f->plan->readonly.n; i++) {
        const char *path = inside(text(f, ro[i]));
        int tree =
            k_open_tree(AT_FDCWD, path, K_OPEN_TREE_CLONE | K_OPEN_TREE_CLOEXEC | K_AT_RECURSIVE);
        if (tree < 0)
            continue;
        must(k_mount_setattr(tree, "", K_AT_EMPTY_PATH, &read_only), path);
        must(k_move_mount(tree, "", AT_FDCWD, path, K_MOVE_MOUNT_F_EMPTY_PATH), path);
        (void)close(tree);
    }
    for (uint32_t i = 0; i < f->plan->masked.n; i++) {
        const char *path = inside(text(f, masked[i]));
        struct stat st;
        if (stat(path, &st) < 0)
            continue;
        if (!S_ISDIR(st.st_mode)) {
            must(mount("/dev/null", path, NULL, MS_BIND, NULL), path);
        } else if (empty < 0) {
            must(mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k"), path);
            empty = open(path, O_PATH | O_CLOEXEC);
        } else {
            char link[64];
            (void)snprintf(link, sizeof link, "/proc/self/fd/%d", empty);
            must(mount(link, path, NULL, MS_BIND, NULL), path);
        }
    }
}

static void drop_rights(const struct floor *f)
{
    const struct plan_process *p = &f->plan->process;
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[2];
    for (int cap = 0; cap <= 40; cap++)
        if (!(p->caps[PLAN_CAP_BOUNDING] >> cap & 1))
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    must(syscall(SYS_setgroups, 0, NULL), "setgroups");
    must(syscall(SYS_setresgid, p->gid, p->gid, p->gid), "setgid");
    must(syscall(SYS_setresuid, p->uid, p->uid, p->uid), "setuid");
    for (int i = 0; i < 2; i++)
        sets[i] =
            (struct __user_cap_data_struct){ (uint32_t)(p->caps[PLAN_CAP_EFFECTIVE] >> 32 * i),
                                             (uint32_t)(p->caps[PLAN_CAP_PERMITTED] >> 32 * i), 0 };
    must(syscall(SYS_capset, &head, sets), "capset");
}

static void filter(const struct floor *f)
{
    const struct plan_tab t = f->plan->process.seccomp;
    struct sock_fprog program = { (unsigned short)t.n,
                                  (struct sock_filter *)(uintptr_t)plan_table(f->plan, t) };
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    if (t.n)
        must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

static _Noreturn void child(const struct floor *f)
{
    const struct plan *p = f->plan;
    const plan_str *argv = plan_table(p, p->process.argv), *env = plan_table(p, p->process.env);
    char *args[64] = { 0 }, *envs[256] = { 0 };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (unsigned i = 0; i < f->n_tasks; i++)
        (void)!write(f->tasks[i], "0", 1);
    if (p->namespaces & CLONE_NEWCGROUP)
        must(unshare(CLONE_NEWCGROUP), "cgroup namespace");
    (void)umask(0);
    (void)setsid();
    if (p->namespaces & CLONE_NEWNET)
        loopback_up();
    if (p->hostname)
        must(sethostname(text(f, p->hostname), strlen(text(f, p->hostname))), "hostname");
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "/");
    must(mount("overlay", f->root, "overlay", 0, f->options), "overlay");
    must(chdir(f->root), f->root);
    mount_all(f, p->mounts);
    make_nodes(f);
    mount_all(f, p->late_mounts);
    hide(f);
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "old root");
    must(chdir(text(f, p->process.cwd)), "cwd");
    for (int i = 0; i < 3; i++)
        (void)dup2(null, i);
    drop_rights(f);
    (void)umask(0022);
    filter(f);
    for (uint32_t i = 0; i < p->process.argv.n && i < 63; i++)
        args[i] = (char *)(uintptr_t)text(f, argv[i]);
    for (uint32_t i = 0; i < p->process.env.n && i < 255; i++)
        envs[i] = (char *)(uintptr_t)text(f, env[i]);
    (void)execve(p->process.command ? text(f, p->process.command) : args[0], args, envs);
    _exit(127);
}

static int child_fn(void *arg)
{
    child(arg);
}

/* ---- one container ------------------------------------------------------------------------- */

static void make_folders(struct floor *f, const char *layers)
{
    (void)snprintf(f->root, sizeof f->root, "%s/%s/rootfs", f->work, f->name);
    char path[320];
    (void)snprintf(path, sizeof path, "%s/%s", f->work, f->name);
    must(mkdir(path, 0700), path);
    must(mkdir(f->root, 0755), f->root);
    static const char *const own[] = { "upper", "work" };
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s/%s", f->work, f->name, own[i]);
        must(mkdir(path, 0755), path);
    }
    (void)snprintf(f->options, sizeof f->options,
                   "userxattr,lowerdir=%s,upperdir=%s/%s/upper,workdir=%s/%s/work%s", layers,
                   f->work, f->name, f->work, f->name,
                   f->plan->flags & PLAN_OVERLAY_VOLATILE ? ",volatile" : "");
}

static _Noreturn void ended_early(int status)
{
    (void)fprintf(stderr, "floor: the command ended with %#x\n", (unsigned)status);
    abort();
}

static void set_name(struct floor *f, unsigned number)
{
    (void)snprintf(f->name, sizeof f->name, "%d-%u", (int)getpid(), number);
}

static void remove_all(const struct floor *f, int work_fd)
{
    remove_cgroups(f);
    (void)zl_remove_tree(work_fd, f->name, NULL);
}

static void keep(struct floor *f, pid_t pid, unsigned number)
{
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) == pid) /* clone came back: it was executed or has ended */
        ended_early(status);
    must(f->n_kept < KEPT ? 0 : -1, "keep more");
    f->kept[f->n_kept].pid = pid;
    f->kept[f->n_kept++].number = number;
}

/* All at once, so that what the kernel does later for each is done for all meanwhile. */
static void end_kept(struct floor *f, int work_fd)
{
    for (unsigned i = 0; i < f->n_kept; i++)
        (void)kill(f->kept[i].pid, SIGKILL);
    for (unsigned i = 0; i < f->n_kept; i++) {
        must(waitpid(f->kept[i].pid, NULL, 0), "wait");
        set_name(f, f->kept[i].number);
        remove_all(f, work_fd);
    }
}

static pid_t one(struct floor *f, const char *layers, int work_fd, void *stack)
{
    int status = 0;
    make_folders(f, layers);
    make_cgroups(f);
    /* the parent stands still until exec, as the shim does */
    pid_t pid = clone(child_fn, (char *)stack + STACK,
                      (int)(f->plan->namespaces & ~(uint32_t)CLONE_NEWCGROUP) | CLONE_VM |
                          CLONE_VFORK | SIGCHLD,
                      f);
    must(pid, "clone");
    for (unsigned i = 0; i < f->n_tasks; i++)
        (void)close(f->tasks[i]);
    if (f->keep)
        return pid;
    must(waitpid(pid, &status, 0), "wait");
    if (status != 0)
        ended_early(status);
    remove_all(f, work_fd);
    return pid;
}

static const struct plan *make_plan(const char *bundle, struct zl_buf *bytes, unsigned n_lower)
{
    struct zl_error err = { 0 };
    struct oci_config *config = NULL;
    const struct plan *plan = NULL;
    const struct plan_options o = {
        .id = "floor",
        .bundle = bundle,
        .join_all = true,
        .seccomp = PLAN_SECCOMP_DEFAULT,
        .n_lower = n_lower,
        .has_upper = true,
        .upper_volatile = true,
        .mount_point = "/",
        .n_fds = n_lower + 2,
    };
    zl_autoclose int dir = zl_open_dir(AT_FDCWD, bundle, &err);
    if (dir < 0 || oci_config_load(dir, &config, &err) < 0 ||
        plan_build(config, &o, bytes, &err) < 0 ||
        plan_check(bytes->data, bytes->len, &plan, &err) < 0) {
        (void)fprintf(stderr, "floor: %s\n", err.msg);
        exit(1);
    }
    return plan; /* config lives as long as the process */
}

int main(int argc, char **argv)
{
    static struct floor f;
    struct zl_buf bytes = ZL_BUF(PLAN_MAX), layers = ZL_BUF(4096);
    char word;
    if (argc < 4) {
        (void)fputs("usage: floor BUNDLE WORK LAYER…\n", stderr);
        return 2;
    }
    f.plan = make_plan(argv[1], &bytes, (unsigned)(argc - 3));
    (void)snprintf(f.work, sizeof f.work, "%s", argv[2]);
    for (int i = 3; i < argc; i++)
        zl_buf_addf(&layers, "%s%s", i > 3 ? ":" : "", argv[i]);
    int work = open(f.work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(work, f.work);
    for (unsigned n = 1; read(0, &word, 1) == 1; n++) {
        f.keep = word == 'k';
        set_name(&f, n);
        uint64_t began = zl_mono_ns();
        pid_t pid = one(&f, layers.data, work, stack);
        uint64_t took = zl_mono_ns() - began;
        if (f.keep)
            keep(&f, pid, n);
        (void)printf("%llu\n", f.keep ? (unsigned long long)pid : (unsigned long long)took);
        (void)fflush(stdout);
    }
    end_kept(&f, work);
    return 0;
}
