// SPDX-License-Identifier: Apache-2.0
/*
 * Carrying out a plan (sandbox/plan.h): the system calls that make, start, join and end one
 * container. libc only, no parser; linked by zlayer-shim (musl, static) and zlayer-oci. Errors name
 * the step and its object: "mount '/proc' on '/proc': Operation not permitted". Not thread-safe;
 * the process that calls it must be single-threaded.
 */
#ifndef ZL_SANDBOX_CARRY_H
#define ZL_SANDBOX_CARRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "sandbox/plan.h"

struct carry;

struct carry_proc {
    pid_t pid; /* in the caller's PID namespace; 0 when there is none */
    int pidfd; /* the caller's to close */
};

struct carry_sub {          /* a cgroup below the container's, which is there */
    const char *controller; /* v1: of which hierarchy; NULL: of each */
    const char *path;       /* below the container's own; a leading '/' means nothing */
};

struct carry_start {
    int stdio[3];       /* what becomes 0, 1, 2; -1: /dev/null. Ignored with a terminal */
    int console_socket; /* terminal: a connected AF_UNIX socket that receives the pty's master
                         * (SCM_RIGHTS), as runc's --console-socket; -1: none */
    uint16_t rows, cols;
    /*
     * -1: one piece, CLONE_VM|CLONE_VFORK, returns when exec happened (the fast path). Otherwise
     * the child sets everything up, the call returns, and exec happens when gate becomes readable
     * (`zlayer-oci create` … `start`).
     */
    int gate;
    int report; /* with gate: where a failing exec is told to whoever opened the gate, who hands the
                 * bytes to carry_read_report(); its end is the exec, or the child's end */
    int outcome; /* with gate: a file of CARRY_OUTCOME_SIZE zero bytes, which tells what the end of
                  * the report was: carry_read_outcome(); -1: nobody asks */
    unsigned preserve_fds; /* descriptors 3 … 2 + n stay open in the container */
    /* with gate: called when all is mounted, before the container's root becomes "/" (hooks);
     * -1 and *err: the start fails. NULL: nothing to do then */
    int (*before_pivot)(void *arg, const struct carry_proc *proc, struct zl_error *err);
    void *before_pivot_arg;
    /*
     * Called when the process's seccomp filter asks somebody (PLAN_SECCOMP_LISTENER) and is loaded:
     * seccomp_fd is where the questions come out (seccomp_unotify(2)), borrowed. The process goes
     * on meanwhile, and may stand still until its first question is answered. -1 and *err: the
     * start fails. NULL: a process with such a filter is refused.
     */
    int (*on_listener)(void *arg, const struct carry_proc *proc, int seccomp_fd,
                       struct zl_error *err);
    void *on_listener_arg;
    const struct carry_sub *subs; /* carry_exec: where in the container's cgroups it is born */
    size_t n_subs;
};

/* plan is borrowed; fds are the descriptors the plan counts as its own (borrowed as well). */
int carry_new(const struct plan *plan, const int *fds, size_t n_fds, struct carry **ret,
              struct zl_error *err);
void carry_free(struct carry *c); /* lets go; touches nothing that was made */
ZL_DEFINE_CLEANUP(struct carry *, carry_free)
#define autocarry ZL_CLEANUP(carry_freep)

enum carry_network {                    /* where the plan asks for a new network namespace */
                     CARRY_NET_CHILD,   /* the first process gets one of its own */
                     CARRY_NET_OWN,     /* the calling process makes one and lives in it; its child
                                           inherits it */
                     CARRY_NET_ENTERED, /* the calling process lives in a fresh one:
                                           carry_enter_network() */
};
/* Makes cgroups and their limits, and the network namespace with lo up. On failure everything made
 * is removed again, and so is a cgroup that was found without a process in it. */
int carry_prepare(struct carry *c, enum carry_network network, struct zl_error *err);
/* Moves the calling process into a new network namespace and brings lo up. */
int carry_enter_network(struct zl_error *err);
/* Writes the limits once more: somebody else wrote others meanwhile (systemd). */
int carry_limit(struct carry *c, struct zl_error *err);
/*
 * Starts the first process. kind of the error: ZL_ERR_NOT_FOUND when the command does not exist,
 * ZL_ERR_DENIED when it cannot be executed (a directory, no x bit, wrong format), else SYSTEM …
 */
int carry_start(struct carry *c, const struct carry_start *how, struct carry_proc *ret,
                struct zl_error *err);
/* Runs a further process in the container of `init`, a pidfd of its first process (not the number,
 * which may be another's by now), with the exec plan x. Forks, never shares memory: whoever is in
 * there could ptrace it. Same error kinds. */
int carry_exec(struct carry *c, int init, const struct plan_exec *x, const struct carry_start *how,
               struct carry_proc *ret, struct zl_error *err);

/*
 * Forks the calling process into the container's cgroups, for a first process that need not be
 * executed: child(arg, failed) runs in the copy and does not return; failed is 0, or the errno of
 * joining a cgroup. All other descriptors, namespaces and rights are its caller's still. The caller
 * has one thread.
 */
int carry_fork(struct carry *c, void (*child)(void *arg, int failed), void *arg,
               struct carry_proc *ret, struct zl_error *err);

/* What came over carry_start.report: fills *err and returns -1. */
int carry_read_report(const void *bytes, size_t n, struct zl_error *err);
/* When the report has ended: 0 when the child came to its exec; -1 and *err when it ended before,
 * killed by somebody or by its own seccomp filter. The descriptor is carry_start.outcome's file. */
enum { CARRY_OUTCOME_SIZE = 8192 };
int carry_read_outcome(int outcome, struct zl_error *err);

int carry_kill_all(struct carry *c, int signal,
                   struct zl_error *err); /* every process of its cgroup */
bool carry_is_empty(struct carry *c);     /* no process left in its cgroup */
/* How many processes the OOM killer ended, and then the peak of memory (0: none, or not known). */
int carry_oom_kills(struct carry *c, uint64_t *ret_kills, uint64_t *ret_peak, struct zl_error *err);
/* A pollable fd that tells of memory events (v2: memory.events, v1: eventfd), or -1. Borrowed. */
int carry_oom_fd(struct carry *c);

/* ---- while it lives; also on a container that another process started ---- */

/*
 * New limits (plan_update_build): all of them, or an error and the old ones. What a file held is
 * put back where that is one line of at most 511 bytes; limits by device, memory.oom_control of v1
 * and device rules (which come last) stay as far as they were set. CONFLICT: more memory is used
 * than allowed from now on, and that was to be checked.
 */
int carry_update(struct carry *c, const struct plan_update *u, struct zl_error *err);
/* Stops all processes, or lets them go on. Returns when it is so; TIMEOUT when that takes more than
 * 10 s: then none is stopped. Also when it is so already. */
int carry_freeze(struct carry *c, bool frozen, struct zl_error *err);
int carry_is_frozen(struct carry *c, bool *ret, struct zl_error *err);
/* Its processes, in the caller's PID namespace, ascending; *ret is the caller's to free. */
int carry_pids(struct carry *c, pid_t **ret, size_t *ret_n, struct zl_error *err);
/* What its cgroups count (sandbox/stats.h); ret is the caller's to end with cgroup_stats_done(). */
struct cgroup_stats;
int carry_stats(struct carry *c, struct cgroup_stats *ret, struct zl_error *err);

/* Kills what is left and removes the cgroups. Missing ones are fine: may be called again, and on
 * a container that another process prepared. */
int carry_remove(struct carry *c, struct zl_error *err);

#endif
