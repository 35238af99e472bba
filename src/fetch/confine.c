// SPDX-License-Identifier: Apache-2.0
#include "fetch/confine.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"

enum { RESOLVER_FILE_MAX = 1 << 20 };
#define STORE "store" /* where the state folder is below the new root */

#define MEMORY_LIMIT                                                                               \
    (UINT64_C(2) << 30) /* zstd's largest window is 2 GiB, common ones 8 to 128 MiB */

/* ---- the root -------------------------------------------------------------------------------- */

/* What glibc's resolver reads. A link among them may lead to where it is not seen afterwards. */
static const char *const resolver_files[] = { "resolv.conf", "hosts", "nsswitch.conf", "host.conf",
                                              "gai.conf" };

static int copy_resolver_files(int root_fd, struct zl_error *err)
{
    zl_autoclose int etc = zl_mkdir_p(root_fd, "etc", 0755, err);
    for (size_t i = 0; etc >= 0 && i < ZL_ARRAY_LEN(resolver_files); i++) {
        char path[64];
        zl_autobuf struct zl_buf text = ZL_BUF(RESOLVER_FILE_MAX);
        struct zl_error missing;
        (void)snprintf(path, sizeof path, "/etc/%s", resolver_files[i]);
        if (zl_read_file(AT_FDCWD, path, &text, &missing) < 0)
            continue; /* not every host has all of them */
        if (zl_write_atomic(etc, resolver_files[i], text.data, text.len, 0644, false, err) < 0)
            return -1;
    }
    return etc < 0 ? -1 : 0;
}

/* An empty file system over the state folder, where only we see it, with that folder in it. */
static int furnish(const char *root, int store, bool with_resolver, struct zl_error *err)
{
    const unsigned long limits = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mount("tmpfs", root, "tmpfs", limits, "size=4m,mode=0755") < 0)
        return zl_fail_errno(err, "mount over '%s'", root);
    zl_autoclose int fd = zl_open_dir(AT_FDCWD, root, err);
    if (fd < 0 || (with_resolver && copy_resolver_files(fd, err) < 0))
        return -1;
    if (mkdirat(fd, STORE, 0700) < 0 ||
        move_mount(store, "", fd, STORE, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return zl_fail_errno(err, "mount the state folder below the new root");
    if (mount(NULL, root, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | limits, NULL) < 0)
        return zl_fail_errno(err, "make the new root read-only");
    return 0;
}

/* After this, no path leads out of the store: the old root is not mounted anywhere any more. Device
 * nodes of an image are made there, but must never be opened or executed. */
static int own_root(const char *root, bool with_resolver, struct zl_error *err)
{
    struct mount_attr limits = {
        .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
    };
    if (unshare(CLONE_NEWNS) < 0)
        return zl_fail_errno(err, "make a mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return zl_fail_errno(err, "make all mounts private");
    /* By path, since a descriptor from before belongs to a mount of the old namespace. */
    zl_autoclose int store = open_tree(AT_FDCWD, root, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (store < 0 || mount_setattr(store, "", AT_EMPTY_PATH, &limits, sizeof limits) < 0)
        return zl_fail_errno(err, "mount '%s' again", root);
    if (furnish(root, store, with_resolver, err) < 0)
        return -1;
    if (chdir(root) < 0) /* the new mount, not what is below it */
        return zl_fail_errno(err, "enter '%s'", root);
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return zl_fail_errno(err, "make '%s' the root", root);
    if (umount2(".", MNT_DETACH) < 0) /* "." is the old root now: pivot_root(2) */
        return zl_fail_errno(err, "let go of the old root");
    return chdir("/" STORE) < 0 ? zl_fail_errno(err, "enter '%s'", root) : 0;
}

/* ---- privileges ------------------------------------------------------------------------------ */

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
    "process_vm_writev", "bind", "listen", "unshare", "setns",
    "mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick",
    "mount_setattr", "pivot_root", "chroot", "bpf", "perf_event_open", "userfaultfd",
    "io_uring_setup", "keyctl", "add_key", "request_key", "init_module", "finit_module",
    "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct",
    "quotactl", "sethostname", "setdomainname", "iopl", "ioperm", "settimeofday", "clock_settime",
    "adjtimex", "open_by_handle_at", "name_to_handle_at", "pidfd_getfd", "kcmp", "setuid",
    "setgid", "setresuid", "setresgid", "setreuid", "setregid", "setgroups",
};
/* And of one that needs no network. */
static const char *const network_calls[] = { "socket", "socketpair", "connect" };
/* clang-format on */

static int deny(scmp_filter_ctx filter, const char *const *calls, size_t n)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        int number = seccomp_syscall_resolve_name(calls[i]);
        if (number != __NR_SCMP_ERROR) /* a call that this library does not know yet */
            rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
    }
    return rc;
}

/* Threads, but no processes. What clone3 makes cannot be looked into: glibc falls back to clone,
 * whose flags can. */
static int threads_only(scmp_filter_ctx filter)
{
    int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    return rc;
}

static int deny_calls(bool with_network, struct zl_error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc = filter ? deny(filter, denied, ZL_ARRAY_LEN(denied)) : -1;
    if (rc == 0 && !with_network)
        rc = deny(filter, network_calls, ZL_ARRAY_LEN(network_calls));
    if (rc == 0)
        rc = threads_only(filter);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc ? zl_fail(err, ZL_ERR_SYSTEM, "load the system call filter (%d)", rc) : 0;
}

static int confine_all(const char *root, bool with_network, struct zl_error *err)
{
    if (geteuid() != 0)
        return zl_fail(err, ZL_ERR_CONFIGURATION, "zlayer-fetch needs root in this version");
    if (own_root(root, with_network, err) < 0 || limit_memory(err) < 0)
        return zl_wrap(err, "confine zlayer-fetch");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return zl_fail_errno(err, "confine zlayer-fetch: give up new privileges");
    if (deny_calls(with_network, err) < 0 || drop_capabilities(err) < 0)
        return zl_wrap(err, "confine zlayer-fetch");
    return 0;
}

int confine(const char *root, struct zl_error *err)
{
    return confine_all(root, false, err);
}

int confine_with_network(const char *root, struct zl_error *err)
{
    return confine_all(root, true, err);
}
