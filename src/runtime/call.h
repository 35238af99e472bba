// SPDX-License-Identifier: Apache-2.0
/* What backends share: one request on its way to its one answer. */
#ifndef ZL_RUNTIME_CALL_H
#define ZL_RUNTIME_CALL_H

#include "runtime/runtime.h"

struct event;

/* First member of what a backend keeps of a request; made by rt_call_new(), freed by its answer. */
struct rt_call {
    struct runtime *rt;
    struct rt_call *next, **link; /* in rt->calls */
    enum rt_kind kind;
    struct inst_id id;
    rt_done_fn done;
    void *arg;
    void (*release)(struct rt_call *c); /* frees what the backend keeps beside; NULL: nothing */
    bool is_late; /* answered by rt_call_answer_soon(): `late` is on the way */
    struct rt_answer late;
    struct event *soon;
};

void runtime_init(struct runtime *rt, const struct runtime_ops *ops, struct event_base *base);
/* Frees all calls without answering them: the first thing a backend's free does. */
void runtime_drop_calls(struct runtime *rt);

/* size zeroed bytes that begin with the call; NULL: no memory. */
void *rt_call_new(size_t size, struct runtime *rt, const struct rt_request *rq, rt_done_fn done,
                  void *arg);
/* Calls done and frees the call. Not from inside submit. a->kind is set here. */
void rt_call_answer(struct rt_call *c, struct rt_answer *a);
/* The same with success and nothing else to say, or with this error. */
void rt_call_succeed(struct rt_call *c);
void rt_call_fail(struct rt_call *c, const struct zl_error *why);
/* The same on the next turn of the loop: for what is known within submit. */
void rt_call_answer_soon(struct rt_call *c, const struct rt_answer *a);
void rt_call_fail_soon(struct rt_call *c, const struct zl_error *why);

#endif
