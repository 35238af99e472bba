// SPDX-License-Identifier: Apache-2.0
/*
 * Requests of clients that go to the runtime as they are. What changed the container is told as an
 * event, so that whoever follows them sees all that was done to it.
 */
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "api/find.h"
#include "base/clock.h"

struct asked {
    struct agent *a;
    struct inst_id id;
    const char *event; /* its type, when it succeeded; NULL: none */
    char text[64];     /* of the event, behind the container's name */
    rt_done_fn told;
    void *arg;
};

void agent_tell_container(struct agent *a, struct inst_id id, const char *type, const char *text)
{
    struct view_container v;
    char line[256];
    if (!a->api || find_container_id(a->core, id, &v) < 0)
        return;
    (void)snprintf(line, sizeof line, "%s%s%s", v.name, *text ? ": " : "", text);
    const struct effect e = {
        .kind = EFF_EVENT,
        .inst = id,
        .event = { .type = type,
                   .deployment = v.label.deployment,
                   .service = v.label.service,
                   .text = line,
                   .inst = id },
    };
    api_server_event(a->api, &e, zl_wall_ms());
}

static void on_answer(void *arg, const struct rt_answer *a)
{
    const struct asked asked = *(const struct asked *)arg;
    free(arg);
    if (a->err.kind == ZL_OK && asked.event)
        agent_tell_container(asked.a, asked.id, asked.event, asked.text);
    asked.told(asked.arg, a);
}

void agent_ask(struct agent *a, const struct rt_request *rq, rt_done_fn told, void *arg)
{
    struct asked *asked = malloc(sizeof *asked);
    if (!asked)
        return; /* the client's own time-out is all that is left */
    *asked = (struct asked){ .a = a, .id = rq->id, .told = told, .arg = arg };
    asked->event = rt_request_event(rq, asked->text, sizeof asked->text);
    if (!runtime_submit(a->rt, rq, on_answer, asked))
        free(asked);
}
