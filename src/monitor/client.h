// SPDX-License-Identifier: Apache-2.0
/*
 * The other end of docs/protocol.md: what the agent and the command line use to talk to a monitor.
 * No event loop inside: the agent polls mon_client_fd() and calls mon_client_recv() until it says
 * EAGAIN; the command line uses the blocking calls at the end. Every request carries an `op` of the
 * caller's choice (not 0), which its one answer repeats; events have op 0. Not thread-safe.
 */
#ifndef ZL_MONITOR_CLIENT_H
#define ZL_MONITOR_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "monitor/protocol.h"
#include "monitor/wasm.h"

struct mon_client;

/*
 * Connects to MON_CTL in the run directory. ZL_ERR_UNREACHABLE when no monitor listens there: it is
 * dead (what it left is to be cleaned up by cgroup and run directory) or has not created yet. Any
 * other kind does not mean that: ZL_ERR_TIMEOUT, others crowd its backlog for 2 s (else it does not
 * wait). Says no hello. dir_fd stays the caller's.
 */
int mon_client_open(int dir_fd, struct mon_client **ret, struct zl_error *err);
/* The same for who must not wait at all: TIMEOUT as soon as the backlog is full. */
int mon_client_open_now(int dir_fd, struct mon_client **ret, struct zl_error *err);
/* As mon_client_open, by the path of the socket itself ("/run/zlayer/c/<id>/ctl"), of any length.
 */
int mon_client_open_path(const char *path, struct mon_client **ret, struct zl_error *err);
/* Takes over `sock`, the agent's end of the pair whose other end is fd 3 of a new zlayer-shim; on
 * failure it is closed. Such a connection may ask anything; hello is still its first message. */
int mon_client_adopt(int sock, struct mon_client **ret, struct zl_error *err);
void mon_client_free(struct mon_client *c); /* closes; the monitor and its container go on */
ZL_DEFINE_CLEANUP(struct mon_client *, mon_client_free)
#define auto_mon_client ZL_CLEANUP(mon_client_freep)

int mon_client_fd(const struct mon_client *c); /* borrowed; readable: call mon_client_recv */

/*
 * Requests. Each sends one packet at once and never blocks: -1 with EAGAIN in errnum when the
 * monitor has not read some hundred earlier ones (it is stopped or stuck; the caller gives up on
 * it), EPIPE or ECONNRESET when it is gone. Descriptors stay the caller's, who may close them as
 * soon as the call is back.
 */
/* token: MON_TOKEN_LEN bytes of a mon_grant, or NULL: by peer credentials. Answered by `state`. */
int mon_client_send_hello(struct mon_client *c, uint64_t op, bool want_events, const char *token,
                          struct zl_error *err);
/* fds in the order of protocol.h: plan, run directory, state directory, log directory, then
 * create->n_plan_fds of the plan's own. */
int mon_client_send_create(struct mon_client *c, uint64_t op, const struct mon_create *create,
                           const int *fds, size_t n_fds, struct zl_error *err);
int mon_client_send_start(struct mon_client *c, uint64_t op, struct zl_error *err); /* `started` */
/* exec_id 0: the first process of the container. */
int mon_client_send_signal(struct mon_client *c, uint64_t op, uint64_t exec_id, int signal,
                           struct zl_error *err);
int mon_client_send_kill_all(struct mon_client *c, uint64_t op, struct zl_error *err);
/* signal 0: the create's stop_signal. Answered by `exit` when every process is gone. */
int mon_client_send_stop(struct mon_client *c, uint64_t op, int signal, uint64_t grace_ms,
                         struct zl_error *err);
int mon_client_send_attach(struct mon_client *c, uint64_t op, struct zl_error *err); /* `fd` */
/* fds: the exec plan (a memfd). Answered by `exec_made`. */
int mon_client_send_exec(struct mon_client *c, uint64_t op, const struct mon_exec *exec,
                         const int *fds, size_t n_fds, struct zl_error *err);
/* Answered by `fd`, or by `exec_done` at the end of one that captures. exec_id 0: the granted one.
 */
int mon_client_send_exec_start(struct mon_client *c, uint64_t op, uint64_t exec_id,
                               struct zl_error *err);
int mon_client_send_resize(struct mon_client *c, uint64_t op, uint64_t exec_id, uint16_t rows,
                           uint16_t cols, struct zl_error *err);
/* As socket(2); answered by `fd`, non-blocking, close-on-exec, not connected. */
int mon_client_send_socket(struct mon_client *c, uint64_t op, int domain, int type, int protocol,
                           struct zl_error *err);
int mon_client_send_grant(struct mon_client *c, uint64_t op, const struct mon_grant *grant,
                          struct zl_error *err);
int mon_client_send_state(struct mon_client *c, uint64_t op, struct zl_error *err);
int mon_client_send_wait(struct mon_client *c, uint64_t op, struct zl_error *err); /* `exit` */
int mon_client_send_pause(struct mon_client *c, uint64_t op, bool pause, struct zl_error *err);
/* fd: struct plan_update, a sealed memfd. */
int mon_client_send_update(struct mon_client *c, uint64_t op, int fd, struct zl_error *err);
enum { MON_STDIN_MAX = 64 * 1024 }; /* bytes in one packet */
/* Answered by `taken`. end: end-of-file behind the bytes, when all of them were taken. */
int mon_client_send_stdin(struct mon_client *c, uint64_t op, uint64_t exec_id, const void *bytes,
                          size_t n, bool end, struct zl_error *err);
/* From now on the leaving of clients ends neither stdin nor the exec. */
int mon_client_send_detach(struct mon_client *c, uint64_t op, uint64_t exec_id,
                           struct zl_error *err);
int mon_client_send_forget(struct mon_client *c, uint64_t op, struct zl_error *err);

/* To the host of WebAssembly guests (monitor/wasm.h). bytes_fd: the module, a file; it stays the
 * caller's. Answered by `prepared`. */
int mon_client_send_wasm_prepare(struct mon_client *c, uint64_t op,
                                 const struct mon_wasm_module *module, int bytes_fd,
                                 struct zl_error *err);
/* Answered by `fd`: the connection to a new monitor, for mon_client_adopt. */
int mon_client_send_wasm_take(struct mon_client *c, uint64_t op,
                              const struct mon_wasm_module *module, struct zl_error *err);
int mon_client_send_wasm_end(struct mon_client *c, uint64_t op, struct zl_error *err);

/* One answer or event. */
struct mon_message {
    uint16_t type;       /* enum mon_type: the request's own, MON_ERROR or MON_EV_… */
    uint64_t op;         /* of the request; 0: an event */
    struct zl_error err; /* MON_ERROR: what the monitor said; otherwise kind is ZL_OK */
    int fd; /* MON_ATTACH, MON_EXEC_START, MON_SOCKET, MON_WASM_TAKE: the caller's to close; else -1
             */
    bool captured; /* MON_EXEC_START: exec_done is filled instead of fd */
    union {
        struct mon_state state;            /* MON_HELLO, MON_STATE */
        struct mon_started started;        /* MON_START */
        struct mon_exit exit;              /* MON_STOP, MON_WAIT, MON_EV_EXIT */
        struct mon_exec_made exec_made;    /* MON_EXEC */
        struct mon_exec_done exec_done;    /* MON_EXEC_START of an exec that captures */
        struct mon_wasm_prepared prepared; /* MON_WASM_PREPARE */
        struct mon_taken taken;            /* MON_STDIN */
    };
};

/*
 * The next message, without waiting. 1 a message (of a type that a newer monitor invented too: it
 * has type and op only); 0 the monitor has closed the connection, which it does only when it ends
 * or when the hello was refused; -1 an error, EAGAIN in errnum when nothing is there.
 */
int mon_client_recv(struct mon_client *c, struct mon_message *ret, struct zl_error *err);

/* The blocking half. deadline_ms is on zl_mono_ms(), 0: none; past it: ZL_ERR_TIMEOUT. */
int mon_client_next(struct mon_client *c, uint64_t deadline_ms, struct mon_message *ret,
                    struct zl_error *err); /* as mon_client_recv, but end-of-file is UNREACHABLE */
/* The answer with this op; other messages are dropped. MON_ERROR becomes -1 and *err. */
int mon_client_await(struct mon_client *c, uint64_t op, uint64_t deadline_ms,
                     struct mon_message *ret, struct zl_error *err);
/* Opens the socket at `path`, says hello with the token (NULL: by credentials) and waits for the
 * answer; ret_state may be NULL. */
int mon_client_connect(const char *path, const char *token, uint64_t deadline_ms,
                       struct mon_client **ret, struct mon_state *ret_state, struct zl_error *err);

/* A fresh token for a mon_grant: MON_TOKEN_LEN hexadecimal digits and a NUL. */
void mon_token_make(char out[MON_TOKEN_LEN + 1]);

#endif
