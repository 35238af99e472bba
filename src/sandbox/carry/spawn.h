// SPDX-License-Identifier: Apache-2.0
/* Inside carry/: making the child, and hearing from it. */
#ifndef ZL_SANDBOX_CARRY_SPAWN_H
#define ZL_SANDBOX_CARRY_SPAWN_H

#include "sandbox/carry/child.h"

struct spawn {
    struct child child;
    uint32_t namespaces; /* CLONE_NEW… for clone3; without CLONE_NEWCGROUP */
    int pid_ns_fd;       /* a PID namespace to be born in; -1: ours, or a new one */
    int cgroup_fd;       /* v2: CLONE_INTO_CGROUP; -1: none */
    bool between;        /* a process between us makes it: userns.c */
    bool ahead;          /* and goes most of the child's way before: exec.c */
    bool unbound;        /* whose seccomp filter does not bind it: it is the child's only */
    bool share_memory;   /* CLONE_VM | CLONE_VFORK; only without gate */
};

/* Returns when the child executed its command, or waits at its gate. */
int spawn_run(struct spawn *s, struct carry_proc *ret, struct zl_error *err);

/* fork(2) with a pidfd, close-on-exec, with CLONE_NEW… and into a cgroup of v2 (-1: none). 0 in the
 * child; -1 and errno. */
pid_t spawn_fork(uint64_t namespaces, int cgroup_fd, int *ret_pidfd);
/* Kills it and waits for its end. */
void spawn_end(struct carry_proc *p);

/* In the calling process's network namespace; -1 and errno. Async-signal-safe. */
int spawn_loopback_up(void);

/*
 * scheduling.c: the CPUs that we ourselves run on while a further process is made, which is born on
 * them: plan_exec.cpus_before. -1 and errno; the end puts back what was.
 */
enum { SCHEDULING_WORDS = 128 };
struct scheduling {
    uint64_t before[SCHEDULING_WORDS];
    size_t n; /* bytes of it; 0: nothing was changed */
};
int scheduling_begin(struct scheduling *s, const struct plan_exec *x);
void scheduling_end(struct scheduling *s);

/* step.c: *err from a report; -1. */
int step_error(const struct report *r, struct zl_error *err);
void step_print_trace(const struct shared *s);

#endif
