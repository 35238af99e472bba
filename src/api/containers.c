// SPDX-License-Identifier: Apache-2.0
/*
 * Containers: standalone ones are made, stopped and removed here; looking, exec, attach, kill and
 * logs are for every container. Where a stream is needed, the answer says where the monitor offers
 * it; no byte of it passes through the agent.
 */
#include <stdio.h>
#include <string.h>

#include "api/call.h"
#include "api/find.h"
#include "api/shape.h"
#include "base/id.h"

enum { WAIT_DEFAULT_MS = 10 * 60 * 1000, START_WAIT_MS = 60 * 1000, TRAP_MAX = 64 << 10 };

/* ---- looking ------------------------------------------------------------------------------- */

static json_t *container_json(struct api_call *c, const struct view_container *v)
{
    zl_autobuf struct zl_buf log = ZL_BUF(4096), trap = ZL_BUF(TRAP_MAX);
    const struct api_ops *ops = c->server->ops;
    json_t *shape = shape_container(v, call_log_path(c, &v->label, v->id, &log));
    (void)json_object_set_new(shape, "paused",
                              json_boolean(ops->is_paused(c->server->agent, v->id)));
    bool has_trap = v->has_exit && (v->exit.why == EXIT_TRAP || v->exit.why == EXIT_BROKEN);
    if (has_trap && ops->trap_text && ops->trap_text(c->server->agent, v->id, &trap))
        (void)json_object_set_new(shape, "trap", json_string(trap.data)); /* its code is there */
    return shape;
}

struct listing {
    struct api_call *call;
    const char *service; /* NULL: all */
    json_t *list;
};

static bool list_container(void *arg, const struct view_container *v)
{
    struct listing *l = arg;
    if (l->service && strcmp(l->service, v->label.service) != 0)
        return true;
    return json_array_append_new(l->list, container_json(l->call, v)) == 0;
}

static void list_containers(struct api_call *c, const char *deployment, const char *service)
{
    struct listing l = { c, service, json_array() };
    if (l.list)
        core_each_container(call_core(c), deployment, list_container, &l);
    reply_json(c, 200, l.list);
}

static void get_containers(struct api_call *c)
{
    list_containers(c, call_query(c, "deployment"), call_query(c, "service"));
}

void get_service_containers(struct api_call *c)
{
    struct view_service v;
    if (path_service(c, &v) == 0)
        list_containers(c, c->params[0], c->params[1]);
}

static void get_container(struct api_call *c)
{
    struct view_container v;
    if (path_container(c, &v) < 0)
        return;
    if (v.id.v)
        reply_details(c, container_json(c, &v), v.id);
    else
        reply_json(c, 200, container_json(c, &v));
}

static void get_log(struct api_call *c)
{
    struct view_container v;
    if (path_container(c, &v) < 0)
        return;
    zl_autobuf struct zl_buf log = ZL_BUF(4096);
    if (!call_log_path(c, &v.label, v.id, &log))
        reply_fail(c, ZL_ERR_NOT_FOUND, "'%s' has no log", v.name);
    else
        reply_json(c, 200, json_pack("{s:s, s:s}", "name", v.name, "path", log.data));
}

/* ---- run ----------------------------------------------------------------------------------- */

struct run {
    const char *name;
    const json_t *mapping; /* the service, as text or as an object */
    bool attach;
    char generated[24];
    char *text;
    struct spec *spec;
    struct inst_id id;
    json_t *where; /* of its streams; NULL: nobody waits for them */
};

static void run_free(void *state)
{
    struct run *r = state;
    free(r->text);
    spec_unref(r->spec);
    json_decref(r->where);
    free(r);
}

/* const json_t *: text or an object */
static int decode_mapping(const struct zl_json_at *at, const struct zl_field *f, void *out,
                          struct zl_error *err)
{
    (void)f;
    if (!json_is_string(at->value) && !json_is_object(at->value))
        return zl_json_fail_type(at, "a service as text or as an object", err);
    *(const json_t **)out = at->value;
    return 0;
}

static const struct zl_field run_fields[] = {
    { "name", zl_json_string, offsetof(struct run, name), 0 },
    { "spec", decode_mapping, offsetof(struct run, mapping), ZL_REQUIRED },
    { "attach", zl_json_bool, offsetof(struct run, attach), 0 },
    { 0 },
};

static json_t *run_json(const struct run *r)
{
    return json_pack("{s:o, s:s}", "id", shape_id(r->id.v), "name", r->spec->services[0].name);
}

static bool when_started(struct api_call *c)
{
    const struct run *r = c->state;
    struct view_container v;
    bool exists = find_container_id(call_core(c), r->id, &v) == 0;
    if (exists && v.state < INST_UP)
        return false;
    json_t *body = run_json(r);
    if (body && exists) /* else it has ended and was removed: delete_on_exit */
        (void)json_object_set_new(body, "container", container_json(c, &v));
    reply_json(c, 201, body);
    return true;
}

static void not_yet_started(struct api_call *c)
{
    reply_json(c, 201, run_json(c->state));
}

static json_t *where_json(const struct rt_stream_where *where)
{
    return json_pack("{s:s, s:s}", "socket", where->socket, "token", where->token);
}

static void run_accepted(struct api_call *c, uint64_t id)
{
    struct run *r = c->state;
    r->id.v = id;
    if (call_query_bool(c, "wait")) {
        call_wait(c, when_started, call_query_u64(c, "timeout_ms", START_WAIT_MS), not_yet_started);
    } else {
        not_yet_started(c);
    }
}

static void run_is_held(struct api_call *c, uint64_t id)
{
    struct run *r = c->state;
    r->id.v = id;
    json_t *body = run_json(r);
    (void)json_object_set(body, "where", r->where); /* without memory neither is answered */
    reply_json(c, 201, body);
}

static void run_held(void *arg, const struct zl_error *failed, uint64_t id,
                     const struct rt_stream_where *where)
{
    struct api_call *c = arg;
    struct run *r = c->state;
    r->where = where ? where_json(where) : NULL;
    call_op_done(c, failed, id);
}

static const char *run_name(struct run *r)
{
    char id[ZL_ID_LEN + 1];
    if (r->name)
        return r->name;
    zl_id_format(zl_id_random(), id);
    (void)snprintf(r->generated, sizeof r->generated, "run-%.8s", id);
    return r->generated;
}

static void post_container(struct api_call *c)
{
    struct run *r = call_state(c, sizeof *r, run_free);
    if (!r)
        return;
    if (call_decode(c, run_fields, r) < 0)
        return;
    r->text = json_is_string(r->mapping) ? strdup(json_string_value(r->mapping))
                                         : json_dumps(r->mapping, JSON_COMPACT);
    if (!r->text) {
        reply_fail(c, ZL_ERR_SYSTEM, "no memory for the request");
        return;
    }
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    r->spec = spec_parse_service(r->text, strlen(r->text), run_name(r), &diags);
    if (!r->spec || !call_check_spec(c, r->spec, &diags)) {
        reply_diags(c, &diags);
        return;
    }
    struct event ev = { .kind = EV_RUN,
                        .run = { .spec = r->spec, .text = r->text, .hold = r->attach } };
    if (!r->attach) {
        call_submit(c, ev, run_accepted);
        return;
    }
    call_expect(c, run_is_held);
    c->server->ops->run_attached(c->server->agent, &ev, run_held, c);
}

/* ---- stop, wait, remove -------------------------------------------------------------------- */

enum { NAME_SIZE = 512 };

struct halt {
    struct inst_id id;
    uint64_t grace_ms;
    bool force;
    bool gone; /* waits for its removal, not only its end */
    bool
        over; /* wait?next: id had ended when it was asked for; another of its name is waited for */
    char name[NAME_SIZE]; /* "deployment/name", of wait?next */
};

/* Answers once the container of c->state has ended. It is looked at while it is being removed too:
 * a container that deletes itself may never be seen in INST_EXITED. */
static bool when_ended(struct api_call *c)
{
    const struct halt *h = c->state;
    struct view_container v;
    if (find_container_id(call_core(c), h->id, &v) < 0) {
        json_t *end = h->gone ? NULL : events_find_end(c->server, h->id.v);
        if (h->gone)
            reply_empty(c);
        else if (end)
            reply_json(c, 200, end);
        else
            reply_json(c, 200,
                       json_pack("{s:o, s:n, s:s, s:s}", "id", shape_id(h->id.v), "exit", "reason",
                                 "removed", "why", ""));
        return true;
    }
    if (h->gone || v.state < INST_REMOVING)
        return false;
    reply_json(c, 200, shape_end(&v));
    return true;
}

static void still_running(struct api_call *c)
{
    const struct halt *h = c->state;
    struct view_container v;
    if (find_container_id(call_core(c), h->id, &v) == 0)
        reply_json(c, 202, container_json(c, &v));
    else
        (void)when_ended(c);
}

static void halt_begun(struct api_call *c, uint64_t id)
{
    (void)id;
    if (call_query_bool(c, "wait"))
        call_wait(c, when_ended, call_query_u64(c, "timeout_ms", WAIT_DEFAULT_MS), still_running);
    else if (!when_ended(c))
        still_running(c);
}

static const struct zl_field halt_fields[] = {
    { "grace_ms", zl_json_u64, offsetof(struct halt, grace_ms), 0 },
    { "force", zl_json_bool, offsetof(struct halt, force), 0 },
    { 0 },
};

/* The state of a call about one container; NULL: answered. */
static struct halt *halt_new(struct api_call *c)
{
    struct view_container v;
    struct halt *h = call_state(c, sizeof *h, NULL);
    if (!h)
        return NULL;
    if (call_decode(c, halt_fields, h) < 0 || path_instance(c, &v) < 0)
        return NULL;
    h->id = v.id;
    return h;
}

static void submit_halt(struct api_call *c, enum event_kind kind, const struct halt *h)
{
    call_submit(
        c,
        (struct event){ .kind = kind,
                        .inst = { .id = h->id, .grace_ms = h->grace_ms, .force = h->force } },
        halt_begun);
}

static void post_stop(struct api_call *c)
{
    struct halt *h = halt_new(c);
    if (h)
        submit_halt(c, EV_INST_STOP, h);
}

static void delete_container(struct api_call *c)
{
    struct halt *h = halt_new(c);
    if (!h)
        return;
    struct view_container v;
    if (find_container_id(call_core(c), h->id, &v) == 0 && v.label.owner != OWNER_STANDALONE) {
        reply_fail(c, ZL_ERR_CONFLICT, "'%s' belongs to %s/%s; use `zlayer stop` or `zlayer down`",
                   v.name, v.label.deployment, v.label.service);
        return;
    }
    h->gone = true;
    h->force = h->force || call_query_bool(c, "force");
    submit_halt(c, EV_INST_REMOVE, h);
}

/* A container that is gone already has left its end in the events that are kept. */
static bool answer_from_events(struct api_call *c)
{
    uint64_t id;
    json_t *end = zl_id_parse(c->params[0], &id) ? events_find_end(c->server, id) : NULL;
    if (!end)
        return false;
    reply_json(c, 200, end);
    return true;
}

/* Every core step may bring a container of the name, and none of them is gone before the next. */
static bool when_next_ended(struct api_call *c)
{
    struct halt *h = c->state;
    struct view_container v;
    if (h->over &&
        (find_container(call_core(c), h->name, &v, NULL) < 0 || v.id.v == 0 || v.id.v == h->id.v))
        return false;
    if (h->over)
        h->id = v.id;
    h->over = false;
    return when_ended(c);
}

static void still_waiting(struct api_call *c)
{
    const struct halt *h = c->state;
    if (h->over)
        reply_json(c, 202, json_pack("{s:o, s:s}", "id", shape_id(h->id.v), "state", "exited"));
    else
        still_running(c);
}

static void wait_for_next(struct api_call *c, struct halt *h)
{
    struct view_container v;
    if (find_container_id(call_core(c), h->id, &v) == 0) {
        (void)snprintf(h->name, sizeof h->name, "%s/%s", v.label.deployment, v.name);
        h->over = v.state >= INST_REMOVING;
    }
    call_wait(c, when_next_ended, call_query_u64(c, "timeout_ms", 0), still_waiting);
}

static void post_wait(struct api_call *c)
{
    struct view_container v;
    bool next = call_query_bool(c, "next");
    if (!next && find_container(call_core(c), c->params[0], &v, NULL) < 0 && answer_from_events(c))
        return;
    struct halt *h = halt_new(c);
    if (!h)
        return;
    if (next) {
        wait_for_next(c, h);
        return;
    }
    h->gone = call_query_bool(c, "removed");
    call_wait(c, when_ended, call_query_u64(c, "timeout_ms", 0), still_running);
}

/* ---- attach, exec -------------------------------------------------------------------------- */

static void answer_where(struct api_call *c, const struct rt_answer *a)
{
    reply_json(c, 200, json_pack("{s:o}", "where", where_json(&a->where)));
}

static void post_attach(struct api_call *c)
{
    struct view_container v;
    if (path_instance(c, &v) == 0)
        call_ask(c, &(struct rt_request){ .kind = RT_ATTACH, .id = v.id }, answer_where);
}

struct archive_request {
    int op; /* index into archive_ops */
    const char *path;
    bool keep_owner, same_types;
};

static const struct zl_word archive_ops[] = {
    { "get", 0 }, { "put", 1 }, { "stat", 2 }, { "export", 3 }, { "changes", 4 }, { NULL, 0 },
};

static const struct zl_field archive_fields[] = {
    { "op", zl_json_enum, offsetof(struct archive_request, op), ZL_REQUIRED, archive_ops },
    { "path", zl_json_abs_path, offsetof(struct archive_request, path), 0 },
    { "copy_uid_gid", zl_json_bool, offsetof(struct archive_request, keep_owner), 0 },
    { "no_overwrite_dir_non_dir", zl_json_bool, offsetof(struct archive_request, same_types), 0 },
    { 0 },
};

static void post_archive(struct api_call *c)
{
    struct view_container v;
    struct archive_request r = { .path = "/" };
    if (call_decode(c, archive_fields, &r) < 0 || path_instance(c, &v) < 0)
        return;
    const struct rt_request rq = {
        .kind = RT_ARCHIVE,
        .id = v.id,
        .archive = { .op = archive_ops[r.op].name,
                     .path = r.path,
                     .keep_owner = r.keep_owner,
                     .same_types = r.same_types },
    };
    call_ask(c, &rq, answer_where);
}

struct exec_request {
    struct zl_strs command, env;
    const char *user, *cwd;
    bool tty, stdin_open;
    uint32_t rows, cols;
};

static const struct zl_field exec_fields[] = {
    { "command", zl_json_strs, offsetof(struct exec_request, command), ZL_REQUIRED },
    { "env", zl_json_strs, offsetof(struct exec_request, env), 0 },
    { "user", zl_json_string, offsetof(struct exec_request, user), 0 },
    { "cwd", zl_json_abs_path, offsetof(struct exec_request, cwd), 0 },
    { "tty", zl_json_bool, offsetof(struct exec_request, tty), 0 },
    { "stdin", zl_json_bool, offsetof(struct exec_request, stdin_open), 0 },
    { "rows", zl_json_u32, offsetof(struct exec_request, rows), 0 },
    { "cols", zl_json_u32, offsetof(struct exec_request, cols), 0 },
    { 0 },
};

static void post_exec(struct api_call *c)
{
    struct view_container v;
    struct exec_request x = { 0 };
    static const char *const nothing[] = { NULL };
    if (call_decode(c, exec_fields, &x) < 0 || path_instance(c, &v) < 0)
        return;
    if (x.command.n == 0) {
        reply_fail(c, ZL_ERR_INVALID, "request body: command: there is no command to execute");
        return;
    }
    const struct rt_request rq = {
        .kind = RT_EXEC,
        .id = v.id,
        .exec = { .argv = (const char *const *)x.command.v,
                  .env = x.env.v ? (const char *const *)x.env.v : nothing,
                  .user = x.user,
                  .cwd = x.cwd,
                  .tty = x.tty,
                  .stdin_open = x.stdin_open,
                  .rows = x.rows > UINT16_MAX ? UINT16_MAX : (uint16_t)x.rows,
                  .cols = x.cols > UINT16_MAX ? UINT16_MAX : (uint16_t)x.cols },
    };
    call_ask(c, &rq, answer_where);
}

/* clang-format off */
const struct api_route container_routes[] = {
    { "GET",    "/api/v1/containers",             get_containers,   "reader",   "every container", "deployment, service" },
    { "POST",   "/api/v1/containers",             post_container,   "operator", "runs a standalone container: 201 {id, name, where?}", "wait, timeout_ms" },
    { "GET",    "/api/v1/containers/{id}",        get_container,    "reader",   "one container, by id, unique prefix of it, name, or deployment/name" },
    { "DELETE", "/api/v1/containers/{id}",        delete_container, "operator", "removes a standalone container", "force, wait, timeout_ms" },
    { "POST",   "/api/v1/containers/{id}/stop",   post_stop,        "operator", "stops it in order", "wait, timeout_ms" },
    { "POST",   "/api/v1/containers/{id}/wait",   post_wait,        "reader",   "answers when it has ended, with its exit", "next, removed, timeout_ms" },
    { "POST",   "/api/v1/containers/{id}/attach", post_attach,      "admin",    "where its monitor offers its streams" },
    { "POST",   "/api/v1/containers/{id}/exec",   post_exec,        "admin",    "prepares a command: where its monitor offers the streams" },
    { "POST",   "/api/v1/containers/{id}/archive", post_archive,    "admin",    "copies files in or out, or tells changes: where a helper offers the stream" },
    { "GET",    "/api/v1/containers/{id}/log",    get_log,          "reader",   "path of its log file" },
    { 0 },
};
/* clang-format on */
