// SPDX-License-Identifier: Apache-2.0
/* A request to the native runtime, from the door until it has its answer. */
#include <event2/event.h>

#include "base/id.h"
#include "runtime/native/inner.h"

static void release(struct rt_call *call)
{
    struct native_call *k = (struct native_call *)call;
    if (k->timer)
        event_free(k->timer);
    if (k->release)
        k->release(k);
    else
        free(k->more);
}

uint64_t native_call_expect(struct native_call *k,
                            void (*on_reply)(struct native_call *, const struct mon_message *))
{
    k->op = ++native_of(k->call.rt)->last_op;
    k->on_reply = on_reply;
    return k->op;
}

static void wrap(const struct native_call *k, struct zl_error *why)
{
    if (k->c)
        (void)zl_wrap(why, "%s '%s'", rt_kind_verb(k->call.kind), k->c->name);
}

void native_call_fail(struct native_call *k, struct zl_error *why)
{
    wrap(k, why);
    rt_call_fail(&k->call, why);
}

static void fail(struct native_call *k, struct zl_error *why)
{
    k->op = 0;
    if (k->on_failed)
        k->on_failed(k, why);
    else
        native_call_fail(k, why);
}

static void too_late(int fd, short what, void *arg)
{
    struct native_call *k = arg;
    struct zl_error err = { 0 };
    (void)fd;
    (void)what;
    (void)zl_fail(&err, ZL_ERR_TIMEOUT, "the monitor does not answer");
    fail(k, &err);
}

void native_call_limit(struct native_call *k, uint64_t ms)
{
    const struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
    if (!k->timer)
        k->timer = evtimer_new(k->call.rt->base, too_late, k);
    if (k->timer)
        (void)evtimer_add(k->timer, &tv); /* without memory there is no limit: core has its own */
}

/* The calls of other backends never come here: each runtime has its own list. */
static struct native_call *call_of(const struct container *c, uint64_t op)
{
    for (struct rt_call *i = c->n->rt.calls; i; i = i->next) {
        struct native_call *k = (struct native_call *)i;
        if (!i->is_late && k->c == c && k->op && (op == 0 || k->op == op))
            return k;
    }
    return NULL;
}

void native_call_unlimit(struct native_call *k)
{
    if (k->timer)
        (void)evtimer_del(k->timer); /* cannot fail for a timer that was made */
}

void native_reply(struct container *c, const struct mon_message *m)
{
    struct native_call *k = call_of(c, m->op);
    if (!k) {
        zl_closep(&m->fd); /* of a call that was given up */
        return;
    }
    if (m->err.kind == ZL_OK) {
        k->op = 0;
        k->on_reply(k, m);
        return;
    }
    struct zl_error why = m->err;
    fail(k, &why);
}

void native_calls_lost(struct container *c)
{
    for (struct native_call *k; (k = call_of(c, 0));) {
        struct zl_error err = { 0 };
        (void)zl_fail(&err, ZL_ERR_UNREACHABLE, "its monitor is gone");
        fail(k, &err);
    }
}

void native_calls_cut(struct container *c, uint64_t op)
{
    for (struct rt_call *i = c->n->rt.calls, *next; i; i = next) {
        struct native_call *k = (struct native_call *)i;
        struct zl_error err = { 0 };
        next = i->next;
        if (i->is_late || k->c != c || !k->op || k->op >= op)
            continue;
        (void)zl_fail(&err, ZL_ERR_TIMEOUT, "the connection to its monitor was cut");
        fail(k, &err);
        next = c->doomed ? NULL : c->n->rt.calls; /* whoever was told may have ended others */
    }
}

void reply_done(struct native_call *k, const struct mon_message *m)
{
    (void)m;
    rt_call_succeed(&k->call);
}

/* ---- the door ------------------------------------------------------------------------------ */

struct rt_call *native_call_submit(native_fn *begin, struct runtime *rt,
                                   const struct rt_request *rq, rt_done_fn done, void *arg)
{
    struct zl_error err = { 0 };
    struct native_call *k = rt_call_new(sizeof *k, rt, rq, done, arg);
    if (!k)
        return NULL;
    k->call.release = release;
    k->c = container_find(native_of(rt), rq->id);
    if (begin(k, rq, &err) < 0) {
        wrap(k, &err);
        k->op = 0;
        rt_call_fail_soon(&k->call, &err);
    }
    return &k->call;
}

int native_call_container(const struct native_call *k, struct zl_error *err)
{
    char id[ZL_ID_LEN + 1];
    if (k->c)
        return 0;
    zl_id_format(k->call.id.v, id);
    return zl_fail(err, ZL_ERR_NOT_FOUND, "%s '%s': there is no such container",
                   rt_kind_verb(k->call.kind), id);
}

int native_call_monitor(struct native_call *k, struct zl_error *err)
{
    if (native_call_container(k, err) < 0)
        return -1;
    if (!k->c->mon && k->c->silent)
        return zl_fail(err, ZL_ERR_TIMEOUT, "its monitor does not answer");
    if (!k->c->mon)
        return zl_fail(err, ZL_ERR_CONFLICT, "it has ended");
    native_call_limit(k, NATIVE_ANSWER_MS);
    return 0;
}
