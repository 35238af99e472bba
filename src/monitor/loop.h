// SPDX-License-Identifier: Apache-2.0
/*
 * The event loop of a monitor: epoll and a list of timers, small enough for a process that should
 * weigh tens of kilobytes. It takes one event per wait, so a callback may free any source and any
 * timer, its own included. Not thread-safe.
 */
#ifndef ZL_MONITOR_LOOP_H
#define ZL_MONITOR_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct loop {
    int epoll_fd;
    struct loop_timer *timers; /* soonest first */
    bool stopped;
};

/* events: EPOLLIN, EPOLLHUP, … of epoll_ctl(2). */
typedef void (*loop_ready_fn)(void *arg, uint32_t events);
typedef void (*loop_time_fn)(void *arg);

/* A descriptor that is watched; lives in its owner's struct. Zeroed: not watched. */
struct loop_source {
    loop_ready_fn ready;
    void *arg;
    int fd;
    uint32_t events;
    bool watched;
};

/* Zeroed: not armed. */
struct loop_timer {
    loop_time_fn due;
    void *arg;
    uint64_t at_ms; /* zl_mono_ms() */
    struct loop_timer *next;
    bool armed;
};

int loop_init(struct loop *l, struct zl_error *err);
void loop_done(struct loop *l);

/* Watches fd, which stays the caller's, with these events (hang-ups and errors are always told). */
int loop_watch(struct loop *l, struct loop_source *s, int fd, uint32_t events, loop_ready_fn ready,
               void *arg, struct zl_error *err);
void loop_change(struct loop *l, struct loop_source *s, uint32_t events);
/* To be called before the descriptor is closed; does nothing when it is not watched. */
void loop_unwatch(struct loop *l, struct loop_source *s);

/* Once, in `after_ms`; an armed timer is moved. */
void loop_arm(struct loop *l, struct loop_timer *t, uint64_t after_ms, loop_time_fn due, void *arg);
void loop_disarm(struct loop *l, struct loop_timer *t);

/* Until loop_stop(). */
int loop_run(struct loop *l, struct zl_error *err);
/* Waits at most wait_ms for one event (or the next timer) and handles it. */
int loop_step(struct loop *l, uint64_t wait_ms, struct zl_error *err);
void loop_stop(struct loop *l);

#endif
