// SPDX-License-Identifier: Apache-2.0
/*
 * A foreground `run` wants the streams of its container before the first byte, so its start waits
 * for the client (EV_RUN with hold), and the client waits here until the container is created.
 * What became of it is read from core's view, so every way to fail is covered by one look.
 */
#include <event2/event.h>
#include <string.h>

#include "agent/agent.h"
#include "core/view.h"

struct waiter {
    struct waiter *next, **link;
    struct agent *a;
    struct inst_id id;      /* 0: none was given */
    bool stored;            /* so that it may be told of */
    bool asked;             /* RT_ATTACH is under way */
    struct zl_error failed; /* of a request for it; kind ZL_OK: none yet */
    api_held_fn held;
    void *arg;
};

struct waiters {
    struct agent *a;
    struct waiter *first;
    struct event *look;
};

static void unlink_waiter(struct waiter *w)
{
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
}

static void finish(struct waiter *w, const struct zl_error *failed,
                   const struct rt_stream_where *where)
{
    unlink_waiter(w);
    w->held(w->arg, failed, failed ? 0 : w->id.v, where);
    free(w);
}

static void on_attach(void *arg, const struct rt_answer *answer)
{
    const struct zl_error *failed = answer->err.kind == ZL_OK ? NULL : &answer->err;
    finish(arg, failed, failed ? NULL : &answer->where);
}

static void ask(struct waiter *w)
{
    const struct rt_request rq = { .kind = RT_ATTACH, .id = w->id };
    w->asked = true;
    if (!runtime_submit(w->a->rt, &rq, on_attach, w))
        w->asked = false; /* no memory: the next change tries again */
}

static void look_after(struct waiter *w)
{
    struct view_container v;
    bool found = core_find_container(w->a->core, w->id, &v);
    if (found && (v.state == INST_STARTING || v.state == INST_UP)) {
        ask(w);
        return;
    }
    if (found && v.state < INST_STARTING)
        return;
    struct zl_error err =
        w->failed; /* with --rm, core has forgotten the container and why it failed */
    if (err.kind == ZL_OK)
        (void)zl_fail(&err, ZL_ERR_CONFLICT, "%s",
                      found && *v.why ? v.why : "the container was removed");
    finish(w, &err, NULL);
}

static void look_at_all(int fd, short what, void *arg)
{
    struct waiters *ws = arg;
    (void)fd;
    (void)what;
    for (struct waiter *w = ws->first, *next; w; w = next) {
        next = w->next;
        if (w->stored && !w->asked)
            look_after(w);
    }
}

/* Not at once: we are in the middle of a step's consequences. */
void waiters_look(struct agent *a)
{
    if (a->waiters->first)
        event_active(a->waiters->look, EV_TIMEOUT, 0);
}

void waiters_failed(struct agent *a, struct inst_id id, const struct zl_error *why)
{
    for (struct waiter *w = a->waiters->first; w; w = w->next)
        if (w->id.v == id.v)
            w->failed = *why;
}

struct waiter *waiter_new(struct agent *a, api_held_fn held, void *arg)
{
    struct waiter *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->a = a;
    w->held = held;
    w->arg = arg;
    w->next = a->waiters->first;
    w->link = &a->waiters->first;
    if (w->next)
        w->next->link = &w->next;
    a->waiters->first = w;
    return w;
}

void waiter_expect(struct waiter *w, struct inst_id id)
{
    w->id = id;
}

void waiter_stored(void *waiter, const struct zl_error *failed, uint64_t id)
{
    struct waiter *w = waiter;
    if (failed) {
        finish(w, failed, NULL);
        return;
    }
    w->id.v = id;
    w->stored = true;
    waiters_look(w->a);
}

int waiters_new(struct agent *a, struct waiters **ret, struct zl_error *err)
{
    struct waiters *ws = calloc(1, sizeof *ws);
    if (ws)
        ws->look = event_new(a->base, -1, 0, look_at_all, ws);
    if (!ws || !ws->look) {
        free(ws);
        return zl_fail(err, ZL_ERR_SYSTEM, "set up the agent: out of memory");
    }
    ws->a = a;
    *ret = ws;
    return 0;
}

void waiters_free(struct waiters *ws)
{
    if (!ws)
        return;
    while (ws->first) {
        struct waiter *w = ws->first;
        unlink_waiter(w);
        free(w);
    }
    event_free(ws->look);
    free(ws);
}
