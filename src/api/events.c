// SPDX-License-Identifier: Apache-2.0
/*
 * What happened, for those who follow it. The last events are kept in memory and numbered, so that
 * a client gets them first and can go on where it was; each follower remembers the number it wants
 * next and is woken like any waiting call.
 */
#include "api/call.h"
#include "api/find.h"
#include "api/shape.h"
#include "base/id.h"

enum { KEPT_EVENTS = 1024 };

struct api_kept_event {
    TAILQ_ENTRY(api_kept_event) link;
    uint64_t number;    /* from 1 */
    uint64_t container; /* 0: of none */
    char *json;         /* as text, an eighth of the memory */
    char *end;          /* how the container ended, if it had by then; it may be removed soon */
};

static void drop_oldest(struct api_server *s)
{
    struct api_kept_event *e = TAILQ_FIRST(&s->kept);
    TAILQ_REMOVE(&s->kept, e, link);
    s->n_kept--;
    free(e->json);
    free(e->end);
    free(e);
}

/* Takes over json; NULL without memory. */
static char *text_of(json_t *json)
{
    char *ret = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return ret;
}

void events_free(struct api_server *s)
{
    while (!TAILQ_EMPTY(&s->kept))
        drop_oldest(s);
}

void events_keep(struct api_server *s, const struct effect *event, int64_t wall_ms)
{
    uint64_t inst = event->event.inst.v ? event->event.inst.v : event->inst.v;
    struct view_container v;
    struct api_kept_event *e = calloc(1, sizeof *e);
    if (!e)
        return; /* an event that is not shown loses no state */
    e->number = ++s->next_event;
    e->json = text_of(json_pack(
        "{s:I, s:o, s:s?, s:s?, s:s?, s:o, s:s?}", "number", (json_int_t)e->number, "time",
        shape_time(wall_ms), "type", event->event.type, "deployment", event->event.deployment,
        "service", event->event.service, "container", shape_id(inst), "text", event->event.text));
    e->container = inst;
    const struct core *core = s->ops->core(s->agent);
    if (inst && find_container_id(core, (struct inst_id){ inst }, &v) == 0 && v.has_exit)
        e->end = text_of(shape_end(&v));
    TAILQ_INSERT_TAIL(&s->kept, e, link);
    if (++s->n_kept > KEPT_EVENTS)
        drop_oldest(s);
}

json_t *events_find_end(const struct api_server *s, uint64_t container)
{
    const struct api_kept_event *e;
    TAILQ_FOREACH_REVERSE (e, &s->kept, api_kept_events, link) {
        if (e->container == container && e->end)
            return json_loads(e->end, 0, NULL);
    }
    return NULL;
}

struct follower {
    uint64_t next; /* number of the event it gets next */
    bool follow;
};

static bool send_events(struct api_call *c)
{
    struct follower *f = c->state;
    const struct api_kept_event *e;
    TAILQ_FOREACH (e, &c->server->kept, link) {
        if (e->number < f->next)
            continue;
        if (e->number > f->next && f->next > 1 &&
            !stream_line(c, json_pack("{s:s, s:I}", "type", "lost", "count",
                                      (json_int_t)(e->number - f->next))))
            return true;
        f->next = e->number + 1;
        if (!stream_line(c, e->json ? json_loads(e->json, 0, NULL) : NULL))
            return true;
    }
    if (f->follow)
        return false;
    stream_end(c);
    return true;
}

static void get_events(struct api_call *c)
{
    struct follower *f = call_state(c, sizeof *f, NULL);
    if (!f)
        return;
    f->follow = call_query_bool(c, "follow");
    f->next = call_query_u64(c, "since", 0) + 1;
    stream_begin(c);
    call_wait(c, send_events, 0, NULL);
}

/* clang-format off */
const struct api_route event_routes[] = {
    { "GET", "/api/v1/events", get_events, "reader", "NDJSON: the last 1024 events", "follow, since (a number)" },
    { 0 },
};
/* clang-format on */
