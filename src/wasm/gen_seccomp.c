// SPDX-License-Identifier: Apache-2.0
/*
 * Build time: what each kind of process of ours may ask of the kernel, as BPF programs in C arrays.
 * The lists name what our own code and the engine call; everything else answers EPERM.
 */
#include <asm/termbits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "sandbox/plan/seccomp.h"

/* A guest, core module or component: its files, its clock, memory without code in it. */
static const char *guest_names[] = {
    "read",           "write",         "readv",        "writev",          "pread64",
    "pwrite64",       "preadv",        "pwritev",      "preadv2",         "pwritev2",
    "lseek",          "close",         "fcntl",        "fstat",           "newfstatat",
    "fstatat64",      "statx",         "openat",       "openat2",         "getdents64",
    "mkdirat",        "unlinkat",      "symlinkat",    "linkat",          "renameat",
    "renameat2",      "readlinkat",    "utimensat",    "ftruncate",       "fallocate",
    "fsync",          "fdatasync",     "fadvise64",    "fadvise64_64",    "ppoll",
    "poll",           "accept4",       "recvmsg",      "sendmsg",         "shutdown",
    "getrandom",      "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
    "sched_yield",    "exit",          "exit_group",   "rt_sigreturn",    "rt_sigaction",
    "rt_sigprocmask", "sigaltstack",   "setitimer",    "munmap",          "mremap",
    "madvise",        "brk",           "futex",        "restart_syscall", "gettid",
    "getpid",         "tgkill",
};
/* What tokio, threads and sockets need on top. */
static const char *component_names[] = {
    "clone",
    "clone3",
    "set_robust_list",
    "rseq",
    "sched_getaffinity",
    "prctl",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "eventfd2",
    "socket",
    "socketpair",
    "bind",
    "listen",
    "connect",
    "accept",
    "getsockname",
    "getpeername",
    "setsockopt",
    "getsockopt",
    "sendto",
    "recvfrom",
    "sendmmsg",
    "recvmmsg",
    "getdents",
    "stat",
    "lstat",
    "open",
    "readlink",
    "uname",
    "gettimeofday",
    "membarrier",
    "fstatfs",
    "futex_waitv",
    "sched_getparam",
    "sched_getscheduler",
};
/* The compiler: threads and memory; its input and output are open. */
static const char *compiler_names[] = {
    "read",
    "write",
    "writev",
    "lseek",
    "close",
    "fstat",
    "newfstatat",
    "ftruncate",
    "openat",
    "fcntl",
    "mmap",
    "munmap",
    "mremap",
    "mprotect",
    "madvise",
    "brk",
    "futex",
    "clone",
    "clone3",
    "set_robust_list",
    "rseq",
    "sched_getaffinity",
    "sched_yield",
    "exit",
    "exit_group",
    "prctl",
    "rt_sigreturn",
    "rt_sigaction",
    "rt_sigprocmask",
    "sigaltstack",
    "getrandom",
    "clock_gettime",
    "clock_nanosleep",
    "gettid",
    "getpid",
    "tgkill",
    "restart_syscall",
    "uname",
    "prlimit64",
    "getrlimit",
    "membarrier",
    "readlinkat",
    "readlink",
    "memfd_create",
    "poll",
    "sysinfo",
    "statx",
};
/* Nobody who runs a guest makes code: it was mapped before. */
static const char *mapping_names[] = { "mmap", "mmap2", "mprotect" };
static struct oci_seccomp_arg no_code[] = {
    { .index = 2, .value = PROT_EXEC, .value_two = 0, .op = OCI_OP_MASKED_EQ },
};
/* Asking a descriptor; not TIOCSTI and its kind. */
static const char *ioctl_names[] = { "ioctl" };
static struct oci_seccomp_arg readable[] = { { .index = 1, .value = FIONREAD, .op = OCI_OP_EQ } };
static struct oci_seccomp_arg terminal[] = { { .index = 1, .value = TCGETS, .op = OCI_OP_EQ } };
static struct oci_seccomp_arg window[] = { { .index = 1, .value = TIOCGWINSZ, .op = OCI_OP_EQ } };
static struct oci_seccomp_arg resize[] = { { .index = 1, .value = TIOCSWINSZ, .op = OCI_OP_EQ } };
static struct oci_seccomp_arg unblock[] = { { .index = 1, .value = FIONBIO, .op = OCI_OP_EQ } };

#define NAMES(list)                                                                                \
    {                                                                                              \
        list, ZL_ARRAY_LEN(list)                                                                   \
    }
#define RULE(list)                                                                                 \
    {                                                                                              \
        .names = NAMES(list), .action = OCI_ACT_ALLOW                                              \
    }
#define RULE_IF(list, one)                                                                         \
    {                                                                                              \
        .names = NAMES(list), .action = OCI_ACT_ALLOW, .args = { one, 1 }                          \
    }
/* clang-format off */
static const struct oci_seccomp_rule guest = RULE(guest_names), component = RULE(component_names),
    compiler = RULE(compiler_names), map = RULE_IF(mapping_names, no_code),
    ask_readable = RULE_IF(ioctl_names, readable), ask_terminal = RULE_IF(ioctl_names, terminal),
    ask_window = RULE_IF(ioctl_names, window), set_window = RULE_IF(ioctl_names, resize), set_unblock = RULE_IF(ioctl_names, unblock);

static const struct {
    const char *name;
    const struct oci_seccomp_rule *rules[9];
} lists[] = {
    { "seccomp_guest",     { &guest, &map, &ask_readable, &ask_terminal, &ask_window, &set_window } },
    { "seccomp_component", { &guest, &component, &map, &ask_readable, &ask_terminal, &ask_window, &set_window, &set_unblock } },
    { "seccomp_compiler",  { &compiler } },
};
/* clang-format on */

static int print_list(const char *name, const struct oci_seccomp_rule *const *rules)
{
    static struct sock_filter program[SECCOMP_INSNS_MAX];
    const char *abi = seccomp_abi_name(0); /* our own; another one's calls are not ours */
    const struct oci_seccomp head = { .default_action = OCI_ACT_ERRNO,
                                      .default_errno_ret = { true, 1 },
                                      .architectures = { &abi, 1 } };
    struct seccomp_profile profile = { .head = &head, .rules = rules };
    struct zl_error err;
    size_t n = 0;

    while (rules[profile.n_rules])
        profile.n_rules++;
    if (seccomp_compile(&profile, program, &n, &err) < 0) {
        (void)fprintf(stderr, "%s: %s\n", name, err.msg);
        return -1;
    }
    (void)printf("static const struct sock_filter %s[] = {\n", name);
    for (size_t i = 0; i < n; i++)
        (void)printf("    { 0x%02x, %u, %u, 0x%08x },\n", program[i].code, program[i].jt,
                     program[i].jf, program[i].k);
    (void)printf("};\n");
    return 0;
}

int main(void)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(lists); i++)
        if (print_list(lists[i].name, lists[i].rules) < 0)
            return 1;
    return 0;
}
