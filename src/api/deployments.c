// SPDX-License-Identifier: Apache-2.0
/* Deployments and their services: deploy, look, stop, remove. */
#include <string.h>

#include "api/call.h"
#include "api/find.h"
#include "api/shape.h"

enum { WAIT_DEFAULT_MS = 10 * 60 * 1000 };

/* ---- looking ------------------------------------------------------------------------------- */

struct listing {
    const struct core *core;
    json_t *list;
};

static bool list_deployment(void *arg, const struct view_deployment *v)
{
    struct listing *l = arg;
    return json_array_append_new(l->list, shape_deployment(l->core, v)) == 0;
}

static void get_deployments(struct api_call *c)
{
    struct listing l = { call_core(c), json_array() };
    if (l.list)
        core_each_deployment(l.core, list_deployment, &l);
    reply_json(c, 200, l.list);
}

static void get_deployment(struct api_call *c)
{
    struct view_deployment v;
    if (path_deployment(c, &v) == 0)
        reply_json(c, 200, shape_deployment(call_core(c), &v));
}

static void get_spec(struct api_call *c)
{
    struct view_deployment v;
    if (path_deployment(c, &v) < 0)
        return;
    reply_json(c, 200,
               json_pack("{s:s, s:I, s:s, s:s?}", "name", v.row->name, "revision",
                         (json_int_t)v.row->revision, "spec", v.row->spec->text, "base_dir",
                         v.row->base_dir));
}

static bool list_service(void *arg, const struct view_service *v)
{
    return json_array_append_new(arg, shape_service(v)) == 0;
}

static void get_services(struct api_call *c)
{
    struct view_deployment v;
    if (path_deployment(c, &v) < 0)
        return;
    json_t *list = json_array();
    if (list)
        core_each_service(call_core(c), v.row->name, list_service, list);
    reply_json(c, 200, list);
}

static void get_all_services(struct api_call *c)
{
    json_t *list = json_array();
    if (list)
        core_each_service(call_core(c), NULL, list_service, list);
    reply_json(c, 200, list);
}

static void get_service(struct api_call *c)
{
    struct view_service v;
    if (path_service(c, &v) == 0)
        reply_json(c, 200, shape_service(&v));
}

/* ---- deploying ----------------------------------------------------------------------------- */

struct deploy {
    const char *text, *name, *base_dir; /* of the call's body */
    struct spec *spec;
    json_t *findings; /* warnings */
};

static const struct zl_field deploy_fields[] = {
    { "spec", zl_json_string, offsetof(struct deploy, text), ZL_REQUIRED },
    { "name", zl_json_string, offsetof(struct deploy, name), 0 },
    { "base_dir", zl_json_abs_path, offsetof(struct deploy, base_dir), 0 },
    { 0 },
};

static void deploy_free(void *state)
{
    struct deploy *d = state;
    spec_unref(d->spec);
    json_decref(d->findings);
    free(d);
}

static void deployed(struct api_call *c, uint64_t id)
{
    const struct deploy *d = c->state;
    struct view_deployment v;
    (void)id;
    struct zl_error err = { 0 };
    if (find_deployment(call_core(c), d->spec->deployment, &v, &err) < 0)
        reply_error(c, &err); /* it was removed again meanwhile */
    else
        reply_json(c, 201,
                   json_pack("{s:s, s:I, s:O}", "name", v.row->name, "revision",
                             (json_int_t)v.row->revision, "diagnostics", d->findings));
}

static void post_deployment(struct api_call *c)
{
    struct deploy *d = call_state(c, sizeof *d, deploy_free);
    if (!d)
        return;
    d->name = "<api>";
    if (call_decode(c, deploy_fields, d) < 0)
        return;
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    d->spec = spec_parse(d->text, strlen(d->text), d->name, d->base_dir, &diags);
    if (!d->spec || !call_check_spec(c, d->spec, &diags)) {
        reply_diags(c, &diags);
        return;
    }
    d->findings = diags_to_json(&diags);
    call_submit(
        c,
        (struct event){ .kind = EV_DEPLOY, .deploy = { .spec = d->spec, .base_dir = d->base_dir } },
        deployed);
}

/* ---- stopping and removing ----------------------------------------------------------------- */

struct halt { /* of DELETE by query, of POST …/stop by body */
    const char *service;
    uint64_t grace_ms;
    bool force;
};

static bool when_removed(struct api_call *c)
{
    struct view_deployment v;
    if (find_deployment(call_core(c), c->params[0], &v, NULL) == 0)
        return false;
    reply_empty(c);
    return true;
}

static void still_there(struct api_call *c)
{
    struct view_deployment v;
    if (path_deployment(c, &v) == 0)
        reply_json(c, 202, shape_deployment(call_core(c), &v));
}

static void down_begun(struct api_call *c, uint64_t id)
{
    (void)id;
    if (call_query_bool(c, "wait"))
        call_wait(c, when_removed, call_query_u64(c, "timeout_ms", WAIT_DEFAULT_MS), still_there);
    else if (!when_removed(c))
        still_there(c);
}

static void delete_deployment(struct api_call *c)
{
    call_submit(c,
                (struct event){ .kind = EV_DOWN,
                                .down = { .deployment = c->params[0],
                                          .grace_ms = call_query_u64(c, "grace_ms", 0),
                                          .force = call_query_bool(c, "force") } },
                down_begun);
}

static const struct zl_field stop_fields[] = {
    { "service", zl_json_string, offsetof(struct halt, service), 0 },
    { "grace_ms", zl_json_u64, offsetof(struct halt, grace_ms), 0 },
    { "force", zl_json_bool, offsetof(struct halt, force), 0 },
    { 0 },
};

struct stop_sum {
    const struct core *core;
    const char *service; /* NULL: all */
    const char *counted; /* the one whose containers are counted */
    uint32_t left;       /* containers that have not ended, or are not removed yet */
    json_t *list;
};

/* Of replicas and executions. A slot without an incarnation has no container; an exited one is kept
 * on purpose. */
static bool count_container(void *arg, const struct view_container *v)
{
    struct stop_sum *s = arg;
    s->left += v->id.v != 0 && v->label.owner != OWNER_STANDALONE && v->state != INST_EXITED &&
               strcmp(v->label.service, s->counted) == 0;
    return true;
}

static bool sum_service(void *arg, const struct view_service *v)
{
    struct stop_sum *s = arg;
    if (s->service && strcmp(s->service, v->service->name) != 0)
        return true;
    s->counted = v->service->name;
    core_each_container(s->core, v->deployment, count_container, s);
    return json_array_append_new(s->list, shape_service(v)) == 0;
}

static bool answer_stop(struct api_call *c, bool even_if_running)
{
    const struct halt *h = c->state;
    struct stop_sum sum = { .core = call_core(c), .service = h->service, .list = json_array() };
    if (sum.list)
        core_each_service(sum.core, c->params[0], sum_service, &sum);
    if (sum.left > 0 && !even_if_running) {
        json_decref(sum.list);
        return false;
    }
    reply_json(c, sum.left ? 202 : 200, sum.list);
    return true;
}

static bool when_stopped(struct api_call *c)
{
    return answer_stop(c, false);
}

static void still_running(struct api_call *c)
{
    (void)answer_stop(c, true);
}

static void stop_begun(struct api_call *c, uint64_t id)
{
    (void)id;
    if (call_query_bool(c, "wait"))
        call_wait(c, when_stopped, call_query_u64(c, "timeout_ms", WAIT_DEFAULT_MS), still_running);
    else
        still_running(c);
}

static void post_stop(struct api_call *c)
{
    struct view_deployment v;
    struct halt *h = call_state(c, sizeof *h, NULL);
    if (!h)
        return;
    if (call_decode(c, stop_fields, h) < 0 || path_deployment(c, &v) < 0)
        return;
    struct view_service s;
    struct zl_error err = { 0 };
    if (h->service && find_service(call_core(c), c->params[0], h->service, &s, &err) < 0) {
        reply_error(c, &err);
        return;
    }
    call_submit(c,
                (struct event){ .kind = EV_STOP,
                                .stop = { .deployment = c->params[0],
                                          .service = h->service,
                                          .grace_ms = h->grace_ms,
                                          .force = h->force } },
                stop_begun);
}

/* ---- restarting ---------------------------------------------------------------------------- */

struct restart {
    const char *service;
    uint64_t index;
};

static const struct zl_field restart_fields[] = {
    { "service", zl_json_string, offsetof(struct restart, service), 0 },
    { "index", zl_json_u64, offsetof(struct restart, index), 0 },
    { 0 },
};

static void restart_begun(struct api_call *c, uint64_t id)
{
    (void)id;
    still_there(c);
}

static void post_restart(struct api_call *c)
{
    struct restart r = { 0 };
    struct view_deployment v;
    if (call_decode(c, restart_fields, &r) < 0 || path_deployment(c, &v) < 0)
        return;
    if (r.index > UINT32_MAX || (r.index && !r.service)) {
        reply_fail(c, ZL_ERR_INVALID, "request body: an index is that of a replica of a service");
        return;
    }
    call_submit(c,
                (struct event){ .kind = EV_RESTART,
                                .restart = { .deployment = c->params[0],
                                             .service = r.service,
                                             .index = (uint32_t)r.index } },
                restart_begun);
}

/* clang-format off */
const struct api_route deployment_routes[] = {
    { "GET",    "/api/v1/deployments",                         get_deployments,   "reader",   "every deployment with its services" },
    { "POST",   "/api/v1/deployments",                         post_deployment,   "deployer", "deploys a document: 201 {name, revision, diagnostics}, or 422 with the findings" },
    { "GET",    "/api/v1/deployments/{d}",                     get_deployment,    "reader",   "one deployment" },
    { "DELETE", "/api/v1/deployments/{d}",                     delete_deployment, "operator", "stops and removes it", "wait, timeout_ms, grace_ms, force" },
    { "GET",    "/api/v1/deployments/{d}/spec",                get_spec,          "reader",   "the document as it was deployed" },
    { "GET",    "/api/v1/deployments/{d}/events",              get_progress,      "reader",   "NDJSON: its state now, then changes until ready or failed", "follow, timeout_ms" },
    { "POST",   "/api/v1/deployments/{d}/stop",                post_stop,         "operator", "stops a service, or all, until the next deploy", "wait, timeout_ms" },
    { "POST",   "/api/v1/deployments/{d}/restart",             post_restart,      "operator", "new replicas of the same version, of a service {service}, of one replica {service, index}, or of all: 202" },
    { "GET",    "/api/v1/deployments/{d}/services",            get_services,      "reader",   "its services" },
    { "GET",    "/api/v1/deployments/{d}/services/{s}",        get_service,       "reader",   "one service" },
    { "GET",    "/api/v1/deployments/{d}/services/{s}/containers", get_service_containers, "reader", "the containers of a service" },
    { "GET",    "/api/v1/deployments/{d}/services/{s}/logs", get_service_logs, "reader", "the log files of its replicas or executions" },
    { "GET",    "/api/v1/services",                            get_all_services,  "reader",   "the services of all deployments" },
    { 0 },
};
/* clang-format on */
