// SPDX-License-Identifier: Apache-2.0
/*
 * Who the process will be: limits, capabilities, user, seccomp. All by raw system calls: libc's
 * setuid and friends would reach for other threads, which a vforked child must not.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/weaken.h"
#include "sandbox/carry/child.h"

enum { /* permissions of a key: keyctl_setperm(3); the kernel's header is not of its uapi */
       KEY_POS_ALL = 0x3f000000,
       KEY_USR_VIEW = 0x00010000,
       KEY_USR_READ = 0x00020000,
       KEY_USR_SEARCH = 0x00080000,
       KEY_USR_LINK = 0x00100000,
};

/*
 * Without one of its own the process would have that of whoever started the runtime, and the keys
 * in it. A further process finds the container's by its name, for which the owner must be allowed
 * to search it: keyctl(2), KEYCTL_JOIN_SESSION_KEYRING.
 */
int child_keyring(struct child *k)
{
    /* what the kernel gives (all to who possesses it; view, read, link to the owner), and search */
    const uint32_t permissions =
        KEY_POS_ALL | KEY_USR_VIEW | KEY_USR_READ | KEY_USR_LINK | KEY_USR_SEARCH;
    const char *name = plan_text(k->base, k->process->keyring);
    long id;

    if (!name)
        return 0;
    id = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);
    if (id < 0) /* ENOSYS: a kernel without keys has none to keep apart */
        return errno == ENOSYS ? 0 : child_fail(k, STEP_KEYRING, name, NULL);
    if (k->plan && syscall(SYS_keyctl, KEYCTL_SETPERM, id, permissions) < 0)
        return child_fail(k, STEP_KEYRING, name, NULL);
    return 0;
}

/* Raising a hard limit wants CAP_SYS_RESOURCE: without it, as high as we may. */
static int clamp(int resource, struct rlimit *l)
{
    struct rlimit now;

    if (getrlimit(resource, &now) < 0)
        return -1;
    if (l->rlim_max > now.rlim_max)
        l->rlim_max = now.rlim_max;
    if (l->rlim_cur > l->rlim_max)
        l->rlim_cur = l->rlim_max;
    return setrlimit(resource, l);
}

static const char *const limit_names[] = {
    [RLIMIT_CPU] = "RLIMIT_CPU",           [RLIMIT_FSIZE] = "RLIMIT_FSIZE",
    [RLIMIT_DATA] = "RLIMIT_DATA",         [RLIMIT_STACK] = "RLIMIT_STACK",
    [RLIMIT_CORE] = "RLIMIT_CORE",         [RLIMIT_RSS] = "RLIMIT_RSS",
    [RLIMIT_NPROC] = "RLIMIT_NPROC",       [RLIMIT_NOFILE] = "RLIMIT_NOFILE",
    [RLIMIT_MEMLOCK] = "RLIMIT_MEMLOCK",   [RLIMIT_AS] = "RLIMIT_AS",
    [RLIMIT_LOCKS] = "RLIMIT_LOCKS",       [RLIMIT_SIGPENDING] = "RLIMIT_SIGPENDING",
    [RLIMIT_MSGQUEUE] = "RLIMIT_MSGQUEUE", [RLIMIT_NICE] = "RLIMIT_NICE",
    [RLIMIT_RTPRIO] = "RLIMIT_RTPRIO",     [RLIMIT_RTTIME] = "RLIMIT_RTTIME",
};

static const char *name_of_limit(uint32_t resource)
{
    return resource < ZL_ARRAY_LEN(limit_names) ? limit_names[resource] : NULL;
}

int child_rlimits(struct child *k)
{
    const struct plan_rlimit *v = plan_table(k->base, k->process->rlimits);

    for (uint32_t i = 0; i < k->process->rlimits.n; i++) {
        struct rlimit l = { .rlim_cur = v[i].soft, .rlim_max = v[i].hard };
        int resource = (int)v[i].resource;
        if (setrlimit(resource, &l) < 0 && (errno != EPERM || clamp(resource, &l) < 0))
            return child_fail(k, STEP_RLIMIT, name_of_limit(v[i].resource), NULL);
    }
    return 0;
}

/* Of what is not in the set; the kernel says EINVAL after its last capability. */
int child_bounding(struct child *k)
{
    uint64_t keep = zl_weaken(CAPS) ? ~(uint64_t)0 : k->process->caps[PLAN_CAP_BOUNDING];

    for (int cap = 0; cap < 64; cap++) {
        if (keep >> cap & 1 || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL && cap > CAP_AUDIT_READ)
            break;
        return child_fail(k, STEP_BOUNDING, NULL, NULL);
    }
    return 0;
}

int child_user(struct child *k)
{
    const struct plan_process *p = k->process;

    /* otherwise leaving uid 0 clears the permitted set, of which capset() could keep nothing */
    if (p->uid && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return child_fail(k, STEP_USER, NULL, NULL);
    if ((!(p->flags & (PLAN_KEEP_GROUPS | PLAN_NO_SETGROUPS)) &&
         syscall(SYS_setgroups, (size_t)p->groups.n, plan_table(k->base, p->groups)) < 0) ||
        syscall(SYS_setresgid, p->gid, p->gid, p->gid) < 0)
        return child_fail(k, STEP_GROUPS, NULL, NULL);
    if (syscall(SYS_setresuid, p->uid, p->uid, p->uid) < 0)
        return child_fail(k, STEP_USER, NULL, NULL);
    return 0;
}

static int raise_ambient(uint64_t set)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -1;
    for (int cap = 0; cap < 64; cap++)
        if (set >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return -1;
    return 0;
}

int child_capabilities(struct child *k)
{
    const uint64_t *caps = k->process->caps;
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];

    if (zl_weaken(CAPS))
        return 0;
    for (int half = 0; half < 2; half++)
        data[half] = (struct __user_cap_data_struct){
            .effective = (uint32_t)(caps[PLAN_CAP_EFFECTIVE] >> 32 * half),
            .permitted = (uint32_t)(caps[PLAN_CAP_PERMITTED] >> 32 * half),
            .inheritable = (uint32_t)(caps[PLAN_CAP_INHERITABLE] >> 32 * half),
        };
    if (syscall(SYS_capset, &head, data) < 0 || raise_ambient(caps[PLAN_CAP_AMBIENT]) < 0)
        return child_fail(k, STEP_CAPABILITIES, NULL, NULL);
    return 0;
}

/*
 * From here on any system call may be one that the listener has to answer, who does not have the
 * descriptor yet: so the parent is told through memory, and until it took the descriptor, which
 * execve closes, we wait without a call (clock_gettime needs none). A parent that is gone takes
 * nothing: then the listener never answers, and its callers get ENOSYS.
 */
void child_await_listener(struct child *k)
{
    enum { PATIENCE_S = 10 };
    struct timespec begin, now;

    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    while (!__atomic_load_n(&k->shared->taken, __ATOMIC_ACQUIRE) &&
           now.tv_sec - begin.tv_sec < PATIENCE_S);
}

int child_seccomp(struct child *k)
{
    const struct plan_process *p = k->process;
    union { /* the kernel only reads; sock_fprog does not say so */
        const void *in_plan;
        struct sock_filter *out;
    } filter = { .in_plan = plan_table(k->base, p->seccomp) };
    struct sock_fprog program = { .len = (unsigned short)p->seccomp.n, .filter = filter.out };

    if (!p->seccomp.n)
        return 0;
    /* who becomes another user is nobody's to look into, not even its maker's, when that is no root
     */
    if (p->flags & PLAN_SECCOMP_LISTENER && p->flags & PLAN_USER_NS && k->plan &&
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
        return child_fail(k, STEP_SECCOMP, NULL, NULL);
    if (p->flags & PLAN_SECCOMP_LISTENER && child_meet_parent(k, STEP_SECCOMP, false) < 0)
        return -1;
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, p->seccomp_flags, &program);
    if (fd < 0)
        return child_fail(k, STEP_SECCOMP, NULL, NULL);
    if (!(p->flags & PLAN_SECCOMP_LISTENER))
        return 0;
    __atomic_store_n(&k->shared->listener, (int)fd + 1, __ATOMIC_RELEASE);
    if (!k->ahead) /* else whom it is about is not born yet */
        child_await_listener(k);
    return 0;
}
