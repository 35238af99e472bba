// SPDX-License-Identifier: Apache-2.0
/* Jobs and their executions. */
#include <string.h>

#include "api/call.h"
#include "api/find.h"
#include "api/shape.h"
#include "base/id.h"

enum { EXECUTIONS_DEFAULT = 50, WAIT_DEFAULT_MS = 60 * 60 * 1000 };

static json_t *execution_json(const struct api_call *c, const struct row_execution *v)
{
    zl_autobuf struct zl_buf log = ZL_BUF(4096);
    struct inst_label label = { .owner = OWNER_EXECUTION,
                                .deployment = v->deployment,
                                .service = v->job,
                                .role = "default",
                                .execution = v->id };
    return shape_execution(v, call_log_path(c, &label, (struct inst_id){ 0 }, &log));
}

struct newest {
    const struct api_call *call;
    json_t *execution;
};

static bool take_first(void *arg, const struct row_execution *v)
{
    struct newest *n = arg;
    n->execution = execution_json(n->call, v);
    return false;
}

struct listing {
    const struct api_call *call;
    json_t *list;
};

static bool list_job(void *arg, const struct view_service *v)
{
    struct listing *l = arg;
    if (v->service->rtype != SPEC_JOB)
        return true;
    struct newest last = { .call = l->call };
    core_each_execution(call_core(l->call), v->deployment, v->service->name, take_first, &last);
    json_t *job = json_pack("{s:s, s:s, s:s, s:o}", "deployment", v->deployment, "name",
                            v->service->name, "image", v->service->image.name, "last_execution",
                            last.execution ? last.execution : json_null());
    return json_array_append_new(l->list, job) == 0;
}

static void get_jobs(struct api_call *c)
{
    struct listing l = { c, json_array() };
    if (l.list)
        core_each_service(call_core(c), NULL, list_job, &l);
    reply_json(c, 200, l.list);
}

static void triggered(struct api_call *c, uint64_t id)
{
    reply_json(c, 202, json_pack("{s:o}", "execution_id", shape_id(id)));
}

static void trigger(struct api_call *c, const char *deployment, const char *job)
{
    call_submit(
        c,
        (struct event){ .kind = EV_JOB_RUN, .job_run = { .deployment = deployment, .job = job } },
        triggered);
}

static void post_trigger(struct api_call *c)
{
    trigger(c, NULL, c->params[0]);
}

static void post_deployment_trigger(struct api_call *c)
{
    trigger(c, c->params[0], c->params[1]);
}

static bool is_final(enum execution_status s)
{
    return s == EXEC_COMPLETED || s == EXEC_FAILED || s == EXEC_CANCELLED;
}

static bool answer_execution(struct api_call *c, bool final_only)
{
    struct row_execution v;
    struct zl_error err = { 0 };
    if (find_execution(call_core(c), c->params[0], &v, &err) < 0) {
        reply_error(c, &err);
        return true;
    }
    if (final_only && !is_final(v.status))
        return false;
    reply_json(c, is_final(v.status) ? 200 : 202, execution_json(c, &v));
    return true;
}

static bool when_final(struct api_call *c)
{
    return answer_execution(c, true);
}

static void as_it_is(struct api_call *c)
{
    (void)answer_execution(c, false);
}

static void get_execution(struct api_call *c)
{
    if (call_query_bool(c, "wait"))
        call_wait(c, when_final, call_query_u64(c, "timeout_ms", WAIT_DEFAULT_MS), as_it_is);
    else
        as_it_is(c);
}

struct executions {
    const struct api_call *call;
    json_t *list;
    size_t limit;
};

static bool list_execution(void *arg, const struct row_execution *v)
{
    struct executions *e = arg;
    if (json_array_size(e->list) >= e->limit)
        return false;
    return json_array_append_new(e->list, execution_json(e->call, v)) == 0;
}

static void get_executions(struct api_call *c)
{
    struct executions e = { c, json_array(),
                            (size_t)call_query_u64(c, "limit", EXECUTIONS_DEFAULT) };
    if (e.list)
        core_each_execution(call_core(c), call_query(c, "deployment"), c->params[0], list_execution,
                            &e);
    reply_json(c, 200, e.list);
}

/* clang-format off */
const struct api_route job_routes[] = {
    { "GET",  "/api/v1/jobs",                                get_jobs,                "reader",   "every job with its last execution" },
    { "POST", "/api/v1/jobs/{j}/trigger",                    post_trigger,            "operator", "runs the only job of that name: 202 {execution_id}" },
    { "POST", "/api/v1/deployments/{d}/jobs/{j}/trigger",    post_deployment_trigger, "operator", "runs a job: 202 {execution_id}" },
    { "GET",  "/api/v1/jobs/{execution}/status",             get_execution,           "reader",   "one execution: 200 when it has ended, else 202", "wait, timeout_ms" },
    { "GET",  "/api/v1/jobs/{j}/executions",                 get_executions,          "reader",   "executions of a job, newest first", "deployment, limit" },
    { 0 },
};
/* clang-format on */
