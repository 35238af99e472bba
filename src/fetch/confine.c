// SPDX-License-Identifier: Apache-2.0
#include "fetch/confine.h"

#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define MEMORY_LIMIT                                                                               \
    (UINT64_C(2) << 30) /* zstd's largest window is 2 GiB, common ones 8 to 128 MiB */

/* After this, no path leads out of the store: the old root is not mounted anywhere any more. */
static int own_root(const char *root, struct zl_error *err)
{
    if (unshare(CLONE_NEWNS) < 0)
        return zl_fail_errno(err, "make a mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return zl_fail_errno(err, "make all mounts private");
    /* By path, since a descriptor from before belongs to a mount of the old namespace. */
    if (mount(root, root, NULL, MS_BIND, NULL) < 0)
        return zl_fail_errno(err, "mount '%s' onto itself", root);
    /* Device nodes of an image are made here, but must never be opened or executed here. */
    if (mount(NULL, root, NULL, MS_REMOUNT | MS_BIND | MS_NODEV | MS_NOSUID | MS_NOEXEC, NULL) < 0)
        return zl_fail_errno(err, "mount '%s' without devices", root);
    if (chdir(root) < 0) /* the new mount, not what is below it */
        return zl_fail_errno(err, "enter '%s'", root);
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return zl_fail_errno(err, "make '%s' the root", root);
    if (umount2(".", MNT_DETACH) < 0) /* "." is the old root now: pivot_root(2) */
        return zl_fail_errno(err, "let go of the old root");
    return chdir("/") < 0 ? zl_fail_errno(err, "enter '%s'", root) : 0;
}

static int drop_capabilities(struct zl_error *err)
{
    static const int kept[] = { CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,
                                CAP_FSETID, CAP_MKNOD,        CAP_SETFCAP };
    uint64_t mask = 0;
    for (size_t i = 0; i < ZL_ARRAY_LEN(kept); i++)
        mask |= UINT64_C(1) << kept[i];
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if (!(mask >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            return zl_fail_errno(err, "drop capability %d", cap);
    }
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[2] = { { 0 } };
    for (int i = 0; i < 2; i++) /* nothing is inheritable: nothing is executed */
        sets[i].effective = sets[i].permitted = (uint32_t)(mask >> (32 * i));
    return syscall(SYS_capset, &head, sets) < 0 ? zl_fail_errno(err, "drop capabilities") : 0;
}

static int limit_memory(struct zl_error *err)
{
#ifdef __SANITIZE_ADDRESS__
    (void)err; /* its shadow alone is terabytes of address space */
    return 0;
#else
    struct rlimit limit = { MEMORY_LIMIT, MEMORY_LIMIT };
    return setrlimit(RLIMIT_AS, &limit) < 0 ? zl_fail_errno(err, "limit the memory") : 0;
#endif
}

/* Not what unpacking needs, which is libc's business and changes with it, but what only somebody
 * who took over the process would ask for. */
/* clang-format off */
static const char *const denied[] = {
    "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv",
    "process_vm_writev", "socket", "socketpair", "bind", "connect", "listen", "unshare", "setns",
    "mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick",
    "mount_setattr", "pivot_root", "chroot", "bpf", "perf_event_open", "userfaultfd",
    "io_uring_setup", "keyctl", "add_key", "request_key", "init_module", "finit_module",
    "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct",
    "quotactl", "sethostname", "setdomainname", "iopl", "ioperm", "settimeofday", "clock_settime",
    "adjtimex", "open_by_handle_at", "name_to_handle_at", "pidfd_getfd", "kcmp", "setuid",
    "setgid", "setresuid", "setresgid", "setreuid", "setregid", "setgroups",
};
/* clang-format on */

/* Threads, but no processes. What clone3 is asked for is in memory, where a filter cannot look;
 * told that there is no such call, libc takes the old one. */
static int deny_processes(scmp_filter_ctx filter)
{
    int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc < 0)
        return rc;
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
}

static int deny_calls(struct zl_error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc = filter ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < ZL_ARRAY_LEN(denied); i++) {
        int number = seccomp_syscall_resolve_name(denied[i]);
        if (number != __NR_SCMP_ERROR) /* a call that this library does not know yet */
            rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
    }
    if (rc == 0)
        rc = deny_processes(filter);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc ? zl_fail(err, ZL_ERR_SYSTEM, "load the system call filter (%d)", rc) : 0;
}

int confine(const char *root, struct zl_error *err)
{
    if (geteuid() != 0)
        return zl_fail(err, ZL_ERR_CONFIGURATION, "zlayer-fetch needs root in this version");
    if (own_root(root, err) < 0 || limit_memory(err) < 0)
        return zl_wrap(err, "confine zlayer-fetch");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return zl_fail_errno(err, "confine zlayer-fetch: give up new privileges");
    if (deny_calls(err) < 0 || drop_capabilities(err) < 0)
        return zl_wrap(err, "confine zlayer-fetch");
    return 0;
}
