// SPDX-License-Identifier: Apache-2.0
/* The words for steps: a report of the child becomes an error that tells the story. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/carry/spawn.h"

/* clang-format off */
static const struct {
    const char *act;   /* "mount" */
    const char *joint; /* between source and object: " on " */
} words[STEPS] = {
    [STEP_NONE]         = { "clone", "" },
    [STEP_CGROUP_JOIN]  = { "join the container's cgroup", "" },
    [STEP_NS_JOIN]      = { "join namespace", "" },
    [STEP_USER_NS]      = { "enter the user namespace", "" },
    [STEP_TIME_NS]      = { "make a time namespace", "" },
    [STEP_CGROUP_NS]    = { "make a cgroup namespace", "" },
    [STEP_SESSION]      = { "begin a session", "" },
    [STEP_LOOPBACK]     = { "bring up the loopback interface", "" },
    [STEP_SYSCTL]       = { "set sysctl", "" },
    [STEP_HOSTNAME]     = { "set hostname", "" },
    [STEP_DOMAINNAME]   = { "set domain name", "" },
    [STEP_OOM_ADJ]      = { "set oom_score_adj", "" },
    [STEP_PROPAGATION]  = { "set mount propagation of", "" },
    [STEP_LAYER]        = { "open a layer of the root file system", "" },
    [STEP_ROOT]         = { "mount the root file system", " on " },
    [STEP_HOOKS]        = { "wait for hooks", "" },
    [STEP_TARGET]       = { "make mount target", "" },
    [STEP_MOUNT]        = { "mount", " on " },
    [STEP_COPY_UP]      = { "copy what is covered into", "" },
    [STEP_DEVICE]       = { "make device", "" },
    [STEP_LINK]         = { "make link", "" },
    [STEP_TERMINAL]     = { "set up terminal", "" },
    [STEP_LATE_MOUNT]   = { "change the mount", " on " },
    [STEP_READONLY]     = { "make read-only", "" },
    [STEP_MASK]         = { "mask", "" },
    [STEP_PIVOT]        = { "change to the container's root", "" },
    [STEP_RLIMIT]       = { "set resource limit", "" },
    [STEP_KEYRING]      = { "join session keyring", "" },
    [STEP_SCHEDULER]    = { "set the scheduler", "" },
    [STEP_IO_PRIORITY]  = { "set the I/O priority", "" },
    [STEP_CPUS]         = { "set the CPU affinity", "" },
    [STEP_PERSONALITY]  = { "set the personality", "" },
    [STEP_LABEL]        = { "apply the security label", "" },
    [STEP_CWD]          = { "enter working directory", "" },
    [STEP_STDIO]        = { "set up standard input and output", "" },
    [STEP_BOUNDING]     = { "drop capabilities from the bounding set", "" },
    [STEP_GROUPS]       = { "set groups", "" },
    [STEP_USER]         = { "set user", "" },
    [STEP_CAPABILITIES] = { "set capabilities", "" },
    [STEP_NO_NEW_PRIVS] = { "set no_new_privs", "" },
    [STEP_SECCOMP]      = { "load the seccomp filter", "" },
    [STEP_UNBIND]       = { "suspend the seccomp filter of who joins", "" },
    [STEP_FIND]         = { "look for the command", "" },
    [STEP_GATE]         = { "wait for start", "" },
    [STEP_EXEC]         = { "execute", "" },
};
/* clang-format on */

/* Of a command that is not there, or is no command; anything else is a system's failure. */
static enum zl_err_kind kind_of(const struct report *r)
{
    if (r->step != STEP_EXEC)
        return ZL_ERR_SYSTEM;
    switch (r->errnum) {
    case ENOENT:
    case ENOTDIR:
        return ZL_ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case ENOEXEC:
    case EISDIR:
    case ELIBBAD:
        return ZL_ERR_DENIED;
    default:
        return ZL_ERR_SYSTEM;
    }
}

int step_error(const struct report *r, struct zl_error *err)
{
    const char *act = r->step > 0 && r->step < STEPS ? words[r->step].act : "start";
    const char *joint = r->step > 0 && r->step < STEPS ? words[r->step].joint : "";

    errno = r->errnum;
    if (r->step == STEP_EXEC && errno == ENOENT && r->object[0] && !strchr(r->object, '/'))
        /* the words that engines look for, too */
        (void)zl_fail(err, ZL_ERR_NOT_FOUND, "execute '%s': executable file not found in $PATH",
                      r->object);
    else if (r->source[0])
        (void)zl_fail_errno(err, "%s '%s'%s'%s'", act, r->source, joint, r->object);
    else if (r->object[0])
        (void)zl_fail_errno(err, "%s '%s'", act, r->object);
    else
        (void)zl_fail_errno(err, "%s", act);
    if (err)
        err->kind = kind_of(r);
    return -1;
}

int carry_read_report(const void *bytes, size_t n, struct zl_error *err)
{
    struct report r;

    if (n != sizeof r)
        return zl_fail(err, ZL_ERR_PROTOCOL, "read the report of a start: it is torn");
    memcpy(&r, bytes, sizeof r);
    r.object[OBJECT_MAX - 1] = r.source[OBJECT_MAX - 1] = '\0';
    return step_error(&r, err);
}

int carry_read_outcome(int outcome, struct zl_error *err)
{
    struct shared s;
    ssize_t n = pread(outcome, &s, sizeof s, 0);

    if (n < 0)
        return zl_fail_errno(err, "read the outcome of a start");
    if (n != (ssize_t)sizeof s)
        return zl_fail(err, ZL_ERR_PROTOCOL, "read the outcome of a start: it is torn");
    if (s.report.step != STEP_NONE)
        return carry_read_report(&s.report, sizeof s.report, err);
    return s.executing ? 0
                       : zl_fail(err, ZL_ERR_SYSTEM,
                                 "start the container's first process: it was ended before its "
                                 "command was executed, by a signal or its own seccomp filter");
}

void step_print_trace(const struct shared *s)
{
    uint64_t sum = 0;

    for (int i = 1; i < STEPS; i++) {
        if (s->spent_ns[i])
            (void)fprintf(stderr, "trace start %8.1f us  %s\n", (double)s->spent_ns[i] / 1000,
                          words[i].act);
        sum += s->spent_ns[i];
    }
    (void)fprintf(stderr, "trace start %8.1f us  in all, from clone to exec\n", (double)sum / 1000);
}
