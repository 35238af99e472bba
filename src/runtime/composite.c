// SPDX-License-Identifier: Apache-2.0
#include "runtime/composite.h"

#include <string.h>

#include "runtime/call.h"
#include "runtime/puller.h"
#include "runtime/wasm.h"

enum { NATIVE, WASM, TARGETS };

struct composite {
    struct runtime rt;
    struct image_store *images;
    struct puller *puller;
    struct runtime *targets[TARGETS];
    char *why_no_wasm;
    rt_event_fn on_event;
    void *on_event_arg;
};

static struct composite *composite_of(struct runtime *rt)
{
    return (struct composite *)rt; /* rt is the first member */
}

/* ---- which one ---------------------------------------------------------------------------- */

/* An image that is not there is nobody's yet: the native runtime says what is to be said of it. */
static int target_of_image(struct composite *c, const char *name, const struct spec_service *s)
{
    autoimage struct image *image = NULL;
    bool wasm;
    (void)image_find(c->images, name, &image, NULL); /* whoever gets it looks again, and tells */
    wasm = s ? wasm_is_for(s, image) : image && image->wasm.digest[0];
    return wasm ? WASM : NATIVE;
}

static int target_of_container(struct composite *c, struct inst_id id)
{
    for (int i = 0; i < TARGETS; i++)
        if (c->targets[i] && c->targets[i]->ops->has(c->targets[i], id))
            return i;
    return NATIVE; /* nobody has it: the answer is the same everywhere */
}

static int target_of(struct composite *c, const struct rt_request *rq)
{
    if (rq->kind == RT_CREATE)
        return target_of_image(
            c, rq->create.image_digest ? rq->create.image_digest : rq->create.service->image.name,
            rq->create.service);
    return target_of_container(c, rq->id);
}

static void refuse_module(const struct composite *c, const char *image, struct zl_error *err)
{
    (void)zl_fail(err, ZL_ERR_CONFIGURATION, "image '%s' is a WebAssembly module: %s", image,
                  c->why_no_wasm);
}

/* ---- pull --------------------------------------------------------------------------------- */

struct composite_pull {
    struct rt_call call;
    struct pull_wait *wait; /* at the puller, then */
    struct rt_call *inner;  /* at the target */
    char *image;
};

static void pull_release(struct rt_call *call)
{
    struct composite_pull *k = (struct composite_pull *)call;
    if (k->wait)
        puller_drop(k->wait);
    free(k->image);
}

static void target_is_ready(void *arg, const struct rt_answer *a)
{
    struct composite_pull *k = arg;
    struct rt_answer copy = *a;
    k->inner = NULL;
    rt_call_answer(&k->call, &copy);
}

/* It is in the store: now its runtime may make it ready. */
static void pull_is_done(void *arg, const struct zl_error *failed, const char *digest)
{
    struct composite_pull *k = arg;
    struct composite *c = composite_of(k->call.rt);
    const struct rt_request rq = {
        .kind = RT_PULL,
        .pull = { .image = k->image, .digest = digest, .policy = SPEC_PULL_NEVER },
    };
    struct zl_error err = { 0 };
    k->wait = NULL;
    if (failed) {
        rt_call_fail(&k->call, failed);
        return;
    }
    struct runtime *target = c->targets[target_of_image(c, digest, NULL)];
    k->inner = target ? runtime_submit(target, &rq, target_is_ready, k) : NULL;
    if (k->inner)
        return;
    if (target)
        (void)zl_fail(&err, ZL_ERR_SYSTEM, "out of memory");
    else
        refuse_module(c, k->image, &err);
    rt_call_fail(&k->call, &err);
}

static struct rt_call *composite_pull(struct composite *c, const struct rt_request *rq,
                                      rt_done_fn done, void *arg)
{
    struct zl_error err = { 0 };
    struct composite_pull *k = rt_call_new(sizeof *k, &c->rt, rq, done, arg);
    if (!k)
        return NULL;
    k->call.release = pull_release;
    k->image = strdup(rq->pull.image);
    const struct pull_wish wish = {
        .reference = rq->pull.image,
        .digest = rq->pull.digest,
        .policy = rq->pull.policy,
        .done = pull_is_done,
        .arg = k,
    };
    k->wait = k->image ? puller_pull(c->puller, &wish) : NULL;
    if (!k->wait) {
        (void)zl_fail(&err, ZL_ERR_SYSTEM, "pull '%s': out of memory", rq->pull.image);
        rt_call_fail_soon(&k->call, &err);
    }
    return &k->call;
}

/* ---- the door ----------------------------------------------------------------------------- */

static struct rt_call *composite_submit(struct runtime *rt, const struct rt_request *rq,
                                        rt_done_fn done, void *arg)
{
    struct composite *c = composite_of(rt);
    if (rq->kind == RT_PULL)
        return composite_pull(c, rq, done, arg);
    struct runtime *target = c->targets[target_of(c, rq)];
    struct zl_error err = { 0 };

    if (target)
        return runtime_submit(target, rq, done, arg);
    struct rt_call *call = rt_call_new(sizeof *call, rt, rq, done, arg);
    if (!call)
        return NULL;
    /* of a module's container nothing but its creation can be asked for: there is none */
    refuse_module(c, rq->kind == RT_CREATE ? rq->create.service->image.name : "?", &err);
    rt_call_fail_soon(call, &err);
    return call;
}

/* Calls are their target's, but for pulls and for those that are refused at once. */
static void composite_cancel(struct rt_call *call)
{
    struct composite_pull *k = (struct composite_pull *)call;
    struct zl_error err = { 0 };
    if (call->kind != RT_PULL || call->is_late || !k->wait)
        return;
    puller_drop(k->wait);
    k->wait = NULL;
    (void)zl_fail(&err, ZL_ERR_CANCELLED, "pull '%s': cancelled", k->image);
    rt_call_fail_soon(call, &err);
}

/* ---- events ------------------------------------------------------------------------------- */

/* The end of all that is found is the end of what the last one found. */
static void forward(void *arg, const struct rt_event *ev)
{
    struct composite *c = arg;
    if (ev->kind != RT_EV_FOUND_END)
        c->on_event(c->on_event_arg, ev);
}

static int composite_watch(struct runtime *rt, rt_event_fn on_event, void *arg,
                           struct zl_error *err)
{
    struct composite *c = composite_of(rt);
    const struct rt_event end = { .kind = RT_EV_FOUND_END };
    c->on_event = on_event;
    c->on_event_arg = arg;
    for (int i = 0; i < TARGETS; i++)
        if (c->targets[i] && c->targets[i]->ops->watch(c->targets[i], forward, c, err) < 0)
            return -1;
    on_event(arg, &end);
    return 0;
}

/* ---- questions to all --------------------------------------------------------------------- */

static bool composite_has(struct runtime *rt, struct inst_id id)
{
    struct composite *c = composite_of(rt);
    const struct runtime *t = c->targets[target_of_container(c, id)];
    return t->ops->has(c->targets[target_of_container(c, id)], id);
}

static bool composite_is_paused(struct runtime *rt, struct inst_id id)
{
    struct composite *c = composite_of(rt);
    struct runtime *t = c->targets[target_of_container(c, id)];
    return t->ops->is_paused && t->ops->is_paused(t, id);
}

static bool composite_uses_image(struct runtime *rt, const char *digest)
{
    struct composite *c = composite_of(rt);
    for (int i = 0; i < TARGETS; i++)
        if (c->targets[i] && c->targets[i]->ops->uses_image(c->targets[i], digest))
            return true;
    return false;
}

static bool composite_uses_layer(struct runtime *rt, uint32_t layer)
{
    struct composite *c = composite_of(rt);
    for (int i = 0; i < TARGETS; i++)
        if (c->targets[i] && c->targets[i]->ops->uses_layer(c->targets[i], layer))
            return true;
    return false;
}

static void composite_each_volume(struct runtime *rt, rt_volume_fn fn, void *arg)
{
    struct composite *c = composite_of(rt);
    for (int i = 0; i < TARGETS; i++)
        if (c->targets[i] && c->targets[i]->ops->each_volume)
            c->targets[i]->ops->each_volume(c->targets[i], fn, arg);
}

/* ---- life --------------------------------------------------------------------------------- */

static void composite_free(struct runtime *rt)
{
    struct composite *c = composite_of(rt);
    for (int i = 0; i < TARGETS; i++)
        runtime_free(c->targets[i]);
    runtime_drop_calls(rt); /* after those that would answer them */
    free(c->why_no_wasm);
    free(c);
}

static const struct runtime_ops composite_ops = {
    .name = "auto",
    .submit = composite_submit, /* a target refuses what it cannot do */
    .cancel = composite_cancel,
    .watch = composite_watch,
    .has = composite_has,
    .is_paused = composite_is_paused,
    .uses_image = composite_uses_image,
    .uses_layer = composite_uses_layer,
    .each_volume = composite_each_volume,
    .free = composite_free,
};

int composite_new(struct event_base *base, struct image_store *images, struct puller *puller,
                  struct runtime *native, struct runtime *wasm, const char *why_no_wasm,
                  struct runtime **ret, struct zl_error *err)
{
    struct composite *c = calloc(1, sizeof *c);
    char *why = strdup(why_no_wasm ? why_no_wasm : "");
    if (!c || !why) {
        (void)zl_fail_errno(err, "set up the runtimes");
        runtime_free(native);
        runtime_free(wasm);
        free(why);
        free(c);
        return -1;
    }
    runtime_init(&c->rt, &composite_ops, base);
    c->images = images;
    c->puller = puller;
    c->why_no_wasm = why;
    c->targets[NATIVE] = native;
    c->targets[WASM] = wasm;
    *ret = &c->rt;
    return 0;
}
