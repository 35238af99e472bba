// SPDX-License-Identifier: Apache-2.0
#include "fetch/crew/confine.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/weaken.h"
#include "image/layout.h"

enum { RESOLVER_FILE_MAX = 1 << 20 };
#define STORE_DIR "store" /* where the state folder is below the new root */

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

/* The parts of the state folder that may be seen, each as a mount of its own, and what more is not
 * done there. */
enum { PARTS = 4 };
static const struct part {
    const char *name, *place; /* of the state folder; below the new root's STORE_DIR */
    uint64_t limits;
} parts[PARTS] = {
    { LAYOUT_IMAGES, LAYOUT_IMAGES, 0 },
    { LAYOUT_LAYERS, LAYOUT_LAYERS, 0 },
    { LAYOUT_IMAGES, CONFINE_SEEN "/" LAYOUT_IMAGES, MOUNT_ATTR_RDONLY },
    { LAYOUT_LAYERS, CONFINE_SEEN "/" LAYOUT_LAYERS, MOUNT_ATTR_RDONLY },
};

/* By path, since a descriptor from before belongs to a mount of the old namespace. */
static int mount_part(const char *root, const struct part *part, int *ret, struct zl_error *err)
{
    const struct mount_attr limits = {
        .attr_set = part->limits | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
    };
    zl_autobuf struct zl_buf path = ZL_BUF(PATH_MAX);
    zl_buf_addf(&path, "%s/%s", root, part->name);
    if (zl_buf_check(&path, "the path of the state folder", err) < 0)
        return -1;
    zl_autoclose int fd = open_tree(AT_FDCWD, path.data, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, (struct mount_attr *)(uintptr_t)&limits,
                                sizeof limits) < 0)
        return zl_fail_errno(err, "mount '%s' again", path.data);
    *ret = zl_take_fd(&fd);
    return 0;
}

static int attach_part(int store, const struct part *part, int mounted, struct zl_error *err)
{
    zl_autoclose int place = zl_mkdir_p(store, part->place, 0700, err);
    if (place < 0)
        return -1;
    if (move_mount(mounted, "", store, part->place, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return zl_fail_errno(err, "mount %s below the new root", part->place);
    return 0;
}

/* Nothing else of the state folder: neither the agent's database, nor containers, logs, volumes. */
static int attach_store(int root_fd, const int mounted[PARTS], struct zl_error *err)
{
    zl_autoclose int store = zl_mkdir_p(root_fd, STORE_DIR, 0700, err);
    for (size_t i = 0; store >= 0 && i < PARTS; i++) {
        if (attach_part(store, &parts[i], mounted[i], err) < 0)
            return -1;
    }
    return store < 0 ? -1 : 0;
}

/* An empty file system over `place`, where only we see it, and the view in it. */
static int furnish(const char *place, const int mounted[PARTS], unsigned view, struct zl_error *err)
{
    const unsigned long limits = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mount("tmpfs", place, "tmpfs", limits, "size=4m,mode=0755") < 0)
        return zl_fail_errno(err, "mount over '%s'", place);
    zl_autoclose int fd = zl_open_dir(AT_FDCWD, place, err);
    if (fd < 0 || ((view & CONFINE_RESOLVER) && copy_resolver_files(fd, err) < 0) ||
        ((view & CONFINE_STORE) && attach_store(fd, mounted, err) < 0))
        return -1;
    if (mount(NULL, place, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | limits, NULL) < 0)
        return zl_fail_errno(err, "make the new root read-only");
    return 0;
}

static int make_store(const char *root, struct zl_error *err)
{
    zl_autoclose int fd = zl_open_dir(AT_FDCWD, root, err);
    zl_autoclose int images = fd < 0 ? -1 : zl_mkdir_p(fd, LAYOUT_IMAGES, 0700, err);
    zl_autoclose int layers = images < 0 ? -1 : zl_mkdir_p(fd, LAYOUT_LAYERS, 0700, err);
    return layers < 0 ? -1 : 0;
}

static int mount_parts(const char *root, int mounted[PARTS], struct zl_error *err)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (mount_part(root, &parts[i], &mounted[i], err) < 0)
            return -1;
    }
    return 0;
}

/* "." is what is to be the root; no mount is left of what is not below it. */
static int leave_old_root(const char *place, struct zl_error *err)
{
    if (chdir(place) < 0) /* the new mount, not what is below it */
        return zl_fail_errno(err, "enter '%s'", place);
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return zl_fail_errno(err, "make '%s' the root", place);
    if (umount2(".", MNT_DETACH) < 0) /* "." is the old root now: pivot_root(2) */
        return zl_fail_errno(err, "let go of the old root");
    return 0;
}

/* After this, no path leads out of the view: the old root is not mounted anywhere any more. Device
 * nodes of an image are made there, but must never be opened or executed. */
static int own_root(const char *root, unsigned view, struct zl_error *err)
{
    static const char place[] = "/proc"; /* which every host has, and we see no more */
    int mounted[PARTS] = { -1, -1, -1, -1 };
    if ((view & CONFINE_STORE) && make_store(root, err) < 0)
        return -1;
    if (unshare(CLONE_NEWNS) < 0)
        return zl_fail_errno(err, "make a mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return zl_fail_errno(err, "make all mounts private");
    int rc = view & CONFINE_STORE ? mount_parts(root, mounted, err) : 0;
    if (rc == 0)
        rc = furnish(place, mounted, view, err);
    for (size_t i = 0; i < PARTS; i++)
        zl_closep(&mounted[i]);
    if (rc < 0 || leave_old_root(place, err) < 0)
        return -1;
    return chdir(view & CONFINE_STORE ? "/" STORE_DIR : "/") < 0
               ? zl_fail_errno(err, "enter the root")
               : 0;
}

/* ---- Landlock -------------------------------------------------------------------------------- */

/* A second wall before the same room, of another make: with no rule that allows any of it, what the
 * ruleset handles is refused, for whoever is to come as well (landlock(7)). The numbers are the
 * kernel's; headers older than it lack some of them. */
struct landlock {
    uint64_t fs, net, scoped;
};

static const struct landlock_abi {
    struct landlock handled;
    size_t size; /* of what this kernel takes */
} landlock_abis[] = {
    /* from execution and writing to making nodes of each kind, but not reading: bits 2 and 3 */
    { { .fs = 0x1ff3 }, 8 },
    { { .fs = 0x3ff3 }, 8 },                 /* links and renames to other folders */
    { { .fs = 0x7ff3 }, 8 },                 /* truncate(2) */
    { { .fs = 0x7ff3 }, 16 },                /* of the network: seccomp's business here */
    { { .fs = 0xfff3 }, 16 },                /* ioctl(2) of devices */
    { { .fs = 0xfff3, .scoped = 0x3 }, 24 }, /* abstract sockets and signals of others */
};

static int forbid_writing(struct zl_error *err)
{
    enum { ASK_ABI = 1 }; /* LANDLOCK_CREATE_RULESET_VERSION */
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_ABI);
    if (abi < 1) /* not in this kernel, or turned off: the view is what there is */
        return 0;
    size_t known = ZL_ARRAY_LEN(landlock_abis);
    const struct landlock_abi *a =
        &landlock_abis[(size_t)abi < known ? (size_t)abi - 1 : known - 1];
    zl_autoclose int ruleset = (int)syscall(SYS_landlock_create_ruleset, &a->handled, a->size, 0);
    if (ruleset < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return zl_fail_errno(err, "forbid writing (Landlock)");
    return 0;
}

/* ---- standard input and output --------------------------------------------------------------- */

static int let_go(int first, int last, struct zl_error *err)
{
    zl_autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return zl_fail_errno(err, "open /dev/null");
    for (int fd = first; fd <= last; fd++) {
        if (dup2(null, fd) < 0)
            return zl_fail_errno(err, "let go of standard input and output");
    }
    return 0;
}

int confine_stdin(struct zl_error *err)
{
    return let_go(STDIN_FILENO, STDIN_FILENO, err);
}

int confine_stdio(struct zl_error *err)
{
#ifdef __SANITIZE_ADDRESS__
    return let_go(STDIN_FILENO, STDOUT_FILENO, err); /* its reports go to standard error */
#else
    return let_go(STDIN_FILENO, STDERR_FILENO, err);
#endif
}

/* ---- privileges ------------------------------------------------------------------------------ */

#define CAP(name) (UINT64_C(1) << CAP_##name)
#define UNPACKING                                                                                  \
    (CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(FOWNER) | CAP(FSETID) | CAP(MKNOD) | CAP(SETFCAP))

static int drop_capabilities(uint64_t kept, struct zl_error *err)
{
    /* without CAP_SETPCAP the bounding set was cut before, and can be no larger than we are */
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if (!(kept >> cap & 1) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) > 0 &&
            prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
            return zl_fail_errno(err, "drop capability %d", cap);
    }
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[2] = { { 0 } };
    for (int i = 0; i < 2; i++) /* nothing is inheritable: nothing is executed */
        sets[i].effective = sets[i].permitted = (uint32_t)(kept >> (32 * i));
    return syscall(SYS_capset, &head, sets) < 0 ? zl_fail_errno(err, "drop capabilities") : 0;
}

static int limit_memory(uint64_t bytes, struct zl_error *err)
{
#ifdef __SANITIZE_ADDRESS__
    (void)bytes;
    (void)err; /* its shadow alone is terabytes of address space */
    return 0;
#else
    struct rlimit limit = { bytes, bytes };
    return setrlimit(RLIMIT_AS, &limit) < 0 ? zl_fail_errno(err, "limit the memory") : 0;
#endif
}

/* ---- system calls ---------------------------------------------------------------------------- */

/* Of those who use large libraries: not what they need, which is the libraries' business and
 * changes with them, but what only somebody who took over the process would ask for. */
/* clang-format off */
static const char *const denied[] = {
    "execve", "execveat", "ptrace", "process_vm_readv",
    "process_vm_writev", "bind", "listen", "unshare", "setns",
    "mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick",
    "mount_setattr", "pivot_root", "bpf", "perf_event_open", "userfaultfd",
    "io_uring_setup", "keyctl", "add_key", "request_key", "init_module", "finit_module",
    "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct",
    "quotactl", "sethostname", "setdomainname", "iopl", "ioperm", "settimeofday", "clock_settime",
    "adjtimex", "open_by_handle_at", "name_to_handle_at", "pidfd_getfd", "kcmp", "setuid",
    "setgid", "setresuid", "setresgid", "setreuid", "setregid", "setgroups",
    /* of other processes of the same user, who needs no capability for it */
    "setpriority", "ioprio_set", "sched_setaffinity", "sched_setscheduler", "sched_setparam",
    "sched_setattr", "process_madvise", "migrate_pages", "move_pages",
    /* which no view hides: memory, queues and semaphores by number or name, the kernel's log */
    "shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop",
    "semtimedop", "semctl", "mq_open", "mq_unlink", "syslog",
    NULL,
};
/* Of one that needs no network. */
static const char *const network_calls[] = { "socket", "connect", NULL };
/* Of one that starts no process, and has no business with those that there are. */
static const char *const process_calls[] = {
    "fork", "vfork", "chroot", "kill", "tkill", "pidfd_open", "pidfd_send_signal",
    "rt_sigqueueinfo", "rt_tgsigqueueinfo", NULL,
};

/* Of those who have our own code, two decompressors and libc's memory alone: all that they may. */
#ifdef __SANITIZE_ADDRESS__ /* what its reports, and their printing, need */
#define OF_SANITIZERS                                                                              \
    "mprotect", "sigaltstack", "rt_sigaction", "rt_sigprocmask", "getpid", "gettid", "readlink",   \
    "open", "prctl", "sched_yield", "sched_getaffinity", "set_robust_list", "rseq", "getrlimit",   \
    "prlimit64", "ioctl", "getuid", "geteuid", "nanosleep", "clock_nanosleep",
#else
#define OF_SANITIZERS
#endif
#define OF_ANY                                                                                     \
    "read", "pread64", "write", "lseek", "close", "fstat", "newfstatat", "fstatfs", "brk", "mmap", \
    "munmap", "mremap", "madvise", "futex", "getrandom", "clock_gettime", "rt_sigreturn", "exit",  \
    "exit_group", "restart_syscall", OF_SANITIZERS

static const char *const of_a_reader[] = { OF_ANY NULL };
/* Files below folders that it has open, by descriptor. */
static const char *const of_a_hand[] = {
    OF_ANY
    "pwrite64", "ftruncate", "fallocate", "sendfile",
    "sync_file_range", "openat", "openat2", "fcntl", "getdents64", "statx",
    "mkdirat", "mknodat", "symlinkat", "linkat", "unlinkat", "readlinkat",
    "fchown", "fchownat", "fchmod", "fchmodat", "utimensat", "fsetxattr", "fgetxattr", "flistxattr",
    "sendmsg",
    NULL,
};
/* clang-format on */

static int add_all(scmp_filter_ctx filter, uint32_t action, const char *const *calls)
{
    int rc = 0;
    for (; rc == 0 && calls && *calls; calls++) {
        int number = seccomp_syscall_resolve_name(*calls);
        if (number != __NR_SCMP_ERROR) /* a call that this library does not know yet */
            rc = seccomp_rule_add(filter, action, number, 0);
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

/* Processes, but in the namespaces that are there: in new ones it would have all capabilities. */
static int no_new_namespaces(scmp_filter_ctx filter)
{
    static const scmp_datum_t flags[] = { CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
                                          CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
                                          CLONE_NEWNET };
    int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    for (size_t i = 0; rc == 0 && i < ZL_ARRAY_LEN(flags); i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
    return rc;
}

/* Calls that are needed for the process itself, and not for others. */
static int ourselves_only(scmp_filter_ctx filter)
{
    const uint32_t no = SCMP_ACT_ERRNO(EPERM);
    int rc = seccomp_rule_add(filter, no, SCMP_SYS(tgkill), 1,
                              SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid()));
    if (rc == 0)
        rc = seccomp_rule_add(filter, no, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0));
    return rc;
}

/* A socket is for a registry, or asks the kernel for our addresses: abstract names of AF_UNIX, the
 * hypervisor's side and the like are not reached through the file system, so no view hides them.
 * The kernel looks at the lower half of the number only, so what has an upper one is none. */
static int families_only(scmp_filter_ctx filter)
{
    const uint32_t no = SCMP_ACT_ERRNO(EPERM);
    int rc = seccomp_rule_add(filter, no, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_NETLINK));
    for (unsigned family = 0; rc == 0 && family < AF_NETLINK; family++) {
        if (family != AF_INET && family != AF_INET6)
            rc = seccomp_rule_add(filter, no, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, family));
    }
    return rc;
}

/* Of a pair of datagram sockets (SOCK_RAW is one, unix(7)) each may send to any abstract name;
 * those with connections lead nowhere. */
static int pairs_with_connections_only(scmp_filter_ctx filter)
{
    static const scmp_datum_t types[] = { SOCK_DGRAM, SOCK_RAW };
    enum { TYPE_MASK = 0xf }; /* the rest are flags: socket(2) */
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ZL_ARRAY_LEN(types); i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socketpair), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, TYPE_MASK, types[i]));
    return rc;
}

/* Standard error may be the terminal that the agent was started on: nobody types there for us. */
static int no_typing(scmp_filter_ctx filter)
{
    static const scmp_datum_t requests[] = { TIOCSTI, TIOCLINUX };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ZL_ARRAY_LEN(requests); i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, requests[i]));
    return rc;
}

/* Address space, of which libraries and the stacks of threads take most. A hand needs a window of
 * zstd, 128 MiB at most, and what it notes of folders (settle.c). */
#define MIB (UINT64_C(1) << 20)
enum { HAND_MIB = 512, ELSE_MIB = 1024 };

/* clang-format off */
static const struct role {
    uint64_t memory, capabilities;
    const char *const *allowed; /* NULL: all but the denied ones */
    bool network, processes, read_only;
} roles[] = {
    [CONFINE_KEEPER]  = { .memory = ELSE_MIB * MIB, .capabilities = CAP(DAC_READ_SEARCH) },
    [CONFINE_TALKER]  = { .memory = ELSE_MIB * MIB, .network = true, .read_only = true },
    [CONFINE_FOREMAN] = { .memory = HAND_MIB * MIB, .capabilities = UNPACKING | CAP(SYS_CHROOT), .processes = true },
    [CONFINE_HAND]    = { .memory = HAND_MIB * MIB, .capabilities = UNPACKING, .allowed = of_a_hand },
    [CONFINE_READER]  = { .memory = HAND_MIB * MIB, .allowed = of_a_reader },
    [CONFINE_COPIER]  = { .memory = ELSE_MIB * MIB, .capabilities = UNPACKING },
};
/* clang-format on */

static int deny_some(scmp_filter_ctx filter, const struct role *r)
{
    const uint32_t no = SCMP_ACT_ERRNO(EPERM);
    int rc = add_all(filter, no, denied);
    if (rc == 0)
        rc = pairs_with_connections_only(filter);
    if (rc == 0)
        rc = no_typing(filter);
    if (rc == 0 && !r->network)
        rc = add_all(filter, no, network_calls);
    if (rc == 0 && !r->processes)
        rc = add_all(filter, no, process_calls);
    if (rc == 0 && r->network)
        rc = families_only(filter);
    if (rc == 0)
        rc = r->processes ? no_new_namespaces(filter) : threads_only(filter);
    return rc == 0 && !r->processes ? ourselves_only(filter) : rc;
}

static int filter_calls(const struct role *r, struct zl_error *err)
{
    scmp_filter_ctx filter = seccomp_init(r->allowed ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW);
    int rc = -1;
    if (filter)
        rc = r->allowed ? add_all(filter, SCMP_ACT_ALLOW, r->allowed) : deny_some(filter, r);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc ? zl_fail(err, ZL_ERR_SYSTEM, "load the system call filter (%d)", rc) : 0;
}

int confine_role(enum confine_role role, struct zl_error *err)
{
    const struct role *r = &roles[role];
    if (limit_memory(r->memory, err) < 0 ||
        (r->read_only && !zl_weaken(LANDLOCK) && !zl_weaken(STORE) && forbid_writing(err) < 0) ||
        (!zl_weaken(RIGHTS) && drop_capabilities(r->capabilities, err) < 0) ||
        (!zl_weaken(CALLS) && filter_calls(r, err) < 0))
        return zl_wrap(err, "confine zlayer-fetch");
    return 0;
}

/* Links that lead out of a layer lead nowhere but with both defences gone. */
static bool sees_all(void)
{
    return zl_weaken(VIEW) || zl_weaken(LINKS);
}

/* Of the agent's environment, which is ours: overwritten where the kernel put it, on the stack,
 * which is also what /proc/<pid>/environ shows. */
static void forget_credentials(void)
{
    static const char *const names[] = { "ZLAYER_REGISTRY_USERNAME", "ZLAYER_REGISTRY_PASSWORD" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(names); i++) {
        char *value = getenv(names[i]);
        if (value)
            explicit_bzero(value, strlen(value));
    }
}

int confine_view(const char *root, unsigned view, struct zl_error *err)
{
    if (!zl_weaken(LATE))
        forget_credentials();
    if (geteuid() != 0)
        return zl_fail(err, ZL_ERR_CONFIGURATION, "zlayer-fetch needs root in this version");
    if (!sees_all() && own_root(root, view, err) < 0)
        return zl_wrap(err, "confine zlayer-fetch");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return zl_fail_errno(err, "confine zlayer-fetch: give up new privileges");
    return 0;
}

int confine_folder(int fd, struct zl_error *err)
{
    if (!sees_all() && (fchdir(fd) < 0 || chroot(".") < 0 || chdir("/") < 0))
        return zl_fail_errno(err, "confine zlayer-fetch: make the layer the root");
    return 0;
}
