// SPDX-License-Identifier: Apache-2.0
#include "monitor/loop.h"

#include <limits.h>
#include <sys/epoll.h>

#include "base/clock.h"

int loop_init(struct loop *l, struct zl_error *err)
{
    *l = (struct loop){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
    return l->epoll_fd >= 0 ? 0 : zl_fail_errno(err, "make an event loop");
}

void loop_done(struct loop *l)
{
    zl_closep(&l->epoll_fd);
    l->epoll_fd = -1;
}

int loop_watch(struct loop *l, struct loop_source *s, int fd, uint32_t events, loop_ready_fn ready,
               void *arg, struct zl_error *err)
{
    struct epoll_event e = { .events = events, .data.ptr = s };

    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
        return zl_fail_errno(err, "watch descriptor %d", fd);
    *s = (struct loop_source){
        .ready = ready, .arg = arg, .fd = fd, .events = events, .watched = true
    };
    return 0;
}

void loop_change(struct loop *l, struct loop_source *s, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.ptr = s };

    if (!s->watched || s->events == events)
        return;
    s->events = events;
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, s->fd, &e); /* a watched fd: cannot fail */
}

void loop_unwatch(struct loop *l, struct loop_source *s)
{
    if (!s->watched)
        return;
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL); /* a watched fd: cannot fail */
    s->watched = false;
}

void loop_arm(struct loop *l, struct loop_timer *t, uint64_t after_ms, loop_time_fn due, void *arg)
{
    struct loop_timer **at = &l->timers;

    loop_disarm(l, t);
    *t = (struct loop_timer){
        .due = due, .arg = arg, .at_ms = zl_mono_ms() + after_ms, .armed = true
    };
    while (*at && (*at)->at_ms <= t->at_ms)
        at = &(*at)->next;
    t->next = *at;
    *at = t;
}

void loop_disarm(struct loop *l, struct loop_timer *t)
{
    if (!t->armed)
        return;
    for (struct loop_timer **at = &l->timers; *at; at = &(*at)->next) {
        if (*at == t) {
            *at = t->next;
            break;
        }
    }
    t->armed = false;
}

/* Calls the first timer that is due, at most one: it may have disarmed the others. */
static bool call_due_timer(struct loop *l)
{
    struct loop_timer *t = l->timers;

    if (!t || t->at_ms > zl_mono_ms())
        return false;
    l->timers = t->next;
    t->armed = false;
    t->due(t->arg);
    return true;
}

static int wait_time(const struct loop *l, uint64_t wait_ms)
{
    if (l->timers) {
        uint64_t now = zl_mono_ms();
        uint64_t left = l->timers->at_ms > now ? l->timers->at_ms - now : 0;
        if (left < wait_ms)
            wait_ms = left;
    }
    return wait_ms < INT_MAX ? (int)wait_ms
                             : INT_MAX; /* 24 days: a later timer is looked at again */
}

int loop_step(struct loop *l, uint64_t wait_ms, struct zl_error *err)
{
    struct epoll_event e;

    if (call_due_timer(l))
        return 0;
    int n = epoll_wait(l->epoll_fd, &e, 1, wait_time(l, wait_ms));
    if (n < 0 && errno != EINTR)
        return zl_fail_errno(err, "wait for events");
    if (n > 0) {
        struct loop_source *s = e.data.ptr;
        s->ready(s->arg, e.events);
    }
    return 0;
}

int loop_run(struct loop *l, struct zl_error *err)
{
    while (!l->stopped) {
        if (loop_step(l, UINT64_MAX, err) < 0)
            return -1;
    }
    return 0;
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
}
