// SPDX-License-Identifier: Apache-2.0
/*
 * What a seccomp filter will say of one system call, before it is loaded: the machine of
 * seccomp(2), as far as our programs use it (sandbox/plan/seccomp.c).
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>

#include "sandbox/carry/child.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

static bool jumps(const struct sock_filter *i, uint32_t a)
{
    switch (BPF_OP(i->code)) {
    case BPF_JEQ:
        return a == i->k;
    case BPF_JGT:
        return a > i->k;
    case BPF_JGE:
        return a >= i->k;
    default: /* BPF_JSET */
        return a & i->k;
    }
}

/* Its action; SECCOMP_RET_KILL_PROCESS also when it does what our programs never do. */
static uint32_t run(const struct sock_filter *v, uint32_t n, const struct seccomp_data *call)
{
    uint32_t a = 0;

    for (uint64_t at = 0; at < n; at++) { /* jumps lead forward only */
        const struct sock_filter *i = &v[at];
        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (i->k > sizeof *call - sizeof a)
                return SECCOMP_RET_KILL_PROCESS;
            memcpy(&a, (const char *)call + i->k, sizeof a);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= i->k;
            break;
        case BPF_JMP | BPF_JA:
            at += i->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
        case BPF_JMP | BPF_JGT | BPF_K:
        case BPF_JMP | BPF_JGE | BPF_K:
        case BPF_JMP | BPF_JSET | BPF_K:
            at += jumps(i, a) ? i->jt : i->jf;
            break;
        case BPF_RET | BPF_K:
            return i->k;
        default:
            return SECCOMP_RET_KILL_PROCESS;
        }
    }
    return SECCOMP_RET_KILL_PROCESS;
}

bool filter_allows_birth(const void *base, const struct plan_process *p)
{
    const struct seccomp_data call = { .nr = SYS_clone,
                                       .arch = OUR_ARCH,
                                       .args = { CLONE_PARENT } };
    uint32_t action =
        run(plan_table(base, p->seccomp), p->seccomp.n, &call) & SECCOMP_RET_ACTION_FULL;

    return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}
