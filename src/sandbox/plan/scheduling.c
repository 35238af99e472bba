// SPDX-License-Identifier: Apache-2.0
/* Scheduler, I/O priority, CPUs and personality as numbers of the kernel. */
#include <string.h>
#include <sys/personality.h>

#include "sandbox/plan/parts.h"

enum {
    POLICY_ISO = 4,
    CPUS_MAX = 8192,
    CLASS_IDLE = 3,
    CLASS_SHIFT = 13 /* linux/ioprio.h */
};

/* linux/sched.h, SCHED_FLAG_… */
static const struct {
    const char *name;
    uint64_t bit;
} scheduler_flags[] = {
    { "SCHED_FLAG_RESET_ON_FORK", 0x01 },  { "SCHED_FLAG_RECLAIM", 0x02 },
    { "SCHED_FLAG_DL_OVERRUN", 0x04 },     { "SCHED_FLAG_KEEP_POLICY", 0x08 },
    { "SCHED_FLAG_KEEP_PARAMS", 0x10 },    { "SCHED_FLAG_UTIL_CLAMP_MIN", 0x20 },
    { "SCHED_FLAG_UTIL_CLAMP_MAX", 0x40 },
};

static int scheduler_flag(struct build *b, size_t index, const char *name, uint64_t *flags)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(scheduler_flags); i++)
        if (strcmp(scheduler_flags[i].name, name) == 0) {
            *flags |= scheduler_flags[i].bit;
            return 0;
        }
    return zl_fail(b->err, ZL_ERR_INVALID, "process.scheduler.flags[%zu]: unknown '%s'", index,
                   name);
}

static int build_scheduler(struct build *b, const struct oci_scheduler *from,
                           struct plan_process *p)
{
    struct plan_scheduler s = { 0 };

    if (!from)
        return 0;
    if (from->policy == POLICY_ISO)
        return zl_fail(b->err, ZL_ERR_UNSUPPORTED,
                       "process.scheduler.policy: SCHED_ISO is reserved; no Linux has it");
    if (from->nice < -20 || from->nice > 19)
        return zl_fail(b->err, ZL_ERR_INVALID, "process.scheduler.nice: %d is not in -20 … 19",
                       from->nice);
    if (from->priority < 0 || from->priority > 99)
        return zl_fail(b->err, ZL_ERR_INVALID, "process.scheduler.priority: %d is not in 0 … 99",
                       from->priority);
    s.policy = (uint32_t)from->policy;
    s.nice = from->nice;
    s.priority = (uint32_t)from->priority;
    s.runtime = from->runtime;
    s.deadline = from->deadline;
    s.period = from->period;
    for (size_t i = 0; i < from->flags.n; i++)
        if (scheduler_flag(b, i, from->flags.v[i], &s.flags) < 0)
            return -1;
    p->scheduler = writer_table(&b->w, &s, 1, sizeof s);
    return 0;
}

static int build_io_priority(struct build *b, const struct oci_io_priority *from,
                             struct plan_process *p)
{
    if (!from)
        return 0;
    if (from->priority < 0 || from->priority > 7)
        return zl_fail(b->err, ZL_ERR_INVALID, "process.ioPriority.priority: %d is not in 0 … 7",
                       from->priority);
    p->flags |= PLAN_HAS_IO_PRIORITY;
    p->io_priority = (uint32_t)from->io_class << CLASS_SHIFT |
                     (from->io_class == CLASS_IDLE ? 0 : (uint32_t)from->priority);
    return 0;
}

static int build_personality(struct build *b, struct plan_process *p)
{
    const char *domain = b->config->linux_.personality.domain;

    if (!domain)
        return 0;
    if (strcmp(domain, "LINUX") != 0 && strcmp(domain, "LINUX32") != 0)
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "linux.personality.domain: expected LINUX or LINUX32, found '%s'", domain);
    if (b->config->linux_.personality.flags.n)
        return zl_fail(b->err, ZL_ERR_UNSUPPORTED,
                       "linux.personality.flags[0]: '%s': the runtime-spec knows no flag yet",
                       b->config->linux_.personality.flags.v[0]);
    p->flags |= PLAN_HAS_PERSONALITY;
    p->personality = strcmp(domain, "LINUX32") == 0 ? PER_LINUX32 : PER_LINUX;
    return 0;
}

int build_scheduling(struct build *b, const struct oci_process *x, struct plan_process *p)
{
    return build_scheduler(b, x->scheduler, p) < 0 || build_io_priority(b, x->io_priority, p) < 0
               ? -1
               : build_personality(b, p);
}

/* ---- CPUs ---- */

static int bad_list(struct build *b, const char *name, const char *list)
{
    return zl_fail(b->err, ZL_ERR_INVALID, "%s: expected CPUs as \"0-3,7\", found '%s'", name,
                   list);
}

/* One number below CPUS_MAX; what stands behind it, NULL when there is none. */
static const char *read_cpu(const char *at, uint32_t *ret)
{
    uint32_t n = 0;

    if (*at < '0' || *at > '9')
        return NULL;
    for (; *at >= '0' && *at <= '9'; at++) {
        n = n * 10 + (uint32_t)(*at - '0');
        if (n >= CPUS_MAX)
            return NULL;
    }
    *ret = n;
    return at;
}

int build_cpus(struct build *b, const char *name, const char *list, struct plan_tab *ret)
{
    uint64_t words[CPUS_MAX / 64] = { 0 };
    size_t used = 0;

    if (!list || !list[0])
        return 0;
    for (const char *at = list;; at++) {
        uint32_t first = 0, last;
        at = read_cpu(at, &first);
        last = first;
        if (at && *at == '-')
            at = read_cpu(at + 1, &last);
        if (!at || last < first || (*at && *at != ','))
            return bad_list(b, name, list);
        for (uint32_t cpu = first; cpu <= last; cpu++)
            words[cpu / 64] |= UINT64_C(1) << cpu % 64;
        if (last / 64 + 1 > used)
            used = last / 64 + 1;
        if (!*at)
            break;
    }
    *ret = writer_table(&b->w, words, used, sizeof *words);
    return 0;
}
