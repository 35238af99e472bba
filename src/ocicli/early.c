// SPDX-License-Identifier: Apache-2.0
/*
 * The re-execution of self.c, before libc begins: a static glibc looks at the CPU for 0.3 ms when
 * it starts (its CPUID instructions leave a virtual machine), and would do so twice. So the
 * program's entry point is ours: it goes over to the read-only mount by four system calls and no
 * libc at all. Whatever fails here is left to self_protect(), which can tell about it.
 */
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "base/weaken.h"
#include "ocicli/ocicli.h"
#include "sandbox/kernel.h"

#if defined(__x86_64__)

static long call5(long n, const void *a, const void *b, const void *c, const void *d, const void *e)
{
    register const void *r10 __asm__("r10") = d;
    register const void *r8 __asm__("r8") = e;
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return ret;
}

static const void *number(long n)
{
    return (const void *)n; /* a register's worth, as system calls take it */
}

/* /proc/self/exe will not tell where our file is: main() finds it in the environment. */
static char self_entry[sizeof SELF_VARIABLE "=" + PATH_MAX] = SELF_VARIABLE "=";

/* Into out, which has room for two more than envp has. */
__attribute__((no_stack_protector)) static void add_self(const long *envp, long *out)
{
    char *value = self_entry + sizeof SELF_VARIABLE;
    long n = call5(SYS_readlink, "/proc/self/exe", value, number(PATH_MAX - 1), NULL, NULL);

    while (*envp)
        *out++ = *envp++;
    if (n > 0)
        *out++ = (long)self_entry;
    *out = 0;
}

static size_t count(const long *v)
{
    size_t n = 0;

    while (v[n])
        n++;
    return n;
}

/* stack: argc, argv, NULL, envp, NULL as execve(2) leaves them. No stack protector: its canary is
 * set up by libc. */
__attribute__((used, no_stack_protector)) void zl_early(long *stack);
void zl_early(long *stack)
{
    static const char self[] = "/proc/self/exe";
    struct k_mount_attr readonly = { .attr_set = K_ATTR_RDONLY };
    struct statfs fs = { 0 };

    if (zl_weaken(SELF) || call5(SYS_statfs, self, &fs, NULL, NULL, NULL) < 0 ||
        fs.f_flags & ST_RDONLY)
        return;
    long fd = call5(K_SYS_open_tree, number(AT_FDCWD), self,
                    number(K_OPEN_TREE_CLONE | K_OPEN_TREE_CLOEXEC), NULL, NULL);
    if (fd < 0)
        return;
    if (call5(K_SYS_mount_setattr, number(fd), "", number(K_AT_EMPTY_PATH), &readonly,
              number(sizeof readonly)) == 0) {
        const long *envp = stack + 1 + stack[0] + 1;
        long *env = __builtin_alloca((count(envp) + 2) * sizeof *env);
        add_self(envp, env);
        (void)call5(SYS_execveat, number(fd), "", stack + 1, env, number(K_AT_EMPTY_PATH));
    }
    (void)call5(SYS_close, number(fd), NULL, NULL, NULL, NULL);
}

/* The entry point; _start is libc's. rdx, which libc wants, and the stack are kept. */
__asm__(".globl zl_entry\n"
        ".type zl_entry, @function\n"
        "zl_entry:\n\t"
        "xor %ebp, %ebp\n\t"
        "mov %rdx, %rbx\n\t"
        "mov %rsp, %r12\n\t"
        "mov %rsp, %rdi\n\t"
        "and $-16, %rsp\n\t"
        "call zl_early\n\t"
        "mov %r12, %rsp\n\t"
        "mov %rbx, %rdx\n\t"
        "jmp _start\n");

#endif
