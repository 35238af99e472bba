// SPDX-License-Identifier: Apache-2.0
/*
 * zlayer-shim holds one container: it carries out the plan that the agent made, keeps the
 * container's streams, log and exit record, serves its control socket, and outlives the agent.
 *
 *   NEW --create--> CREATED --start--> RUNNING --first process ended--> EXITED --forget--> gone
 *
 * requests.c has the table of what may be asked in which phase, container.c the phases, forget.c
 * the last of them, exec.c the further processes, life.c the process. One thread, one loop; nothing
 * here blocks but the start itself. zlayer-wasm has the same monitor for its guests, with a first
 * process of another kind.
 */
#ifndef ZL_SHIM_SHIM_H
#define ZL_SHIM_SHIM_H

#include "monitor/logfile.h"
#include "monitor/loop.h"
#include "monitor/server.h"
#include "monitor/streams.h"
#include "sandbox/carry/carry.h"

enum {
    SHIM_WAITERS_MAX = 64,
    SHIM_EXECS_MAX = 16,
    SHIM_EXECS_KEPT =
        4, /* beyond those, for what captures: users cannot keep health from being asked */
    SHIM_ATTACH_FIRST_MS = 30 * 1000,
    SHIM_DRAIN_MS = 500,       /* for output that others still have the other end of */
    SHIM_LINGER_MS = 5 * 1000, /* for clients that have not taken all output */
    SHIM_OOM_LATER_MS = 20,
    SHIM_SETTLE_LATER_MS = 50,
    SHIM_MOUNTS_LATER_MS = 5, /* by then who removes what has ended has asked for it */
    SHIM_EXEC_UNUSED_MS = 60 * 1000,
    SHIM_UNWANTED_MS = 1000, /* before the first look whether anybody can still come; doubled */
    SHIM_UNWANTED_MAX_MS = 60 * 1000,
};

struct exec;
struct shim;

/* A first process that is not what the plan would execute. */
struct shim_guest {
    const char *process_name; /* of the monitor */
    size_t n_fds;             /* how many of the plan's descriptors are for it */
    const char *no_exec;      /* why nothing else can be executed in it */
    /* Everything of the plan is made. On failure it is taken back. */
    int (*created)(struct shim *s, struct zl_error *err);
    /* Instead of carry_start(). */
    int (*start)(struct shim *s, const struct carry_start *how, struct carry_proc *ret,
                 struct zl_error *err);
    /* It was reaped; its exit is about to be recorded and may be amended. */
    void (*ended)(struct shim *s);
    /* It runs: what only this kind knows of it is filled in. */
    void (*state)(const struct shim *s, struct mon_state *ret);
};

/* Of a terminal, when neither the request nor the plan says it: 24 rows, 80 columns. */
static inline uint16_t size_or(uint16_t asked, uint16_t planned, uint16_t otherwise)
{
    return asked ? asked : planned ? planned : otherwise;
}

/* A sealed memfd, mapped. */
struct mapping {
    const void *bytes;
    size_t size;
};

struct shim {
    const struct shim_guest *guest; /* NULL: a container's process */
    void *guest_arg;
    int *kept_fds; /* beside the control socket: what the guest's kind needs */
    size_t n_kept_fds;

    struct loop loop;
    struct server *server;
    struct loop_source children; /* SIGCHLD by signalfd */
    int children_fd;
    /* A new network namespace takes a tenth of a start: it is made before anybody waits for it. */
    bool in_network;
    int host_network_fd; /* to get back; -1 once CREATE was there */
    int sysfs_fd;        /* the superblock of sysfs in it, until the start; -1: none */

    enum mon_phase phase;
    struct mon_create create;
    int run_fd, state_fd; /* c/<id>, containers/<id> */
    struct mapping plan;
    int plan_fds[ZL_MSG_FDS];
    size_t n_plan_fds;
    struct carry *carry;
    struct logfile *log; /* NULL: none */
    struct streams *streams;

    struct carry_proc init;
    int mounts_fd; /* its mount namespace, with MON_CREATE_MOUNTS_LATE until after the end; -1 */
    uint64_t init_start; /* field 22 of /proc/PID/stat */
    bool paused;
    bool init_ended; /* reaped; EXITED follows when its output has been read */
    struct mon_exit exit;
    struct loop_source oom;
    struct loop_timer oom_timer;
    uint64_t oom_kills; /* told by events */

    struct server_ticket start_ticket; /* waits for the first attach client */
    struct server_ticket forget_ticket;
    bool forgetting, forgotten; /* forgotten: only clients that have not taken all are left */
    struct server_ticket waiters[SHIM_WAITERS_MAX];
    size_t n_waiters;
    struct loop_timer settle_timer, attach_timer, stop_timer, drain_timer, linger_timer,
        mounts_timer, unwanted_timer;
    uint64_t unwanted_ms;

    struct exec *execs;
    size_t n_execs;
    uint64_t last_exec_id;
};

#define SHIM_NEW                                                                                   \
    {                                                                                              \
        .loop.epoll_fd = -1, .children_fd = -1, .host_network_fd = -1, .sysfs_fd = -1,             \
        .run_fd = -1, .state_fd = -1, .init.pidfd = -1, .mounts_fd = -1                            \
    }
/* life.c: from the control socket, descriptor 3, to the end. */
int shim_live(struct shim *s, struct zl_error *err);

/* mapping.c */
int mapping_open(int memfd, struct mapping *ret, struct zl_error *err); /* INVALID: not sealed */
void mapping_close(struct mapping *m);

/* container.c: each is a request's act; tickets that are kept are answered later. */
int container_create(struct shim *s, struct server_request *rq, struct zl_error *err);
int container_start(struct shim *s, struct server_request *rq, struct zl_error *err);
int container_attach(struct shim *s, int *ret_fd, struct zl_error *err);
int container_resize(struct shim *s, uint16_t rows, uint16_t cols, struct zl_error *err);
int container_stop(struct shim *s, struct server_request *rq, struct zl_error *err);
int container_signal(struct shim *s, int signal, struct zl_error *err);
int container_kill(struct shim *s, struct zl_error *err); /* SIGKILL to all of it */
int container_pause(struct shim *s, bool pause, struct zl_error *err);
int container_update(struct shim *s, int memfd, struct zl_error *err);
int container_wait(struct shim *s, struct server_request *rq, struct zl_error *err);
void container_state(struct shim *s, struct mon_state *ret);
/* A child ended: true when it was the first process. */
bool container_reaped(struct shim *s, pid_t pid, int code, int signal);
void container_done(struct shim *s); /* lets go of everything, touches nothing that was made */

/* forget.c */
int container_forget(struct shim *s, struct server_request *rq, struct zl_error *err);
/* What was asked for while it ran; the phase is EXITED now, or was never RUNNING. */
void container_forget_if_asked(struct shim *s);
/* To be called when a connection has ended, and when the container has: without either, the monitor
 * ends once its run directory is gone, which alone leads to it. */
void container_may_be_unwanted(struct shim *s);
/* Ends the loop when the container is forgotten and no client waits for anything. */
bool container_end_if_quiet(struct shim *s);

/* oom.c */
void oom_watch(struct shim *s); /* from now on; may fail, the exit tells of it as well */
void oom_unwatch(struct shim *s);
bool oom_tell(struct shim *s); /* what was killed since the last time; false: nothing */

/* exec.c */
int exec_make(struct shim *s, struct server_request *rq, uint64_t *ret_id, struct zl_error *err);
int exec_start(struct shim *s, uint64_t id, struct server_request *rq, struct zl_error *err);
int exec_signal(struct shim *s, uint64_t id, int signal, struct zl_error *err);
int exec_resize(struct shim *s, uint64_t id, uint16_t rows, uint16_t cols, struct zl_error *err);
int exec_let_go(struct shim *s, uint64_t id, struct zl_error *err);
int exec_stdin(struct shim *s, uint64_t id, struct streams **ret, struct zl_error *err);
bool exec_reaped(struct shim *s, pid_t pid, int code, int signal);
void exec_drop_unused(struct shim *s); /* those that were made and not started */
void exec_done_all(struct shim *s);

/* requests.c */
extern const struct server_row shim_rows[];
extern const size_t shim_n_rows;

/* killtree.c: SIGKILL to a process, its session and its descendants. */
void kill_tree(pid_t pid);

/* belong.c: the monitor's own place: cgroup of the monitors, oom_score_adj. Best effort. */
void belong_to_monitors(const struct plan *plan);

#endif
