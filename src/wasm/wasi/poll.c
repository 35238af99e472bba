// SPDX-License-Identifier: Apache-2.0
/*
 * poll_oneoff: waits until one of the subscriptions has happened, by ppoll(2) with the nearest
 * clock as its time limit. As in wasmtime-wasi a descriptor that is not open fails the whole call.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "wasm/wasi/abi.h"
#include "wasm/wasi/wasi.h"

enum { SUBSCRIPTIONS_MAX = 4096 };

struct waiting {
    struct wasi_subscription *subs;
    struct pollfd *polls; /* one a subscription; fd -1: a clock */
    uint64_t *due;        /* of clocks, on CLOCK_MONOTONIC */
    uint32_t n;
};

static void waiting_done(struct waiting *p)
{
    free(p->subs);
    free(p->polls);
    free(p->due);
}

static uint64_t now_on(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t); /* cannot fail for these clocks */
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static uint64_t later(uint64_t from, uint64_t by)
{
    return by < UINT64_MAX - from ? from + by : UINT64_MAX;
}

/* When a clock subscription is due, on the monotonic clock. false: no such clock. */
static bool due_time(const struct wasi_subscription *s, uint64_t *ret)
{
    uint64_t mono = now_on(CLOCK_MONOTONIC), timeout = s->clock.timeout;

    if (s->clock.id != WASI_MONOTONIC && s->clock.id != WASI_REALTIME)
        return false;
    if (!(s->clock.flags & WASI_CLOCK_ABSTIME)) {
        *ret = later(mono, timeout);
    } else if (s->clock.id == WASI_MONOTONIC) {
        *ret = timeout;
    } else {
        uint64_t wall = now_on(CLOCK_REALTIME);
        *ret = later(mono, timeout > wall ? timeout - wall : 0);
    }
    return true;
}

static uint32_t subscribe(struct wasi *w, struct waiting *p, uint32_t i)
{
    const struct wasi_subscription *s = &p->subs[i];

    p->polls[i] = (struct pollfd){ .fd = -1 };
    p->due[i] = UINT64_MAX;
    if (s->tag == WASI_EVENT_CLOCK)
        return due_time(s, &p->due[i]) ? WASI_OK : WASI_EINVAL;
    if (s->tag != WASI_EVENT_READ && s->tag != WASI_EVENT_WRITE)
        return WASI_EINVAL;
    struct wasi_fd *f = wasi_find(w, s->fd_readwrite.fd);
    if (!f || f->kind == WASI_DIR || !wasi_goes(f, s->tag == WASI_EVENT_WRITE))
        return WASI_EBADF;
    p->polls[i] =
        (struct pollfd){ .fd = f->fd, .events = s->tag == WASI_EVENT_READ ? POLLIN : POLLOUT };
    return WASI_OK;
}

static uint32_t read_subscriptions(struct wasi *w, struct waiting *p, uint32_t ptr)
{
    size_t size = (size_t)p->n * sizeof *p->subs;
    const void *from = wasi_at(w, ptr, size);

    if (!from)
        return WASI_TRAPS;
    p->subs = malloc(size);
    p->polls = calloc(p->n, sizeof *p->polls);
    p->due = calloc(p->n, sizeof *p->due);
    if (!p->subs || !p->polls || !p->due)
        return WASI_ENOMEM;
    memcpy(p->subs, from, size);
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t rc = subscribe(w, p, i);
        if (rc)
            return rc;
    }
    return WASI_OK;
}

static uint32_t wait_for_one(struct wasi *w, struct waiting *p)
{
    uint64_t due = UINT64_MAX;

    for (uint32_t i = 0; i < p->n; i++)
        due = p->due[i] < due ? p->due[i] : due;
    for (;;) {
        uint64_t now = now_on(CLOCK_MONOTONIC), left = due > now ? due - now : 0;
        const struct timespec limit = { (time_t)(left / 1000000000U), (long)(left % 1000000000U) };
        if (ppoll(p->polls, p->n, due == UINT64_MAX ? NULL : &limit, NULL) >= 0)
            return WASI_OK;
        uint32_t rc = wasi_failed(w);
        if (rc)
            return rc;
    }
}

/* How much can be read at once; 1 when that is not known. */
static uint64_t readable_bytes(int fd)
{
    struct stat st;
    int n;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        off_t at = lseek(fd, 0, SEEK_CUR);
        return at >= 0 && st.st_size > at ? (uint64_t)(st.st_size - at) : 0;
    }
    return ioctl(fd, FIONREAD, &n) == 0 && n >= 0 ? (uint64_t)n : 1;
}

static struct wasi_event happened(const struct wasi_subscription *s, const struct pollfd *f)
{
    struct wasi_event e = { .userdata = s->userdata, .type = s->tag };

    if (s->tag == WASI_EVENT_READ)
        e.nbytes = readable_bytes(f->fd);
    else if (s->tag == WASI_EVENT_WRITE)
        e.nbytes = 1; /* a pipe does not tell */
    if (f->revents & (POLLHUP | POLLRDHUP))
        e.flags = WASI_EVENT_HANGUP;
    if (f->revents & POLLNVAL)
        e.error = WASI_EBADF;
    return e;
}

static uint32_t report(struct wasi *w, const struct waiting *p, uint32_t at, uint32_t count_at)
{
    uint64_t now = now_on(CLOCK_MONOTONIC);
    uint32_t n = 0, rc = WASI_OK;

    for (uint32_t i = 0; i < p->n && !rc; i++) {
        if (p->due[i] > now && !p->polls[i].revents)
            continue;
        const struct wasi_event e = happened(&p->subs[i], &p->polls[i]);
        rc = wasi_put(w, at + n * (uint32_t)sizeof e, &e, sizeof e);
        n++;
    }
    return rc ? rc : wasi_put_u32(w, count_at, n);
}

static uint32_t poll_oneoff(struct wasi *w, const wasmtime_val_raw_t *a)
{
    struct waiting p = { .n = (uint32_t)a[2].i32 };

    if (p.n == 0 || p.n > SUBSCRIPTIONS_MAX)
        return WASI_EINVAL;
    uint32_t rc = read_subscriptions(w, &p, (uint32_t)a[0].i32);
    rc = rc ? rc : wait_for_one(w, &p);
    rc = rc ? rc : report(w, &p, (uint32_t)a[1].i32, (uint32_t)a[3].i32);
    waiting_done(&p);
    return rc;
}

const struct wasi_function wasi_poll_functions[] = {
    { "poll_oneoff", "iiii", poll_oneoff },
    { NULL, NULL, NULL },
};
