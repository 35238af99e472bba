// SPDX-License-Identifier: Apache-2.0
#include "runtime/request.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

struct kind_texts {
    const char *verb, *event;
};

#define TEXTS(kind, name, verb, event) [kind] = { verb, event },
static const struct kind_texts texts[RT_KINDS] = { RT_EACH_KIND(TEXTS) };
#undef TEXTS

const char *rt_kind_verb(enum rt_kind k)
{
    return (unsigned)k < RT_KINDS ? texts[k].verb : "do that to";
}

const char *rt_request_event(const struct rt_request *rq, char *text, size_t size)
{
    const char *name = rq->kind == RT_KILL ? sigabbrev_np(rq->kill.signal) : NULL;
    *text = '\0';
    if (name)
        (void)snprintf(text, size, "SIG%s", name);
    else if (rq->kind == RT_KILL)
        (void)snprintf(text, size, "signal %d", rq->kill.signal);
    return (unsigned)rq->kind < RT_KINDS ? texts[rq->kind].event : NULL;
}
