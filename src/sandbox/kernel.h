// SPDX-License-Identifier: Apache-2.0
/*
 * System calls of Linux 5.12 and newer for which glibc 2.36 and musl 1.2 have no function, or only
 * one of them has, under their man-page names with a k_ in front. Raw calls: safe in a vforked
 * child. Constants are spelled out because <sys/mount.h> and <linux/mount.h> cannot both be
 * included.
 */
#ifndef ZL_SANDBOX_KERNEL_H
#define ZL_SANDBOX_KERNEL_H

#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { /* open_tree(2), move_mount(2), mount_setattr(2) */
       K_OPEN_TREE_CLONE = 1,
       K_OPEN_TREE_CLOEXEC = 02000000,
       K_AT_EMPTY_PATH = 0x1000,
       K_AT_RECURSIVE = 0x8000,
       K_MOVE_MOUNT_F_EMPTY_PATH = 4,
       K_MOVE_MOUNT_T_EMPTY_PATH = 0x40,
       K_ATTR_RDONLY = 0x1,
       K_ATTR_NOSUID = 0x2,
       K_ATTR_NODEV = 0x4,
       K_ATTR_NOEXEC = 0x8,
       K_ATTR_ATIME = 0x70, /* the field of these two and relatime, which is 0 */
       K_ATTR_NOATIME = 0x10,
       K_ATTR_STRICTATIME = 0x20,
       K_ATTR_NODIRATIME = 0x80,
       K_ATTR_IDMAP = 0x100000,
       K_ATTR_NOSYMFOLLOW = 0x200000,
       K_CLOSE_RANGE_CLOEXEC = 4,
       K_PTRACE_SEIZE = 0x4206, /* sys/ptrace.h and linux/ptrace.h cannot both be included either */
       K_PTRACE_O_SUSPEND_SECCOMP = 1 << 21,
};

struct k_mount_attr {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80 /* linux/sched.h, Linux 5.6 */
#endif

/* The same numbers on every architecture (asm-generic/unistd.h). */
enum {
    K_SYS_open_tree = 428,
    K_SYS_move_mount = 429,
    K_SYS_fsopen = 430,
    K_SYS_fsconfig = 431,
    K_SYS_fsmount = 432,
    K_SYS_pidfd_open = 434,
    K_SYS_pidfd_getfd = 438,
    K_SYS_clone3 = 435,
    K_SYS_close_range = 436,
    K_SYS_mount_setattr = 442,
    K_SYS_pidfd_send_signal = 424,
};

static inline int k_open_tree(int dir_fd, const char *path, unsigned flags)
{
    return (int)syscall(K_SYS_open_tree, dir_fd, path, flags);
}
static inline int k_move_mount(int from_fd, const char *from, int to_fd, const char *to,
                               unsigned flags)
{
    return (int)syscall(K_SYS_move_mount, from_fd, from, to_fd, to, flags);
}
static inline int k_mount_setattr(int fd, const char *path, unsigned flags, struct k_mount_attr *a)
{
    return (int)syscall(K_SYS_mount_setattr, fd, path, flags, a, sizeof *a);
}
/* The superblock of a file system without a mount: fsopen(2) and FSCONFIG_CMD_CREATE. It is there
 * as long as the descriptor is. -1 and errno. */
static inline int k_superblock(const char *type)
{
    enum { CLOEXEC = 1, CREATE = 6 }; /* FSOPEN_CLOEXEC, FSCONFIG_CMD_CREATE */
    int context = (int)syscall(K_SYS_fsopen, type, CLOEXEC);

    if (context < 0 || syscall(K_SYS_fsconfig, context, CREATE, NULL, NULL, 0) == 0)
        return context;
    (void)close(context);
    return -1;
}
/* A new instance of a file system, with MOUNT_ATTR_…, mounted nowhere yet. -1 and errno. */
static inline int k_fsmount(const char *type, unsigned attributes)
{
    enum { CLOEXEC = 1 }; /* FSMOUNT_CLOEXEC */
    int context = k_superblock(type);
    int fd = context < 0 ? -1 : (int)syscall(K_SYS_fsmount, context, CLOEXEC, attributes);

    if (context >= 0)
        (void)close(context);
    return fd;
}
static inline int k_close_range(unsigned first, unsigned last, unsigned flags)
{
    return (int)syscall(K_SYS_close_range, first, last, flags);
}
static inline int k_pivot_root(const char *new_root, const char *put_old)
{
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}
static inline int k_pidfd_open(pid_t pid)
{
    return (int)syscall(K_SYS_pidfd_open, pid, 0);
}
static inline int k_pidfd_getfd(int pidfd, int fd)
{
    return (int)syscall(K_SYS_pidfd_getfd, pidfd, fd, 0);
}
static inline int k_pidfd_send_signal(int pidfd, int signal)
{
    return (int)syscall(K_SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

#endif
