// SPDX-License-Identifier: Apache-2.0
/*
 * When and where the process runs: scheduler, I/O priority, CPUs; and its personality. A process
 * that asks for none of it costs four comparisons. Raw system calls, as in identity.c.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/carry/spawn.h"

struct sched_attributes { /* struct sched_attr of linux/sched/types.h, its first version */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static int set_scheduler(struct child *k)
{
    const struct plan_scheduler *from = plan_table(k->base, k->process->scheduler);
    struct sched_attributes a = { .size = sizeof a };

    if (!k->process->scheduler.n)
        return 0;
    a.policy = from->policy;
    a.flags = from->flags;
    a.nice = from->nice;
    a.priority = from->priority;
    a.runtime = from->runtime;
    a.deadline = from->deadline;
    a.period = from->period;
    return syscall(SYS_sched_setattr, 0, &a, 0) < 0 ? child_fail(k, STEP_SCHEDULER, NULL, NULL) : 0;
}

static int set_io_priority(struct child *k)
{
    enum { OF_A_PROCESS = 1 }; /* IOPRIO_WHO_PROCESS */

    if (!(k->process->flags & PLAN_HAS_IO_PRIORITY))
        return 0;
    return syscall(SYS_ioprio_set, OF_A_PROCESS, 0, k->process->io_priority) < 0
               ? child_fail(k, STEP_IO_PRIORITY, NULL, NULL)
               : 0;
}

static int set_cpus(const void *base, struct plan_tab cpus)
{
    return cpus.n && syscall(SYS_sched_setaffinity, 0, cpus.n * sizeof(uint64_t),
                             plan_table(base, cpus)) < 0
               ? -1
               : 0;
}

static int set_personality(struct child *k)
{
    if (!(k->process->flags & PLAN_HAS_PERSONALITY))
        return 0;
    return syscall(SYS_personality, k->process->personality) < 0
               ? child_fail(k, STEP_PERSONALITY, NULL, NULL)
               : 0;
}

int child_scheduling(struct child *k)
{
    /* SCHED_DEADLINE wants all CPUs of its domain (sched(7)): the CPUs last, so that the kernel
     * refuses the combination */
    if (set_scheduler(k) < 0 || set_io_priority(k) < 0)
        return -1;
    if (set_cpus(k->base, k->process->cpus) < 0)
        return child_fail(k, STEP_CPUS, NULL, NULL);
    return set_personality(k);
}

/* ---- of who starts a further process ---- */

int scheduling_begin(struct scheduling *s, const struct plan_exec *x)
{
    long n;

    *s = (struct scheduling){ .n = 0 };
    if (!x->cpus_before.n)
        return 0;
    n = syscall(SYS_sched_getaffinity, 0, sizeof s->before, s->before);
    if (n < 0 || set_cpus(x, x->cpus_before) < 0)
        return -1;
    s->n = (size_t)n;
    return 0;
}

void scheduling_end(struct scheduling *s)
{
    int saved = errno;

    if (s->n) /* they were ours a moment ago; a cpuset that changed since decides itself */
        (void)syscall(SYS_sched_setaffinity, 0, s->n, s->before);
    errno = saved;
}
