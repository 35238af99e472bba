// SPDX-License-Identifier: Apache-2.0
/*
 * The streams of a container or an exec, between its monitor and our own stdin, stdout and stderr.
 * The agent is no part of it: it may die meanwhile.
 */
#ifndef ZL_CLI_CONTAINER_STREAM_H
#define ZL_CLI_CONTAINER_STREAM_H

#include "cli/cli.h"
#include "monitor/protocol.h"

struct stream_options {
    bool exec;               /* an exec that waits to be started, else the first process */
    bool as_made;            /* tty and stdin_open are what the monitor says of the container */
    bool tty;                /* it has a terminal: ours becomes raw, and its size is passed on */
    bool stdin_open;         /* our stdin goes to it */
    bool no_stdin;           /* nevertheless not */
    bool sig_proxy;          /* SIGINT, SIGTERM, … that we get go to it */
    bool leave;              /* start it and leave: nothing of its streams is wanted */
    const char *detach_keys; /* typed at a terminal they leave, and it goes on; NULL: ^P ^Q */
};

enum stream_end { STREAM_EXITED, STREAM_CUT, STREAM_LEFT };

/*
 * where: {"socket", "token"} of the agent's answer. Returns when the process ended or the stream
 * was cut: *ret_end says which, and *ret_exit how it ended. -1: zlayer failed, or, with exec, the
 * command could not be executed (NOT_FOUND, DENIED).
 */
int stream_run(const json_t *where, const struct stream_options *o, enum stream_end *ret_end,
               struct mon_exit *ret_exit, struct zl_error *err);

#endif
