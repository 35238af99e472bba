// SPDX-License-Identifier: Apache-2.0
/* Crons: jobs that their schedule triggers. Their executions are those of jobs.c. */
#include <string.h>

#include "api/call.h"
#include "api/find.h"
#include "api/shape.h"

static json_t *cron_json(const struct api_call *c, const struct view_cron *v)
{
    zl_autobuf struct zl_buf log = ZL_BUF(4096);
    const struct inst_label label = { .owner = OWNER_EXECUTION,
                                      .deployment = v->row->deployment,
                                      .service = v->row->cron,
                                      .role = "default",
                                      .execution = v->row->last_execution };
    return shape_cron(v, call_log_path(c, &label, (struct inst_id){ 0 }, &log));
}

/* ---- looking ------------------------------------------------------------------------------ */

struct listing {
    const struct api_call *call;
    json_t *list;
};

static bool list_cron(void *arg, const struct view_cron *v)
{
    const struct listing *l = arg;
    return json_array_append_new(l->list, cron_json(l->call, v)) == 0;
}

static void get_crons(struct api_call *c)
{
    struct listing l = { c, json_array() };
    if (l.list)
        core_each_cron(call_core(c), NULL, list_cron, &l);
    reply_json(c, 200, l.list);
}

/* Of a path with or without a deployment. */
static const char *deployment_of(const struct api_call *c)
{
    return c->params[1] ? c->params[0] : NULL;
}

static const char *cron_of(const struct api_call *c)
{
    return c->params[1] ? c->params[1] : c->params[0];
}

static void get_cron(struct api_call *c)
{
    struct view_cron v;
    struct zl_error err = { 0 };
    if (find_cron(call_core(c), deployment_of(c), cron_of(c), &v, &err) < 0)
        reply_error(c, &err);
    else
        reply_json(c, 200, cron_json(c, &v));
}

/* ---- acting ------------------------------------------------------------------------------- */

static void triggered(struct api_call *c, uint64_t id)
{
    reply_json(c, 202, json_pack("{s:o}", "execution_id", shape_id(id)));
}

static void post_trigger(struct api_call *c)
{
    struct view_cron v;
    struct zl_error err = { 0 };
    if (find_cron(call_core(c), deployment_of(c), cron_of(c), &v, &err) < 0) {
        reply_error(c, &err);
        return;
    }
    call_submit(
        c,
        (struct event){ .kind = EV_JOB_RUN,
                        .job_run = { .deployment = v.row->deployment, .job = v.row->cron } },
        triggered);
}

static void is_set(struct api_call *c, uint64_t id)
{
    (void)id;
    get_cron(c);
}

static void set_enabled(struct api_call *c, bool enabled)
{
    struct event ev = { .kind = EV_CRON_SET };
    ev.cron_set.deployment = deployment_of(c);
    ev.cron_set.cron = cron_of(c);
    ev.cron_set.enabled = enabled;
    call_submit(c, ev, is_set);
}

static void put_enable(struct api_call *c)
{
    set_enabled(c, true);
}

static void put_disable(struct api_call *c)
{
    set_enabled(c, false);
}

/* clang-format off */
const struct api_route cron_routes[] = {
    { "GET",  "/api/v1/cron",                              get_crons,    "reader",   "every cron with its last execution and its next run" },
    { "GET",  "/api/v1/cron/{c}",                          get_cron,     "reader",   "the only cron of that name" },
    { "POST", "/api/v1/cron/{c}/trigger",                  post_trigger, "operator", "runs it now, also when it is disabled: 202 {execution_id}" },
    { "PUT",  "/api/v1/cron/{c}/enable",                   put_enable,   "operator", "lets its schedule run it again, from now on" },
    { "PUT",  "/api/v1/cron/{c}/disable",                  put_disable,  "operator", "its schedule runs it no more; what runs goes on" },
    { "GET",  "/api/v1/deployments/{d}/cron/{c}",          get_cron,     "reader",   "one cron" },
    { "POST", "/api/v1/deployments/{d}/cron/{c}/trigger",  post_trigger, "operator", "runs it now: 202 {execution_id}" },
    { "PUT",  "/api/v1/deployments/{d}/cron/{c}/enable",   put_enable,   "operator", "lets its schedule run it again" },
    { "PUT",  "/api/v1/deployments/{d}/cron/{c}/disable",  put_disable,  "operator", "its schedule runs it no more" },
    { 0 },
};
/* clang-format on */
