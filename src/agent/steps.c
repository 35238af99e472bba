// SPDX-License-Identifier: Apache-2.0
/*
 * The order that nothing may break: what a step wants stored is durable before what it wants begun
 * begins, and steps do not overtake each other. So each step becomes a batch in a queue: its
 * requests and events, copied out of core's hands, and whether its transaction is durable. The head
 * of the queue is carried out as soon as it is. Only what core calls early waits for nothing, and
 * what it calls soon for no disk: these are batches in queues of their own.
 */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>

#include "agent/agent.h"
#include "agent/effects.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"

enum {
    BATCH_MEMORY = 64 << 20,
    LATER_US = 5000, /* what nobody waits for is stored within this, in one with what follows */
};

struct batch {
    struct batch *next;
    struct agent *a;
    uint64_t after;        /* how many transactions there were, with that of its step */
    struct zl_arena arena; /* of v and its strings */
    struct effect *v;      /* requests and events; specs in it are references of our own */
    size_t n;
    int64_t wall_ms;
    bool durable;
    struct zl_error refused;
    uint64_t given_id;
    api_done_fn done;
    void *arg;
};

struct queue {
    struct batch *head, **tail;
};

enum phase { EARLY, SOON, STORED, PHASES }; /* when an effect is carried out */

struct steps {
    struct agent *a;
    struct effects out;
    struct queue queues[PHASES];
    bool written;        /* all that was decided before the step that is being taken */
    bool untold;         /* the store has something that its writer was not told of */
    struct event *drain; /* made active when the head may be ready */
    struct event *store_ready, *deadline, *wall_deadline;
    struct event *later; /* armed while something is queued that the store does not know of */
    int timer_fd;        /* CLOCK_BOOTTIME */
    int wall_fd;         /* CLOCK_REALTIME, readable as well when that clock is set */
    int64_t wall_armed_ms;
    bool clock_was_set; /* as arming it has told */
};

/* ---- the queue ---------------------------------------------------------------------------- */

static void batch_free(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        effect_drop(&b->v[i]);
    zl_arena_done(&b->arena);
    free(b);
}

static void carry_out(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        effect_carry_out(b->a, &b->v[i], b->after);
    if (b->done)
        b->done(b->arg, b->refused.kind == ZL_OK ? NULL : &b->refused, b->given_id);
    batch_free(b);
}

static void queue_add(struct queue *q, struct batch *b)
{
    *q->tail = b;
    q->tail = &b->next;
}

static struct batch *queue_take(struct queue *q)
{
    struct batch *b = q->head;
    q->head = b->next;
    if (!q->head)
        q->tail = &q->head;
    return b;
}

static bool is_due(const struct steps *d, enum phase p)
{
    const struct batch *b = d->queues[p].head;
    return b && (p == EARLY || (p == SOON && store_await_written(d->a->store, b->after)) ||
                 (p == STORED && b->durable));
}

/* The first queue that has something to do is looked at again after each batch. */
static void drain(int fd, short what, void *arg)
{
    struct steps *d = arg;
    (void)fd;
    (void)what;
    for (enum phase p = EARLY; p < PHASES;) {
        if (is_due(d, p)) {
            carry_out(queue_take(&d->queues[p]));
            p = EARLY;
        } else {
            p++;
        }
    }
    effects_give_held(d->a);
}

bool steps_are_told(const struct agent *a, uint64_t after)
{
    const struct batch *b = a->steps->queues[STORED].head;
    return !b || b->after > after;
}

static void on_durable(void *arg)
{
    struct batch *b = arg;
    b->durable = true;
    event_active(b->a->steps->drain, EV_TIMEOUT, 0);
}

/* Whether the log of a standalone container of this name is removed as soon as that is durable. */
static bool log_is_to_go(const struct steps *d, const char *name)
{
    for (const struct batch *b = d->queues[STORED].head; b; b = b->next)
        for (size_t i = 0; i < b->n; i++)
            if (b->v[i].kind == EFF_DEL_STANDALONE && strcmp(b->v[i].standalone.name, name) == 0)
                return true;
    return false;
}

/* One that is made anew under a name of which the log is about to go must not write into that. And
 * a container is what its rows are found again by, that it has started and ended, until they are
 * written: then its removal waits with its step. */
static bool is_early(const struct steps *d, const struct effect *e)
{
    return e->early && !(e->kind == EFF_CREATE && log_is_to_go(d, e->create.label.service)) &&
           !(e->kind == EFF_REMOVE && !d->written);
}

static enum phase phase_of(const struct steps *d, const struct effect *e)
{
    return is_early(d, e) ? EARLY : e->soon ? SOON : STORED;
}

/* Copies what is to be carried out in this phase. False: no memory. */
static bool batch_fill(struct batch *b, const struct steps *d, enum phase phase)
{
    const struct effects *out = &d->out;
    b->arena = (struct zl_arena)ZL_ARENA(BATCH_MEMORY);
    b->v = zl_arena_array(&b->arena, out->n, sizeof *b->v);
    for (size_t i = 0; b->v && i < out->n; i++) {
        if (!effect_is_carried_out(out->v[i].kind) || phase_of(d, &out->v[i]) != phase)
            continue;
        b->v[b->n] = out->v[i];
        effect_keep(&b->arena, &b->v[b->n]);
        b->n++;
    }
    return !b->arena.failed;
}

/* Core has decided and it cannot be kept: the only way not to lose it is to end, and to start again
 * from what is stored. Containers go on. */
static void give_up(struct agent *a, const struct zl_error *why)
{
    zl_log_error(ZL_LOG_ERROR, why, "the agent ends, containers go on");
    a->failed = true;
    (void)event_base_loopbreak(a->base); /* fails only without a base */
}

/* NULL: no memory, and the agent ends. */
static struct batch *batch_new(struct agent *a, enum phase phase)
{
    struct zl_error err = { 0 };
    struct batch *b = calloc(1, sizeof *b);
    if (b && batch_fill(b, a->steps, phase)) {
        b->a = a;
        return b;
    }
    (void)zl_fail(&err, ZL_ERR_SYSTEM, "keep what is to be done: out of memory");
    if (b)
        batch_free(b);
    give_up(a, &err);
    return NULL;
}

static bool has(const struct steps *d, enum phase phase)
{
    for (size_t i = d->out.commit; i < d->out.n; i++)
        if (phase_of(d, &d->out.v[i]) == phase)
            return true;
    return false;
}

/* What does not wait for the disk. */
static struct batch *queue_before(struct agent *a, enum phase phase)
{
    struct steps *d = a->steps;
    struct batch *b = has(d, phase) ? batch_new(a, phase) : NULL;
    if (!b)
        return NULL;
    queue_add(&d->queues[phase], b);
    event_active(d->drain, EV_TIMEOUT, 0);
    return b;
}

/* Whether nothing begins and nobody is answered when it is durable: events alone. Nor does anything
 * begin before. */
static bool is_patient(const struct steps *d, const struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].kind != EFF_EVENT)
            return false;
    return !b->done && !has(d, EARLY) && !has(d, SOON);
}

/* The writer is not woken for nothing: that takes time of the very step that begins something. */
static void flush(struct steps *d)
{
    (void)event_del(d->later); /* fails only without a base */
    if (d->untold)
        store_flush(d->a->store);
    d->untold = false;
}

static void on_later(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    flush(arg);
}

/* A start, and soon an end: their rows wait for each other instead of taking the processor from the
 * container. Whatever stands behind them in the queue does not wait. */
static void flush_in_time(struct steps *d, bool patient)
{
    static const struct timeval later = { 0, LATER_US };
    if (!patient || (!event_pending(d->later, EV_TIMEOUT, NULL) && event_add(d->later, &later) < 0))
        flush(d);
}

static void queue_step(struct agent *a, api_done_fn done, void *arg)
{
    struct steps *d = a->steps;
    struct effects *out = &d->out;
    struct zl_error err = { 0 };
    struct batch *b = batch_new(a, STORED);
    if (!b)
        return;
    b->wall_ms = zl_wall_ms();
    b->refused = out->refused;
    b->given_id = out->given_id;
    b->done = done;
    b->arg = arg;
    b->durable = out->commit == 0;
    bool patient = is_patient(d, b);
    queue_add(&d->queues[STORED], b);
    if (b->durable)
        event_active(d->drain, EV_TIMEOUT, 0);
    else if (store_queue(a->store, out->v, out->commit, b->wall_ms, on_durable, b, &err) < 0)
        give_up(a, &err);
    else
        d->untold = true;
    b->after = store_queued(a->store);
    flush_in_time(d, patient);
}

/* Also without a deadline it is armed, far away: so it tells when the clock is set. Arming it tells
 * that as well (ECANCELED), instead of the read that follows. */
static void arm_wall(struct steps *d)
{
    static const int64_t never_s = INT64_C(8000000000); /* the year 2223 */
    const int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
    int64_t at = core_next_wall(d->a->core);
    struct itimerspec when = { .it_value = { .tv_sec = never_s } };
    if (at == d->wall_armed_ms)
        return;
    d->wall_armed_ms = at;
    if (at / 1000 < never_s) {
        when.it_value.tv_sec = at / 1000;
        when.it_value.tv_nsec = (long)(at % 1000 * 1000000) + 1; /* 0 would disarm */
    }
    if (timerfd_settime(d->wall_fd, flags, &when, NULL) < 0) {
        d->clock_was_set = true;
        event_active(d->wall_deadline, EV_READ, 0);
    }
}

static void arm(struct steps *d)
{
    uint64_t at = core_next_deadline(d->a->core);
    struct itimerspec when = { 0 }; /* zeros disarm */
    if (at != UINT64_MAX) {
        when.it_value.tv_sec = (time_t)(at / 1000);
        when.it_value.tv_nsec = (long)(at % 1000 * 1000000) + 1; /* 0 must not disarm */
    }
    (void)timerfd_settime(d->timer_fd, TFD_TIMER_ABSTIME, &when, NULL); /* valid by construction */
    arm_wall(d);
}

uint64_t step_event(struct agent *a, struct event *ev, api_done_fn done, void *arg)
{
    const struct core_now now = { zl_mono_ms(), zl_wall_ms() };
    ev->seed = zl_id_random();
    a->steps->written = store_written(a->store) == store_queued(a->store);
    core_step(a->core, now, ev, &a->steps->out);
    struct batch *early = queue_before(a, EARLY), *soon = queue_before(a, SOON);
    if (a->steps->out.n > 0 || done)
        queue_step(a, done, arg);
    if (early)
        early->after = store_queued(a->store);
    if (soon)
        soon->after = store_queued(a->store);
    arm(a->steps);
    if (a->api)
        api_server_changed(a->api);
    waiters_look(a);
    return a->steps->out.given_id;
}

/* core is not even asked. */
static void refuse(struct agent *a, const struct zl_error *why, api_done_fn done, void *arg)
{
    struct steps *d = a->steps;
    struct batch *b = calloc(1, sizeof *b);
    if (!b)
        return; /* the client's own time-out is all that is left */
    *b = (struct batch){ .a = a,
                         .refused = *why,
                         .done = done,
                         .arg = arg,
                         .durable = true,
                         .after = store_queued(a->store) };
    b->arena = (struct zl_arena)ZL_ARENA(BATCH_MEMORY);
    queue_add(&d->queues[STORED], b);
    event_active(d->drain, EV_TIMEOUT, 0);
    flush(d);
}

uint64_t step_wish(struct agent *a, const struct event *ev, api_done_fn done, void *arg)
{
    struct event copy = *ev;
    struct zl_error why = { 0 };
    if (withheld_check(&a->withheld, ev, &why) == 0)
        return step_event(a, &copy, done, arg);
    refuse(a, &why, done, arg);
    return 0;
}

static void on_deadline(int fd, short what, void *arg)
{
    struct steps *d = arg;
    struct event ev = { .kind = EV_TIME };
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof count) < 0)
        return; /* it was armed anew meanwhile */
    (void)step_event(d->a, &ev, NULL, NULL);
}

/* Its time has come, or the clock was set (ECANCELED), timerfd_create(2): core looks at the clock
 * itself. */
static void on_wall_deadline(int fd, short what, void *arg)
{
    struct steps *d = arg;
    struct event ev = { .kind = EV_TIME };
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof count) < 0 && errno != ECANCELED && !d->clock_was_set)
        return; /* it was armed anew meanwhile */
    d->clock_was_set = false;
    d->wall_armed_ms = 0;
    (void)step_event(d->a, &ev, NULL, NULL);
}

static void on_store(int fd, short what, void *arg)
{
    const struct steps *d = arg;
    (void)fd;
    (void)what;
    store_reap(d->a->store);
    if (d->queues[SOON].head)
        event_active(d->drain, EV_TIMEOUT, 0);
}

int steps_new(struct agent *a, struct steps **ret, struct zl_error *err)
{
    struct steps *d = calloc(1, sizeof *d);
    if (!d)
        return zl_fail_errno(err, "set up the steps of the agent");
    d->a = a;
    d->wall_fd = -1;
    for (enum phase p = EARLY; p < PHASES; p++)
        d->queues[p].tail = &d->queues[p].head;
    d->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (d->timer_fd >= 0)
        d->wall_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (d->wall_fd < 0) {
        steps_free(d);
        return zl_fail_errno(err, "make a timer");
    }
    d->drain = event_new(a->base, -1, 0, drain, d);
    d->store_ready = event_new(a->base, store_fd(a->store), EV_READ | EV_PERSIST, on_store, d);
    d->deadline = event_new(a->base, d->timer_fd, EV_READ | EV_PERSIST, on_deadline, d);
    d->wall_deadline = event_new(a->base, d->wall_fd, EV_READ | EV_PERSIST, on_wall_deadline, d);
    d->later = evtimer_new(a->base, on_later, d);
    if (!d->drain || !d->later || !d->store_ready || !d->deadline || !d->wall_deadline ||
        event_add(d->wall_deadline, NULL) < 0 || event_add(d->store_ready, NULL) < 0 ||
        event_add(d->deadline, NULL) < 0) {
        steps_free(d);
        return zl_fail(err, ZL_ERR_SYSTEM, "set up the steps of the agent: out of memory");
    }
    *ret = d;
    return 0;
}

static void free_event(struct event *e)
{
    if (e)
        event_free(e);
}

void steps_free(struct steps *d)
{
    if (!d)
        return;
    for (enum phase p = EARLY; p < PHASES; p++)
        while (d->queues[p].head)
            batch_free(queue_take(&d->queues[p]));
    free_event(d->drain);
    free_event(d->later);
    free_event(d->store_ready);
    free_event(d->deadline);
    free_event(d->wall_deadline);
    zl_closep(&d->timer_fd);
    zl_closep(&d->wall_fd);
    effects_done(&d->out);
    free(d);
}
