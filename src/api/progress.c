// SPDX-License-Identifier: Apache-2.0
/*
 * The progress of a deploy as a stream: first the state of every service as it is, then one line
 * for each that changed, and at the end {"event":"ready"} or {"event":"failed"}. It compares
 * states, it records none, so a late client sees the same as an early one. With follow=1 the stream
 * goes on after the end of the deploy, until the deployment is removed ({"event":"removed"}).
 */
#include <stdio.h>
#include <string.h>

#include "api/call.h"
#include "api/find.h"
#include "api/shape.h"

struct progress {
    json_t *seen; /* service name → its shape, as it was sent last */
    char status[32];
    bool ready;
    bool follow;
};

static void progress_free(void *state)
{
    struct progress *p = state;
    json_decref(p->seen);
    free(p);
}

struct changes {
    json_t *seen, *lines;
};

static bool note_change(void *arg, const struct view_service *v)
{
    struct changes *ch = arg;
    json_t *now = shape_service(v);
    const json_t *before = json_object_get(ch->seen, v->service->name);
    if (now && (!before || !json_equal(now, before))) {
        json_t *line = json_pack("{s:s, s:O}", "event", "service", "service", now);
        (void)json_array_append_new(ch->lines, line);
        (void)json_object_set(ch->seen, v->service->name, now);
    }
    json_decref(now);
    return true;
}

/* Everything runs and is healthy, and has been for the time that core asks for: a service that dies
 * at once is never ready. */
static bool is_settled(const struct view_deployment *v)
{
    return v->ready && v->status == DEP_RUNNING;
}

/* The lines for what changed since the last look; a reference. */
static json_t *look(const struct core *core, struct progress *p, const struct view_deployment *v)
{
    struct changes ch = { .seen = p->seen, .lines = json_array() };
    const char *status = deployment_status_name(v->status);
    bool ready = is_settled(v);
    bool news = strcmp(status, p->status) != 0 || ready != p->ready;
    if (!ch.lines)
        return NULL;
    if (!p->status[0])
        (void)json_array_append_new(ch.lines, json_pack("{s:s, s:o}", "event", "started",
                                                        "deployment", shape_deployment(core, v)));
    core_each_service(core, v->row->name, note_change, &ch);
    if (news && ready)
        (void)json_array_append_new(ch.lines, json_pack("{s:s}", "event", "ready"));
    else if (news && v->status == DEP_FAILED)
        (void)json_array_append_new(ch.lines, json_pack("{s:s, s:s}", "event", "failed", "message",
                                                        v->message ? v->message : ""));
    (void)snprintf(p->status, sizeof p->status, "%s", status);
    p->ready = ready;
    return ch.lines;
}

static bool send_lines(struct api_call *c, json_t *lines)
{
    size_t i;
    json_t *line;
    json_array_foreach(lines, i, line)
    {
        if (!stream_line(c, json_incref(line)))
            return false;
    }
    return true;
}

static bool end_with(struct api_call *c, const char *event)
{
    if (stream_line(c, json_pack("{s:s}", "event", event)))
        stream_end(c);
    return true;
}

static bool send_progress(struct api_call *c)
{
    struct progress *p = c->state;
    struct view_deployment v;
    if (find_deployment(call_core(c), c->params[0], &v, NULL) < 0)
        return end_with(c, "removed");
    json_t *lines = look(call_core(c), p, &v);
    bool over = !p->follow && (is_settled(&v) || v.status == DEP_FAILED);
    bool alive = lines && send_lines(c, lines);
    json_decref(lines);
    if (alive && over)
        stream_end(c);
    return !alive || over;
}

static void too_late(struct api_call *c)
{
    (void)end_with(c, "timeout");
}

void get_progress(struct api_call *c)
{
    struct view_deployment v;
    if (path_deployment(c, &v) < 0)
        return;
    struct progress *p = call_state(c, sizeof *p, progress_free);
    if (!p)
        return;
    p->seen = json_object();
    if (!p->seen) {
        reply_fail(c, ZL_ERR_SYSTEM, "no memory to follow a deployment");
        return;
    }
    p->follow = call_query_bool(c, "follow");
    stream_begin(c);
    call_wait(c, send_progress, call_query_u64(c, "timeout_ms", 0), too_late);
}
