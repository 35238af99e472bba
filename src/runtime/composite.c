// SPDX-License-Identifier: Apache-2.0
#include "runtime/composite.h"

#include <string.h>

#include "runtime/call.h"
#include "runtime/wasm.h"

enum { NATIVE, WASM, TARGETS };

struct composite {
    struct runtime rt;
    struct image_store *images;
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
    if (rq->kind == RT_PULL)
        return target_of_image(c, rq->pull.image, NULL);
    if (rq->kind == RT_CREATE)
        return target_of_image(c, rq->create.service->image.name, rq->create.service);
    return target_of_container(c, rq->id);
}

static struct rt_call *composite_submit(struct runtime *rt, const struct rt_request *rq,
                                        rt_done_fn done, void *arg)
{
    struct composite *c = composite_of(rt);
    struct runtime *target = c->targets[target_of(c, rq)];
    struct zl_error err = { 0 };

    if (target)
        return runtime_submit(target, rq, done, arg);
    struct rt_call *call = rt_call_new(sizeof *call, rt, rq, done, arg);
    if (!call)
        return NULL;
    (void)zl_fail(&err, ZL_ERR_CONFIGURATION, "it is a WebAssembly module: %s", c->why_no_wasm);
    rt_call_fail_soon(call, &err);
    return call;
}

/* Calls are their target's, but for those that are refused at once. */
static void composite_cancel(struct rt_call *call)
{
    (void)call;
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

/* ---- life --------------------------------------------------------------------------------- */

static void composite_free(struct runtime *rt)
{
    struct composite *c = composite_of(rt);
    runtime_drop_calls(rt);
    for (int i = 0; i < TARGETS; i++)
        runtime_free(c->targets[i]);
    free(c->why_no_wasm);
    free(c);
}

static const struct runtime_ops composite_ops = {
    .name = "auto",
    .can = RT_CAN(RT_KINDS) - 1, /* a target refuses what it cannot do */
    .submit = composite_submit,
    .cancel = composite_cancel,
    .watch = composite_watch,
    .has = composite_has,
    .is_paused = composite_is_paused,
    .uses_image = composite_uses_image,
    .uses_layer = composite_uses_layer,
    .free = composite_free,
};

int composite_new(struct event_base *base, struct image_store *images, struct runtime *native,
                  struct runtime *wasm, const char *why_no_wasm, struct runtime **ret,
                  struct zl_error *err)
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
    c->why_no_wasm = why;
    c->targets[NATIVE] = native;
    c->targets[WASM] = wasm;
    *ret = &c->rt;
    return 0;
}
