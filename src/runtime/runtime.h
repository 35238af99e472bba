// SPDX-License-Identifier: Apache-2.0
/*
 * The one door to whatever runs containers: native, docker, wasm, a composite of them, or a test
 * double. Asynchronous: a request goes in, its answer comes later on the loop, once. The shell of
 * the agent turns effects of core/ into these requests.
 */
#ifndef ZL_RUNTIME_RUNTIME_H
#define ZL_RUNTIME_RUNTIME_H

#include "runtime/request.h"

/* RT_EV_OOM comes before the exit that it led to, if it did. */
enum rt_event_kind { RT_EV_EXIT, RT_EV_OOM, RT_EV_FOUND, RT_EV_FOUND_END };
struct rt_event {
    enum rt_event_kind kind;
    struct inst_id id;
    union {
        struct inst_exit exit; /* lost is set when the monitor died */
        struct event found;    /* an EV_FOUND, for core as it is */
    };
};

struct runtime;
struct rt_call; /* runtime/call.h: what a backend keeps of a request */
typedef void (*rt_event_fn)(void *arg, const struct rt_event *ev);

struct rt_volume_use { /* a container that has this named volume among its mounts, running or not */
    const char *volume;
    const char *id, *name; /* of the container */
};
typedef void (*rt_volume_fn)(void *arg, const struct rt_volume_use *use);

struct runtime_ops {
    const char *name; /* as written in a spec: "native", "docker", "wasm" */
    /* NULL: it can all; runtime_submit answers UNSUPPORTED for what it cannot. */
    bool (*can)(enum rt_kind kind);
    struct rt_call *(*submit)(struct runtime *rt, const struct rt_request *rq, rt_done_fn done,
                              void *arg);
    void (*cancel)(
        struct rt_call *c); /* done still comes: CANCELLED when what was begun is undone */
    /* on_event gets one RT_EV_FOUND for each container that exists, RT_EV_FOUND_END, then what
     * happens: the only unasked messages. Called once. */
    int (*watch)(struct runtime *rt, rt_event_fn on_event, void *arg, struct zl_error *err);
    /* Whether it holds this container; whether one of its containers needs the image (digest of its
     * manifest) or the unpacked layer. NULL: it holds none. */
    bool (*has)(struct runtime *rt, struct inst_id id);
    /* Whether it stands still by RT_PAUSE. NULL: it never does. */
    bool (*is_paused)(struct runtime *rt, struct inst_id id);
    bool (*uses_image)(struct runtime *rt, const char *digest);
    bool (*uses_layer)(struct runtime *rt, uint32_t layer);
    /* Every use of a named volume by a container that exists. NULL: there is none. */
    void (*each_volume)(struct runtime *rt, rt_volume_fn fn, void *arg);
    void (*free)(struct runtime *rt); /* lets go of containers, which go on */
};

struct event_base;
struct runtime { /* first member of a backend's own struct; runtime_init() before anything else */
    const struct runtime_ops *ops;
    struct event_base *base;
    struct rt_call *calls; /* that are not answered yet */
};

/*
 * Hands the request to the backend, or refuses what it cannot do, and a container whose environment
 * refers to what there is not. NULL when there is no memory even
 * for that: then no answer comes. Everything in rq is read before this returns.
 */
struct rt_call *runtime_submit(struct runtime *rt, const struct rt_request *rq, rt_done_fn done,
                               void *arg);
/* Of a call that is not answered yet. */
void runtime_cancel(struct rt_call *c);
/* Of a call that is not answered yet: nobody is told how it ends. What was begun goes on. */
void runtime_forget(struct rt_call *c);
/* No answers come after it. NULL is fine. */
void runtime_free(struct runtime *rt);

#endif
