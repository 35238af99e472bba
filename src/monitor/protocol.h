// SPDX-License-Identifier: Apache-2.0
/*
 * The messages between a monitor (zlayer-shim, one per container; later zlayer-wasm) and whoever
 * talks to it: the agent, the command line, an older or newer version of either. docs/protocol.md
 * is the same in words. A connection is AF_UNIX SOCK_SEQPACKET, packets as in base/msg.h. Fields
 * are only appended, numbers never reused; an unknown type is answered by MON_ERROR (UNSUPPORTED).
 *
 * The first message of a connection is MON_HELLO. A peer with the monitor's own uid, or root, may
 * ask anything; others need a token of MON_GRANT and may do only what it was granted for.
 * Every request is answered once, by its own type or by MON_ERROR, with the op of the request.
 */
#ifndef ZL_MONITOR_PROTOCOL_H
#define ZL_MONITOR_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

enum {
    MON_VERSION = 1,
    MON_TOKEN_LEN = 32, /* hexadecimal digits: 128 random bits */
    MON_TEXT_MAX = 1024,
    MON_ANSWER_MAX = 16384, /* no answer or event is longer, of any version */
};

enum mon_type {
    MON_ERROR = 1,    /* answer: struct mon_error */
    MON_HELLO = 2,    /* struct mon_hello; answered by struct mon_state */
    MON_CREATE = 3,   /* struct mon_create + fds: plan, dirs, then the plan's own */
    MON_START = 4,    /* struct mon_start; answered by struct mon_started when exec happened */
    MON_SIGNAL = 5,   /* struct mon_signal; empty answer */
    MON_KILL_ALL = 6, /* SIGKILL to every process of the container; empty answer */
    MON_STOP = 7,     /* struct mon_stop; answered when the container has ended: struct mon_exit */
    MON_ATTACH = 8,   /* empty; answered with one fd, see below */
    MON_EXEC = 9,     /* struct mon_exec + fds: exec plan; answered by struct mon_exec_made */
    MON_EXEC_START = 10, /* struct mon_exec_ref; answered with one fd, see below, or with struct
                          * mon_exec_done at the end of one that captures */
    MON_RESIZE = 11,     /* struct mon_resize, also before the start; empty answer */
    MON_SOCKET = 12, /* struct mon_socket; answered with one fd: a socket born in the container's
                      * network namespace, not connected */
    MON_GRANT = 13,  /* struct mon_grant: makes a one-use token valid; empty answer */
    MON_STATE = 14,  /* empty; answered by struct mon_state */
    MON_FORGET = 15, /* frees all, deletes the run directory and ends the monitor; empty answer */
    MON_WAIT = 16,   /* empty; answered by struct mon_exit, at once when it has ended already */
    MON_PAUSE = 17,  /* struct mon_pause; empty answer when all of its processes stand or go on */
    MON_UPDATE = 18, /* fd: struct plan_update (memfd, sealed); empty answer when it is in force */
    MON_STDIN = 19,  /* struct mon_stdin and the bytes; answered by struct mon_taken */
    MON_DETACH =
        20, /* struct mon_detach: its clients may leave, and nothing ends by that; empty answer */
    MON_EV_EXIT = 256, /* event, to connections that said want_events: struct mon_exit */
    MON_EV_OOM = 257,  /* event: empty */
};

/*
 * The fd of MON_ATTACH and MON_EXEC_START is a SOCK_STREAM socket. Down: frames as Docker's attach,
 * {u8 stream, 0, 0, 0, u32 length big-endian} and the bytes; stream 1 stdout, 2 stderr (a terminal
 * has 1 only), and last MON_STREAM_EXIT with a struct mon_exit. Up: the bytes of stdin, shut down
 * for end-of-file; ignored unless the container (or exec) has stdin open.
 */
enum { MON_STREAM_STDOUT = 1, MON_STREAM_STDERR = 2, MON_STREAM_EXIT = 3, MON_FRAME_HEAD = 8 };

struct mon_error {
    uint32_t kind; /* enum zl_err_kind */
    int32_t errnum;
    char text[MON_TEXT_MAX]; /* NUL-terminated; sent as far as it goes */
};

struct mon_hello {
    uint32_t want_events;      /* 1: send MON_EV_… on this connection */
    char token[MON_TOKEN_LEN]; /* zeros: by peer credentials */
};

enum mon_phase {
    MON_PHASE_NEW = 0,
    MON_PHASE_CREATED = 1,
    MON_PHASE_RUNNING = 2,
    MON_PHASE_EXITED = 3
};

enum mon_why { /* what code and signal do not tell */
               MON_WHY_UNSAID = 0,
               MON_WHY_TIMEOUT = 1, /* it ran longer than it may */
               MON_WHY_TRAP = 2,    /* a WebAssembly guest broke a rule: text in trap.txt */
               MON_WHY_BROKEN = 3,  /* it could not be entered: text in trap.txt */
};

struct mon_exit {   /* lies inside other bodies: it stays as it is */
    int32_t code;   /* 0-255, 128 + signal */
    int32_t signal; /* 0: by itself */
    uint32_t oom;   /* 1: the kernel's OOM killer ended a process of it */
    uint32_t why;   /* enum mon_why */
    int64_t started_wall_ns, finished_wall_ns;
    uint64_t oom_peak_bytes; /* 0: not known */
};

struct mon_state {
    uint32_t phase;
    int32_t pid;        /* of the first process, 0: none */
    uint64_t pid_start; /* field 22 of /proc/PID/stat */
    int64_t started_wall_ns;
    struct mon_exit exit;    /* when MON_PHASE_EXITED */
    uint64_t log_bytes_lost; /* output that could not be written (full disk) */
    int32_t monitor_pid;     /* as the monitor sees itself */
    uint32_t create_flags;   /* of the MON_CREATE */
    uint32_t paused;         /* 1: RUNNING, but by MON_PAUSE all of its processes stand */
    uint32_t pad;
    uint64_t linear_bytes; /* RUNNING, a WebAssembly guest: of its memories; 0: not known */
};

/* Bits of mon_create.flags */
enum {
    MON_CREATE_TTY = 1,          /* a pty instead of pipes */
    MON_CREATE_STDIN = 2,        /* stdin is fed by attach clients; else /dev/null */
    MON_CREATE_ATTACH_FIRST = 4, /* MON_START waits until a client attached, at most 30 s */
    MON_CREATE_DURABLE_EXIT = 8, /* the exit record is written to the state directory too, synced */
    MON_CREATE_NO_LOG = 16,
    MON_CREATE_MOUNTS_LATE = 64, /* what it has mounted is nobody else's: who waits for its end does
                                  * not wait until that is unmounted */
    MON_EXEC_KEEP = 32, /* exec only: it goes on when its client leaves; else it is killed */
};

/*
 * fds, in this order: [0] the plan (memfd, sealed), [1] the run directory c/<id>, [2] the state
 * directory containers/<id>, [3] the log directory (absent with NO_LOG), then those that the plan
 * counts as its own (layers, …). The monitor binds `ctl` in the run directory and answers when the
 * container is created: cgroups made and limited, network namespace made and lo up.
 */
struct mon_create {
    uint32_t flags;
    uint32_t n_plan_fds;
    char id[16];
    char log_name[256];     /* file name in the log directory, "default-1.log" */
    uint64_t log_max_bytes; /* total over all rotated files; 0: 30 MiB */
    int32_t stop_signal;    /* what MON_STOP sends when it names none */
    uint16_t rows, cols;    /* of the pty; 0: 24, 80 */
};

struct mon_start {
    uint32_t pad;
};
struct mon_started {
    int32_t pid;
    uint32_t pad;
    int64_t started_wall_ns;
};
struct mon_signal {
    int32_t signal;
    uint32_t pad;
    uint64_t exec_id; /* 0: the first process */
};
struct mon_stop {
    int32_t signal; /* 0: the create's */
    uint32_t pad;
    uint64_t grace_ms;
};
struct mon_exec {
    uint32_t flags; /* MON_CREATE_TTY, _STDIN; MON_EXEC_KEEP */
    uint16_t rows, cols;
    uint32_t capture; /* 1: keep the last 4 KiB of output, and answer MON_EXEC_START by struct
                       * mon_exec_done at the end instead of a stream: health commands */
    uint32_t pad;
    uint64_t timeout_ms; /* 0: none; kills its processes */
};
struct mon_exec_made {
    uint64_t exec_id;
};
struct mon_exec_ref {
    uint64_t exec_id; /* 0: the one that the token was granted for */
};
struct mon_exec_done {
    struct mon_exit exit;
    uint32_t timed_out;
    uint32_t length;
    char output[4096];
};
struct mon_resize {
    uint64_t exec_id; /* 0: the first process */
    uint16_t rows, cols;
    uint32_t pad;
};
struct mon_socket { /* AF_INET or AF_INET6, SOCK_STREAM or SOCK_DGRAM */
    int32_t domain, type, protocol;
};
struct mon_pause {
    uint32_t pause; /* 0: they go on */
    uint32_t pad;
};
struct mon_stdin {    /* bytes for stdin follow, as many as fit into the packet */
    uint64_t exec_id; /* 0: the first process */
    uint32_t end;     /* 1: end-of-file after them */
    uint32_t pad;
};
struct mon_detach {
    uint64_t exec_id; /* 0: the first process, or the granted exec */
};
struct mon_taken {
    uint64_t taken; /* of the bytes; fewer: it reads slowly, the rest may be sent again later */
};
enum { MON_GRANT_ATTACH = 1, MON_GRANT_EXEC = 2 };
struct mon_grant {
    char token[MON_TOKEN_LEN];
    uint32_t what;
    uint32_t pad;
    uint64_t exec_id;
};

/* Version 1. A struct that gets a new field is longer here; that a shorter one is still understood
 * is in the receiver's table (server_row.body_min), which keeps the number of version 1. */
_Static_assert(sizeof(struct mon_exit) == 40 && sizeof(struct mon_hello) == 36 &&
                   sizeof(struct mon_create) == 296 && offsetof(struct mon_state, paused) == 80 &&
                   sizeof(struct mon_signal) == 16 && sizeof(struct mon_stop) == 16 &&
                   sizeof(struct mon_exec) == 24 && sizeof(struct mon_grant) == 48,
               "the layout of version 1 must not change");

/* Names in the run directory and the state directory. */
#define MON_CTL "ctl"
#define MON_EXIT_RECORD "exit.json"

#endif
