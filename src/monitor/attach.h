// SPDX-License-Identifier: Apache-2.0
/*
 * The clients of one process's streams. Each has a socket whose other end went to it by MON_ATTACH
 * or MON_EXEC_START: frames down, bytes of stdin up (monitor/frame.h).
 *
 * A slow client never grows our memory, and who may slow the process down is decided once:
 * - a client that *holds* (the first of a foreground run, the only one of an exec) gets everything;
 *   when ATTACH_SOFT bytes wait for it, attach_is_full() asks the owner to stop reading output;
 * - any other loses what does not fit, whole bursts of it, and is told how much by a frame.
 *
 * stdin has one writer at a time: the oldest client that has not ended its input.
 */
#ifndef ZL_MONITOR_ATTACH_H
#define ZL_MONITOR_ATTACH_H

#include "monitor/loop.h"
#include "monitor/protocol.h"

enum {
    ATTACH_CLIENTS_MAX = 16,
    ATTACH_SOFT = 64 * 1024,
    ATTACH_HARD = 4 * 1024 * 1024, /* what the pipes of an ended process hold may come on top */
};

struct attach_events {
    /* Bytes for stdin; returns how many were taken. Fewer than n: attach_input_wanted() later. */
    size_t (*input)(void *arg, const char *bytes, size_t n);
    void (*input_end)(void *arg); /* the writer of stdin has shut down its side, but is there */
    void (*room)(void *arg);      /* attach_is_full() is false again */
    void (*left)(void *arg); /* a client has gone; none of the set's functions may be running */
};

struct attach_client;
struct attach_set {
    struct loop *loop;
    const struct attach_events *on;
    void *arg;
    struct attach_client *clients; /* oldest first */
    unsigned n;
};

void attach_init(struct attach_set *set, struct loop *loop, const struct attach_events *on,
                 void *arg);
void attach_done(struct attach_set *set); /* closes all, whatever waits for them */

/* A new client; the other end of its socket, the caller's to pass on and close, or -1. */
int attach_add(struct attach_set *set, bool holds, struct zl_error *err);
void attach_write(struct attach_set *set, uint8_t stream, const char *bytes, size_t n);
bool attach_is_full(const struct attach_set *set);
/* No client holds any more; whether attach_is_full() was true by one that did. */
bool attach_let_go(struct attach_set *set);
void attach_input_wanted(struct attach_set *set);
/* The last frame. Each client is closed when it has taken what waits for it. */
void attach_finish(struct attach_set *set, const struct mon_exit *exit);

#endif
