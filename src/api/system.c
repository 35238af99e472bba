// SPDX-License-Identifier: Apache-2.0
/* Routes about the agent itself, and checking a document without deploying it. */
#include <string.h>

#include "api/call.h"
#include "base/clock.h"

static struct api_info info_of(const struct api_call *c)
{
    struct api_info info = { 0 };
    c->server->ops->info(c->server->agent, &info);
    return info;
}

static json_t *health_json(const struct api_info *info)
{
    return json_pack("{s:s, s:s, s:I, s:s}", "status", info->ready ? "ok" : "restoring", "version",
                     info->version, "uptime_secs",
                     (json_int_t)((zl_wall_ms() - info->started_wall_ms) / 1000), "runtime_name",
                     info->runtime);
}

static void get_live(struct api_call *c)
{
    struct api_info info = info_of(c);
    info.ready = true; /* it answers: it lives */
    reply_json(c, 200, health_json(&info));
}

static void get_ready(struct api_call *c)
{
    struct api_info info = info_of(c);
    json_t *body = health_json(&info);
    if (body && !info.ready)
        (void)json_object_set_new(body, "failing", json_pack("[s]", "restore"));
    reply_json(c, info.ready ? 200 : 503, body);
}

static void get_info(struct api_call *c)
{
    struct api_info info = info_of(c);
    char started[ZL_RFC3339_SIZE];
    (void)zl_format_rfc3339(info.started_wall_ms * 1000000, 3, started);
    reply_json(c, 200,
               json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:b}", "version", info.version,
                         "api", "v1", "runtime", info.runtime, "root_dir", info.root_dir,
                         "runtime_dir", info.runtime_dir, "socket", info.socket, "pid", info.pid,
                         "started_at", started, "ready", info.ready));
}

struct document {
    const char *spec, *name, *base_dir;
};

static const struct zl_field document_fields[] = {
    { "spec", zl_json_string, offsetof(struct document, spec), ZL_REQUIRED },
    { "name", zl_json_string, offsetof(struct document, name), 0 },
    { "base_dir", zl_json_abs_path, offsetof(struct document, base_dir), 0 },
    { 0 },
};

static json_t *service_names(const struct spec *spec)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < spec->n_services; i++) {
        const struct spec_service *s = &spec->services[spec->start_order[i]];
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i}", "name", s->name,
                                                    "rtype", spec_rtype_name(s->rtype), "image",
                                                    s->image.name, "replicas", (int)s->replicas));
    }
    return list;
}

static void post_validate(struct api_call *c)
{
    struct document d = { .name = "<api>" };
    if (call_decode(c, document_fields, &d) < 0)
        return;
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    autospec struct spec *spec = spec_parse(d.spec, strlen(d.spec), d.name, d.base_dir, &diags);
    if (!spec || !call_check_spec(c, spec, &diags)) {
        reply_diags(c, &diags);
        return;
    }
    reply_json(c, 200,
               json_pack("{s:b, s:s, s:o, s:o}", "valid", true, "deployment", spec->deployment,
                         "services", service_names(spec), "diagnostics", diags_to_json(&diags)));
}

static void post_shutdown(struct api_call *c)
{
    struct api_server *s = c->server;
    reply_json(c, 202, json_pack("{s:s}", "status", "stopping"));
    s->ops->shutdown(s->agent);
}

/* clang-format off */
const struct api_route system_routes[] = {
    { "GET",  "/health/live",     get_live,      "reader",   "200 while the agent answers" },
    { "GET",  "/health/ready",    get_ready,     "reader",   "503 until what was running has been found again" },
    { "GET",  "/api/v1/info",     get_info,      "reader",   "version, folders, process id of the agent" },
    { "POST", "/api/v1/validate", post_validate, "reader",   "checks a document and changes nothing" },
    { "POST", "/api/v1/shutdown", post_shutdown, "admin",    "ends the agent; containers go on" },
    { 0 },
};
/* clang-format on */
