// SPDX-License-Identifier: Apache-2.0
/*
 * Inside carry/: the child between clone and exec. It may share its memory with the parent
 * (CLONE_VM), so everything here is async-signal-safe, allocates nothing and leaves the parent's
 * objects alone: what it writes to are `struct child` and `struct shared`, made for it.
 */
#ifndef ZL_SANDBOX_CARRY_CHILD_H
#define ZL_SANDBOX_CARRY_CHILD_H

#include "sandbox/carry/carry.h"

/* What can go wrong, and what a trace is made of; the words are in step.c. */
enum step {
    STEP_NONE,
    STEP_CGROUP_JOIN,
    STEP_NS_JOIN,
    STEP_USER_NS,
    STEP_TIME_NS,
    STEP_CGROUP_NS,
    STEP_SESSION,
    STEP_LOOPBACK,
    STEP_SYSCTL,
    STEP_HOSTNAME,
    STEP_DOMAINNAME,
    STEP_OOM_ADJ,
    STEP_PROPAGATION,
    STEP_LAYER,
    STEP_ROOT,
    STEP_HOOKS,
    STEP_TARGET,
    STEP_MOUNT,
    STEP_COPY_UP,
    STEP_DEVICE,
    STEP_LINK,
    STEP_TERMINAL,
    STEP_LATE_MOUNT,
    STEP_READONLY,
    STEP_MASK,
    STEP_PIVOT,
    STEP_KEYRING,
    STEP_RLIMIT,
    STEP_SCHEDULER,
    STEP_IO_PRIORITY,
    STEP_CPUS,
    STEP_PERSONALITY,
    STEP_LABEL,
    STEP_CWD,
    STEP_STDIO,
    STEP_BOUNDING,
    STEP_GROUPS,
    STEP_USER,
    STEP_CAPABILITIES,
    STEP_NO_NEW_PRIVS,
    STEP_SECCOMP,
    STEP_UNBIND,
    STEP_FIND,
    STEP_GATE,
    STEP_EXEC,
    STEPS
};

enum { OBJECT_MAX = 512, STACK_SIZE = 512 * 1024 };

struct report { /* why the child ended; step is STEP_NONE while it did not */
    int32_t step, errnum;
    char object[OBJECT_MAX], source[OBJECT_MAX]; /* "mount 'source' on 'object'" */
};

struct shared { /* in memory that both processes see, whether or not they share the rest; with a
                 * gate also in a file, and no syscall is needed to tell: a filter may forbid it */
    struct report report;
    uint64_t spent_ns[STEPS]; /* ZLAYER_TRACE=start */
    int32_t listener;         /* 1 + the child's descriptor of its seccomp filter; 0: none yet */
    int32_t taken;            /* the parent has it */
    int32_t executing;        /* the child had nothing left to do but its exec */
    int32_t pid;              /* of the child, when somebody between us made it; 0: nobody could */
};

struct child {
    const struct plan *plan; /* NULL: exec into a running container */
    const void *base;        /* what texts are relative to: the plan or the exec plan */
    const struct plan_process *process;
    char *const *argv, *const *envp;
    const struct carry_start *how;
    struct shared *shared;
    const int *plan_fds;
    const int *tasks; /* open cgroup files; "0" goes into each */
    size_t n_tasks;
    const int *joins; /* namespaces by fd, in the order of plan->joins; a pid namespace is -1 */
    const int *trees; /* of plan->mounts: what is bound, detached and perhaps mapped; -1: by path */
    uint32_t enter;   /* exec: CLONE_NEW… that are the container's, but for user and PID */
    uint32_t joined;  /* CLONE_NEW… that whoever made the child is in already */
    int chroot_fd;    /* exec: the container's root, where its mount namespace has another; -1 */
    int init_fd;      /* exec: pidfd of the container's first process */
    uint32_t namespaces; /* CLONE_NEW… that clone made */
    int sync;            /* seqpacket to the parent, which waits for a byte; -1: vfork */
    int parents_end;     /* of that socket: the child closes it, so that its parent's end shows */
    bool dumpable;       /* false: PR_SET_DUMPABLE 0, for who lives among others */
    bool ahead; /* all but the last steps were gone by who made us, out of the container's sight */
    bool tracing;
    char *const *init_argv; /* of the container's own process 1; NULL: the command is executed */
    int init_exe, init_report;

    /* the child's own, as it goes */
    uint64_t last_ns;
    int root_fd;
    int null_fd;
    int label_fd;    /* of /proc/self/attr */
    int slave_fd;    /* of the terminal */
    int mask_fd;     /* the first masked directory: an empty tmpfs */
    const char *dir; /* the last folder that a device or link was made in; of dir_len bytes, */
    size_t dir_len;
    int dir_fd; /* and open */
};

/* The whole way, up to exec; ends the process when that fails. */
_Noreturn void child_run(struct child *k);
/* exec: the way to where no right is left that the container has not. Who went it makes the process
 * that executes the command. -1 with the report filled. */
int child_go_ahead(struct child *k);

/* Fills the report from errno; object and source are texts or NULL. Returns -1. */
int child_fail(struct child *k, enum step step, const char *object, const char *source);
/* Into the cgroups of v1. "0" means the writing thread: unlike moving another process it waits for
 * nobody, and who is alone in its process spares the kernel a grace period. -1 and errno. */
int child_join_tasks(const struct child *k);

/* Tells the parent that we are this far, and waits for its answer when one is asked for. */
int child_meet_parent(struct child *k, enum step step, bool wait);

/* oom_score_adj of the caller, as process says. -1 and errno. */
int child_set_oom_adj(const struct plan_process *process, char out[12]);

/* "/proc/self/fd/<fd>", for calls that take a path only. */
enum { FD_PATH_SIZE = 32 };
const char *child_fd_path(int fd, char out[FD_PATH_SIZE]);
/* One write(2) of text into an existing file; -1 and errno. */
int child_write_file(const char *path, const char *text);

/* rootfs.c: each -1 with the report filled */
int child_root(struct child *k);
int child_mask(struct child *k);
int child_readonly(struct child *k);
int child_pivot(struct child *k);

/* mounts.c: -1 with the report filled */
int child_mounts(struct child *k);
int child_late_mounts(struct child *k);
/* Puts a detached mount onto a target. -1 and errno, no report. */
int child_attach(int tree_fd, int target_fd);

/* target.c: an O_PATH descriptor of path in the root; of child_target it is made if missing, of
 * child_plain_target there is no link in its way. -1 and errno, no report. */
int child_open(struct child *k, const char *path, int flags);
int child_target(struct child *k, const char *path, bool directory);
int child_plain_target(struct child *k, const char *path);
enum { CHILD_PATH_RESOLVE = 0x10 | 0x02 /* RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS */ };

/* copy.c: all that is in one folder into another that is empty; with `itself` also what the folder
 * itself is (owner, mode, …). Both may be O_PATH. -1 and errno, no report. */
int child_copy_tree(int from, int to, bool itself);

/* device.c */
int child_devices(struct child *k);
int child_links(struct child *k);

/* terminal.c */
int child_terminal(struct child *k);
int child_stdio(struct child *k);

/* identity.c */
int child_keyring(struct child *k);
int child_rlimits(struct child *k);
int child_bounding(struct child *k);
int child_user(struct child *k);
int child_capabilities(struct child *k);
int child_seccomp(struct child *k);
void child_await_listener(struct child *k); /* until the parent has it */

/* filter.c: whether who has this seccomp filter may still make a process by clone(2), as a child of
 * its own parent. base is what the plan's tables are relative to. */
bool filter_allows_birth(const void *base, const struct plan_process *p);

/* scheduling.c */
int child_scheduling(struct child *k);

/* userns.c, the child's side */
int child_user_ns(struct child *k);     /* waits until the parent wrote the maps */
int child_become_root(struct child *k); /* id 0 of its user namespace; without one nothing */
int child_time_ns(struct child *k);

/* label.c */
int child_open_label(struct child *k); /* while the host's /proc is in reach */
int child_label(struct child *k);

/* command.c */
int child_find(struct child *k);
int child_exec(struct child *k);
/* The program that starts the command (plan.init): its report goes out of descriptor 3. */
int child_exec_init(struct child *k);

#endif
