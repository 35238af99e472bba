// SPDX-License-Identifier: Apache-2.0
#include "wasm/confine.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "sandbox/kernel.h"
#include "wasm_seccomp.h"

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* ---- namespaces with nothing in them ---- */

/* The child's part: an empty read-only root, a network without an interface that is up. */
static int make_nothing(void)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("nothing", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=555") <
            0)
        return -1;
    if (chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
        return -1;
    return mount(NULL, "/", NULL,
                 MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static _Noreturn void child_main(int tell)
{
    int rc = make_nothing() < 0 ? errno : 0;

    if (write(tell, &rc, sizeof rc) == (ssize_t)sizeof rc)
        (void)pause(); /* until it was looked at */
    _exit(0);
}

static int open_ns(pid_t pid, const char *name, struct zl_error *err)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? fd : zl_fail_errno(err, "open '%s'", path);
}

static int take_from(pid_t pid, int told, struct confine_empty *ret, struct zl_error *err)
{
    int rc;

    if (read(told, &rc, sizeof rc) != (ssize_t)sizeof rc)
        return zl_fail(err, ZL_ERR_SYSTEM, "make empty namespaces: who made them has ended");
    errno = rc;
    if (rc == EPERM && geteuid() != 0)
        return 0; /* not for us: what guests may do is bounded by the rest */
    if (rc)
        return zl_fail_errno(err, "make empty namespaces");
    ret->mount_ns = open_ns(pid, "mnt", err);
    ret->net_ns = ret->mount_ns < 0 ? -1 : open_ns(pid, "net", err);
    return ret->net_ns < 0 ? -1 : 0;
}

int confine_make_empty(struct confine_empty *ret, struct zl_error *err)
{
    int pair[2];

    *ret = (struct confine_empty){ -1, -1 };
    if (pipe2(pair, O_CLOEXEC) < 0)
        return zl_fail_errno(err, "make a pipe");
    zl_autoclose int told = pair[0];
    pid_t pid = fork();
    if (pid == 0)
        child_main(pair[1]);
    (void)close(pair[1]);
    if (pid < 0)
        return zl_fail_errno(err, "fork");
    int rc = take_from(pid, told, ret, err);
    (void)kill(pid, SIGKILL); /* our own child, not reaped yet */
    (void)waitpid(pid, NULL, 0);
    return rc;
}

/* ---- rights ---- */

static int drop_bounding(void)
{
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) > 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 &&
            geteuid() == 0)
            return -1;
    return 0;
}

int confine_host(struct zl_error *err)
{
    if (drop_bounding() < 0)
        return zl_fail_errno(err, "drop the bounding capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return zl_fail_errno(err, "give up new privileges");
    return 0;
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { { 0 } };

    return (int)syscall(SYS_capset, &head, none);
}

static int filter_calls(const struct sock_filter *program, size_t n)
{
    /* the kernel reads it only; sock_fprog has no const */
    struct sock_fprog p = { .len = (unsigned short)n,
                            .filter = (struct sock_filter *)(uintptr_t)program };

    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p);
}

/* ---- a guest ---- */

static int become(const struct confine_guest *g)
{
    if (geteuid() != 0)
        return 0; /* it stays who we are */
    /* the calls themselves: libc's wait for other threads, of which there is none */
    if (syscall(SYS_setgroups, g->n_groups, g->groups) < 0 ||
        syscall(SYS_setresgid, g->gid, g->gid, g->gid) < 0 ||
        syscall(SYS_setresuid, g->uid, g->uid, g->uid) < 0)
        return -1;
    return 0;
}

static int put_file(int etc, const char *name, const struct confine_text *t)
{
    zl_autoclose int fd = openat(etc, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    return fd < 0 ? -1 : zl_write_all(fd, t->bytes, t->n, name, NULL);
}

static int fill_etc(int root, const struct confine_etc *e)
{
    if (mkdirat(root, "etc", 0755) < 0)
        return -1;
    zl_autoclose int etc = openat(root, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (etc < 0 || put_file(etc, "hosts", &e->hosts) < 0)
        return -1;
    return put_file(etc, "resolv.conf", &e->resolv_conf);
}

/* Over the empty root, in a namespace of its own: below it is nothing that a way back could lead
 * to. */
static int mount_etc(const struct confine_etc *e)
{
    struct k_mount_attr readonly = { .attr_set = K_ATTR_RDONLY };

    if (unshare(CLONE_NEWNS) < 0)
        return -1;
    zl_autoclose int root = k_fsmount("tmpfs", K_ATTR_NOSUID | K_ATTR_NODEV | K_ATTR_NOEXEC);
    if (root < 0 || fill_etc(root, e) < 0 ||
        k_mount_setattr(root, "", K_AT_EMPTY_PATH, &readonly) < 0 ||
        k_move_mount(root, "", AT_FDCWD, "/", K_MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -1;
    return fchdir(root) < 0 || chroot(".") < 0 ? -1 : 0;
}

int confine_guest(const struct confine_guest *g, const char **ret_step)
{
    const struct confine_empty *e = g->empty;

    *ret_step = "leave the host's files";
    if (e->mount_ns >= 0 && setns(e->mount_ns, CLONE_NEWNS) < 0)
        return -1;
    *ret_step = "give it /etc/hosts and /etc/resolv.conf";
    if (e->mount_ns >= 0 && g->etc && mount_etc(g->etc) < 0)
        return -1;
    *ret_step = "leave the host's network";
    if (e->net_ns >= 0 && !g->own_network && setns(e->net_ns, CLONE_NEWNET) < 0)
        return -1;
    *ret_step = "become its user";
    if (become(g) < 0)
        return -1;
    *ret_step = "drop capabilities";
    if (drop_capabilities() < 0)
        return -1;
    *ret_step = "filter its system calls";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return g->component ? filter_calls(seccomp_component, ZL_ARRAY_LEN(seccomp_component))
                        : filter_calls(seccomp_guest, ZL_ARRAY_LEN(seccomp_guest));
}

/* ---- a compiler ---- */

int confine_compiler(const struct confine_empty *empty, unsigned n_fds, struct zl_error *err)
{
    enum { MEMORY_GIB = 4 };
    const struct rlimit memory = { (rlim_t)MEMORY_GIB << 30, (rlim_t)MEMORY_GIB << 30 };
    const struct rlimit nothing = { 0, 0 };

    if (empty->mount_ns >= 0 &&
        (setns(empty->mount_ns, CLONE_NEWNS) < 0 || setns(empty->net_ns, CLONE_NEWNET) < 0))
        return zl_fail_errno(err, "leave the host's files and network");
    if (!SANITIZED && setrlimit(RLIMIT_AS, &memory) < 0)
        return zl_fail_errno(err, "limit the memory");
    (void)setrlimit(RLIMIT_CORE, &nothing); /* a dump would be of foreign making */
    if (confine_host(err) < 0)
        return -1;
    if (drop_capabilities() < 0)
        return zl_fail_errno(err, "drop capabilities");
    if (k_close_range(n_fds, ~0U, 0) < 0)
        return zl_fail_errno(err, "close what is not its own");
    if (filter_calls(seccomp_compiler, ZL_ARRAY_LEN(seccomp_compiler)) < 0)
        return zl_fail_errno(err, "filter system calls");
    return 0;
}
