// SPDX-License-Identifier: Apache-2.0
#include "api/shape.h"

#include <string.h>

#include "base/clock.h"
#include "base/id.h"

json_t *shape_time(int64_t wall_ms)
{
    char text[ZL_RFC3339_SIZE];
    if (wall_ms == 0)
        return json_null();
    (void)zl_format_rfc3339(wall_ms * 1000000, 3, text);
    return json_string(text);
}

json_t *shape_id(uint64_t id)
{
    char text[ZL_ID_LEN + 1];
    if (id == 0)
        return json_null();
    zl_id_format(id, text);
    return json_string(text);
}

static const char *exit_reason(const struct inst_exit *e)
{
    if (e->lost)
        return "lost";
    if (e->why != EXIT_UNSAID)
        return e->why == EXIT_TIMEOUT ? "timeout" : "runtime_error";
    return e->oom ? "oom_killed" : e->signal ? "signal" : "exited";
}

static json_t *shape_exit(const struct inst_exit *e)
{
    return json_pack("{s:i, s:i, s:b, s:b, s:s, s:o}", "code", e->code, "signal", e->signal, "oom",
                     e->oom, "lost", e->lost, "reason", exit_reason(e), "at",
                     shape_time(e->wall_ms));
}

json_t *shape_end(const struct view_container *v)
{
    bool failed = !v->has_exit || v->why[0];
    return json_pack("{s:o, s:o, s:s, s:s}", "id", shape_id(v->id.v), "exit",
                     v->has_exit ? shape_exit(&v->exit) : json_null(), "reason",
                     failed && !v->exit.lost ? "runtime_error" : exit_reason(&v->exit), "why",
                     v->why);
}

static const char *owner_name(enum owner_kind owner)
{
    static const char *const names[] = {
        [OWNER_REPLICA] = "replica",
        [OWNER_EXECUTION] = "execution",
        [OWNER_STANDALONE] = "standalone",
    };
    return names[owner];
}

json_t *shape_container(const struct view_container *v, const char *log)
{
    return json_pack(
        "{s:o, s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:s?, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:i, "
        "s:b, "
        "s:o, s:s?}",
        "id", shape_id(v->id.v), "name", v->name, "owner", owner_name(v->label.owner), "deployment",
        v->label.deployment, "service", v->label.service, "role", v->label.role, "index",
        (int)v->label.index, "execution", shape_id(v->label.execution), "image",
        v->service ? v->service->image.name : NULL, "state", inst_state_name(v->state), "health",
        health_state_name(v->health), "health_reason", v->health_reason, "why", v->why, "pid",
        v->pid ? json_integer(v->pid) : json_null(), "created_at", shape_time(v->created_ms),
        "started_at", shape_time(v->started_ms), "restarts", (int)v->restarts, "crash_loop",
        v->crash_loop, "exit", v->has_exit ? shape_exit(&v->exit) : json_null(), "log", log);
}

static json_t *shape_endpoints(const struct spec_service *s)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < s->n_endpoints; i++) {
        const struct spec_endpoint *e = &s->endpoints[i];
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s, s:i}", "name", e->name, "protocol",
                                              spec_protocol_name(e->protocol), "port", e->port));
    }
    return list;
}

static json_t *shape_digest(const char *digest)
{
    return digest && *digest ? json_string(digest) : json_null();
}

json_t *shape_service(const struct view_service *v)
{
    const struct spec_service *s = v->service;
    return json_pack("{s:s, s:s, s:s, s:s?, s:o, s:o, s:s, s:s, s:i, s:i, s:i, s:b, s:b, s:o, s:o}",
                     "deployment", v->deployment, "name", s->name, "rtype",
                     spec_rtype_name(s->rtype), "image", s->image.name, "image_digest",
                     shape_digest(v->digest), "previous_image_digest",
                     shape_digest(v->previous_digest), "status", v->status, "why", v->why,
                     "desired", (int)v->desired, "running", (int)v->running, "healthy",
                     (int)v->healthy, "health_check", s->health.written, "stopped", v->stopped,
                     "endpoints", shape_endpoints(s), "created_at", shape_time(v->created_ms));
}

static bool add_service(void *list, const struct view_service *v)
{
    return json_array_append_new(list, shape_service(v)) == 0;
}

json_t *shape_deployment(const struct core *core, const struct view_deployment *v)
{
    const struct row_deployment *row = v->row;
    json_t *services = json_array();
    if (services)
        core_each_service(core, row->name, add_service, services);
    return json_pack("{s:s, s:I, s:s, s:s, s:b, s:s?, s:o, s:o, s:o}", "name", row->name,
                     "revision", (json_int_t)row->revision, "status",
                     deployment_status_name(v->status), "message", v->message ? v->message : "",
                     "ready", v->ready, "base_dir", row->base_dir, "created_at",
                     shape_time(row->created_ms), "updated_at", shape_time(row->updated_ms),
                     "services", services);
}

json_t *shape_execution(const struct row_execution *v, const char *log)
{
    const char *digest = v->digest && v->digest[0] ? v->digest : NULL;
    return json_pack("{s:o, s:s, s:s, s:I, s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:s?, s:s?}",
                     "id", shape_id(v->id), "deployment", v->deployment, "job", v->job, "revision",
                     (json_int_t)v->revision, "trigger", execution_cause_name(v->cause), "due_at",
                     shape_time(v->due_ms), "status", execution_status_name(v->status), "reason",
                     v->reason ? v->reason : "", "exit_code",
                     v->exit_code < 0 ? json_null() : json_integer(v->exit_code), "created_at",
                     shape_time(v->created_ms), "started_at", shape_time(v->started_ms),
                     "finished_at", shape_time(v->finished_ms), "log", log, "image_digest", digest);
}

json_t *shape_cron(const struct view_cron *v, const char *log)
{
    const struct row_cron *r = v->row;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:i, s:o, s:o, s:o, s:I, s:I, s:I}",
                     "deployment", r->deployment, "name", r->cron, "image", v->service->image.name,
                     "schedule", v->service->schedule, "time_zone", v->time_zone, "enabled",
                     !r->disabled, "why", v->why, "running", (int)v->running, "next_run",
                     v->next_ms == INT64_MAX ? json_null() : shape_time(v->next_ms), "last_run",
                     shape_time(r->last_run_ms), "last_execution",
                     v->has_last ? shape_execution(&v->last, log) : json_null(), "runs",
                     (json_int_t)r->runs, "missed", (json_int_t)r->missed, "skipped",
                     (json_int_t)r->skipped);
}

struct users {
    const char *digest;
    json_t *list;
};

static bool add_user(void *arg, const struct view_service *v)
{
    const struct users *u = arg;
    bool now = strcmp(v->digest, u->digest) == 0;
    if (!now && strcmp(v->previous_digest, u->digest) != 0)
        return true;
    return json_array_append_new(u->list, json_pack("{s:s, s:s, s:s}", "deployment", v->deployment,
                                                    "service", v->service->name, "version",
                                                    now ? "present" : "previous")) == 0;
}

json_t *shape_image_users(const struct core *core, const char *digest)
{
    struct users u = { digest, json_array() };
    if (u.list)
        core_each_service(core, NULL, add_user, &u);
    return u.list;
}

json_t *shape_image(const struct core *core, const struct image *i)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:I, s:o, s:b, s:o}", "reference", i->reference,
                     "normalized", i->normalized, "digest", i->digest, "layers", (int)i->n_layers,
                     "size", (json_int_t)i->size, "created_at", shape_time(i->created_ms), "wasm",
                     i->wasm.digest[0] != '\0', "used_by", shape_image_users(core, i->digest));
}
