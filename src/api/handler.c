// SPDX-License-Identifier: Apache-2.0
/*
 * What handlers have in common: they read the body, find the container of the path, hand an
 * operation to the agent or ask the runtime, and go on when that is done, or when core has come to
 * the state that they wait for. An error on the way is answered here.
 */
#include <event2/event.h>

#include "api/call.h"
#include "api/find.h"

void *call_state(struct api_call *c, size_t size, void (*free_state)(void *state))
{
    void *state = calloc(1, size);
    if (!state) {
        reply_fail(c, ZL_ERR_SYSTEM, "no memory for the request");
        return NULL;
    }
    c->state = state;
    c->free_state = free_state ? free_state : free;
    return state;
}

int call_decode(struct api_call *c, const struct zl_field *fields, void *out)
{
    struct zl_error err = { 0 };
    c->body.strict = true;
    if (zl_json_decode(&c->body, fields, out, &err) == 0)
        return 0;
    reply_error(c, &err);
    return -1;
}

int path_deployment(struct api_call *c, struct view_deployment *ret)
{
    struct zl_error err = { 0 };
    if (find_deployment(call_core(c), c->params[0], ret, &err) == 0)
        return 0;
    reply_error(c, &err);
    return -1;
}

int path_service(struct api_call *c, struct view_service *ret)
{
    struct zl_error err = { 0 };
    if (find_service(call_core(c), c->params[0], c->params[1], ret, &err) == 0)
        return 0;
    reply_error(c, &err);
    return -1;
}

int path_container(struct api_call *c, struct view_container *ret)
{
    struct zl_error err = { 0 };
    if (find_container(call_core(c), c->params[0], ret, &err) == 0)
        return 0;
    reply_error(c, &err);
    return -1;
}

int path_instance(struct api_call *c, struct view_container *ret)
{
    if (path_container(c, ret) < 0)
        return -1;
    if (ret->id.v != 0)
        return 0;
    reply_fail(c, ZL_ERR_CONFLICT, "'%s' has no container at the moment: %s", ret->name,
               ret->why[0] ? ret->why : inst_state_name(ret->state));
    return -1;
}

/* ---- going on ------------------------------------------------------------------------------- */

void call_expect(struct api_call *c, api_then_fn then)
{
    c->then = then;
    c->busy = true;
}

void call_op_done(void *arg, const struct zl_error *failed, uint64_t id)
{
    struct api_call *c = arg;
    c->busy = false;
    if (!c->req)
        call_free(c);
    else if (failed)
        reply_error(c, failed);
    else
        c->then(c, id);
}

static void told_anyway(void *arg, const struct rt_answer *a)
{
    struct api_call *c = arg;
    c->busy = false;
    if (!c->req)
        call_free(c);
    else
        c->learn(c, a);
}

static void learn_error(struct api_call *c, const struct rt_answer *a)
{
    reply_error(c, &a->err);
}

static void told(void *arg, const struct rt_answer *a)
{
    struct api_call *c = arg;
    if (a->err.kind != ZL_OK)
        c->learn = learn_error;
    told_anyway(c, a);
}

static void ask(struct api_call *c, const struct rt_request *rq, api_learn_fn learn,
                rt_done_fn told_fn)
{
    c->learn = learn;
    c->busy = true;
    c->server->ops->ask(c->server->agent, rq, told_fn, c);
}

void call_ask(struct api_call *c, const struct rt_request *rq, api_learn_fn learn)
{
    ask(c, rq, learn, told);
}

void call_ask_anyway(struct api_call *c, const struct rt_request *rq, api_learn_fn learn)
{
    ask(c, rq, learn, told_anyway);
}

void call_submit(struct api_call *c, struct event ev, api_then_fn then)
{
    call_expect(c, then);
    c->server->ops->submit(c->server->agent, &ev, call_op_done, c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct api_call *c = arg;
    (void)fd;
    (void)what;
    c->wake = NULL;
    c->on_timeout(c);
}

void call_wait(struct api_call *c, bool (*wake)(struct api_call *c), uint64_t timeout_ms,
               void (*on_timeout)(struct api_call *c))
{
    if (wake(c))
        return;
    c->wake = wake;
    call_stay_open(c);
    if (timeout_ms == 0 || !on_timeout)
        return;
    struct timeval tv = { .tv_sec = (time_t)(timeout_ms / 1000),
                          .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000) };
    c->on_timeout = on_timeout;
    c->timer = event_new(c->server->base, -1, 0, on_timer, c);
    if (!c->timer || event_add(c->timer, &tv) < 0)
        on_timeout(c); /* no memory for a timer: the answer of a late one is the honest one */
}
