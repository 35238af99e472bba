// SPDX-License-Identifier: Apache-2.0
/* clone3(2) onto a stack of its own, for children that share our memory. */
#ifndef ZL_SANDBOX_CARRY_CLONE_H
#define ZL_SANDBOX_CARRY_CLONE_H

#include "sandbox/kernel.h"

struct clone3_args { /* struct clone_args of linux/sched.h, Linux 5.7 */
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};

/*
 * The child calls fn(arg) on a->stack and never comes back here: with CLONE_VM it must not touch
 * the frame that the parent returns through. Returns the pid, or -errno.
 */
static inline long clone3_call(const struct clone3_args *a, void (*fn)(void *), void *arg)
{
#if defined(__x86_64__)
    register long ret __asm__("rax") = K_SYS_clone3;
    register void (*r8)(void *) __asm__("r8") = fn;
    register void *r9 __asm__("r9") = arg;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r9, %%rdi\n\t"
                     "call *%%r8\n\t"
                     "hlt\n"
                     "1:"
                     : "+r"(ret)
                     : "D"(a), "S"(sizeof *a), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = K_SYS_clone3;
    register long x0 __asm__("x0") = (long)a;
    register long x1 __asm__("x1") = sizeof *a;
    register void (*x2)(void *) __asm__("x2") = fn;
    register void *x3 __asm__("x3") = arg;
    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x0, x3\n\t"
                     "blr x2\n\t"
                     "brk #1\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3)
                     : "memory", "x30");
    return x0;
#else
#error "clone3_call is not written for this architecture"
#endif
}

/* A system call that does not touch errno, which is of who shares our memory. */
static inline long clone_raw(long number, long a, long b, long c)
{
#if defined(__x86_64__)
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#endif
}

#endif
