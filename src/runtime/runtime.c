// SPDX-License-Identifier: Apache-2.0
/* The door, and the life of a call behind it. */
#include "runtime/runtime.h"

#include <event2/event.h>
#include <string.h>

#include "runtime/call.h"
#include "runtime/environment.h"

void runtime_init(struct runtime *rt, const struct runtime_ops *ops, struct event_base *base)
{
    *rt = (struct runtime){ .ops = ops, .base = base };
}

void runtime_free(struct runtime *rt)
{
    if (rt)
        rt->ops->free(rt);
}

static void call_free(struct rt_call *c)
{
    if (c->link) {
        *c->link = c->next;
        if (c->next)
            c->next->link = c->link;
    }
    if (c->release)
        c->release(c);
    free(c->late.owned);
    event_free(c->soon);
    free(c);
}

void runtime_drop_calls(struct runtime *rt)
{
    while (rt->calls)
        call_free(rt->calls);
}

void rt_call_answer(struct rt_call *c, struct rt_answer *a)
{
    rt_done_fn done = c->done;
    void *arg = c->arg;
    a->kind = c->kind;
    c->late.owned = NULL; /* it is a's now */
    call_free(c);         /* first: done may free the runtime */
    done(arg, a);
    free(a->owned);
}

static void answer_late(int fd, short what, void *arg)
{
    struct rt_call *c = arg;
    struct rt_answer a = c->late;
    (void)fd;
    (void)what;
    rt_call_answer(c, &a);
}

void *rt_call_new(size_t size, struct runtime *rt, const struct rt_request *rq, rt_done_fn done,
                  void *arg)
{
    struct rt_call *c = calloc(1, size);
    if (!c)
        return NULL;
    c->soon = event_new(rt->base, -1, 0, answer_late, c);
    if (!c->soon) {
        free(c);
        return NULL;
    }
    c->rt = rt;
    c->kind = rq->kind;
    c->id = rq->id;
    c->done = done;
    c->arg = arg;
    c->next = rt->calls;
    c->link = &rt->calls;
    if (c->next)
        c->next->link = &c->next;
    rt->calls = c;
    return c;
}

void rt_call_succeed(struct rt_call *c)
{
    struct rt_answer a = { 0 };
    rt_call_answer(c, &a);
}

void rt_call_fail(struct rt_call *c, const struct zl_error *why)
{
    struct rt_answer a = { .err = *why };
    rt_call_answer(c, &a);
}

void rt_call_answer_soon(struct rt_call *c, const struct rt_answer *a)
{
    c->late = *a;
    c->is_late = true;
    event_active(c->soon, EV_TIMEOUT, 0);
}

void rt_call_fail_soon(struct rt_call *c, const struct zl_error *why)
{
    const struct rt_answer a = { .err = *why };
    rt_call_answer_soon(c, &a);
}

static struct rt_call *refuse(struct runtime *rt, const struct rt_request *rq,
                              const struct zl_error *why, rt_done_fn done, void *arg)
{
    struct rt_call *c = rt_call_new(sizeof *c, rt, rq, done, arg);
    if (c)
        rt_call_fail_soon(c, why);
    return c;
}

/* The one place where environments are resolved: behind the door nobody knows of references. */
static struct rt_call *submit_create(struct runtime *rt, const struct rt_request *rq,
                                     rt_done_fn done, void *arg)
{
    struct zl_error err = { 0 };
    struct spec_pairs env;
    struct spec_pair *pairs = environment_make(rq, &env, &err);
    if (!pairs)
        return refuse(rt, rq, &err, done, arg);
    struct rt_request resolved = *rq;
    resolved.create.env = &env;
    struct rt_call *c = rt->ops->submit(rt, &resolved, done, arg);
    free(pairs);
    return c;
}

struct rt_call *runtime_submit(struct runtime *rt, const struct rt_request *rq, rt_done_fn done,
                               void *arg)
{
    struct zl_error err = { 0 };
    bool can = (unsigned)rq->kind < RT_KINDS && (!rt->ops->can || rt->ops->can(rq->kind));
    if (can && rq->kind == RT_CREATE && !rq->create.env)
        return submit_create(rt, rq, done, arg);
    if (can)
        return rt->ops->submit(rt, rq, done, arg);
    (void)zl_fail(&err, ZL_ERR_UNSUPPORTED, "the runtime '%s' cannot %s a container", rt->ops->name,
                  rt_kind_verb(rq->kind));
    return refuse(rt, rq, &err, done, arg);
}

static void tell_nobody(void *arg, const struct rt_answer *a)
{
    (void)arg;
    (void)a;
}

void runtime_forget(struct rt_call *c)
{
    c->done = tell_nobody;
    c->arg = NULL;
}

void runtime_cancel(struct rt_call *c)
{
    if (!c->is_late) /* otherwise its answer is on the way */
        c->rt->ops->cancel(c);
}
