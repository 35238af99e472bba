// SPDX-License-Identifier: Apache-2.0
/*
 * One request being answered; internal to src/api. A handler gets a call, and either answers it at
 * once, or gives an operation to the agent and answers when that is done, or waits for a state of
 * core, or keeps it open as a stream of lines. Whatever it does, the call is answered once and
 * frees itself then; a client that goes away earlier takes its call along.
 */
#ifndef ZL_API_CALL_H
#define ZL_API_CALL_H

#include <sys/queue.h> /* before libevent's, which brings a part of it along */

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "api/server.h"
#include "base/json.h"

enum {
    API_BODY_MAX = 8 * 1024 * 1024,
    API_HEAD_MAX = 64 * 1024,
    API_PARAMS = 2,               /* placeholders in a path */
    API_SLOW_CLIENT_S = 30,       /* without progress in reading or writing a request */
    API_STREAM_LAG = 1024 * 1024, /* unsent bytes after which a follower is cut off */
};

struct api_call;
typedef void (*api_handler_fn)(struct api_call *c);
/* After an operation succeeded: id as struct api_ops says. */
typedef void (*api_then_fn)(struct api_call *c, uint64_t id);
typedef void (*api_learn_fn)(struct api_call *c, const struct rt_answer *a);

struct api_route {
    const char *method, *path; /* "/api/v1/deployments/{d}" */
    api_handler_fn handle;
    const char *role;    /* who may call it once there are tokens: "reader", "operator", "admin" */
    const char *summary; /* of docs/api.md and the OpenAPI document */
    const char *query;   /* the parameters that it takes, "wait, timeout_ms"; NULL: none */
};

struct api_call {
    TAILQ_ENTRY(api_call) link;
    struct api_server *server;
    struct evhttp_request *req; /* NULL: the client has gone */
    const struct api_route *route;
    char *params[API_PARAMS]; /* values of the path's placeholders, decoded */
    struct evkeyvalq query;
    struct zl_json body;
    bool busy;       /* an operation of the agent is under way: the call outlives its client */
    bool streaming;  /* the head of the answer is sent */
    bool stays_open; /* call_stay_open() */
    api_then_fn then;
    api_learn_fn learn;               /* the same of what the runtime is asked */
    bool (*wake)(struct api_call *c); /* waits for a state; true: it has answered */
    void (*on_timeout)(struct api_call *c);
    struct event *closed, *timer;
    void *state; /* of the handler */
    void (*free_state)(void *state);
};

TAILQ_HEAD(api_calls, api_call);
TAILQ_HEAD(api_kept_events, api_kept_event);

struct api_server {
    struct event_base *base;
    struct evhttp *http;
    const struct api_ops *ops;
    struct agent *agent;
    struct api_calls calls;
    struct event *wake; /* made active by api_server_changed */
    struct api_kept_events kept;
    size_t n_kept;
    uint64_t next_event;
};

/* ---- route.c ---- */
/* Every route there is, in the order of docs/api.md; false ends the walk. */
void api_each_route(bool (*fn)(void *arg, const struct api_route *r), void *arg);
/*
 * Finds the route of a method and a raw path and fills c->route and c->params. NOT_FOUND when no
 * route has the path; UNSUPPORTED when one has but not the method, whose names then are in allow.
 */
int api_route_find(struct api_call *c, const char *method, const char *path, struct zl_buf *allow,
                   struct zl_error *err);

/* ---- query.c ---- */
/* INVALID, with its name: a parameter that the route does not take, twice one, or a wrong value. */
int query_check(const struct api_route *route, const struct evkeyvalq *query, struct zl_error *err);

/* ---- call.c: what handlers read ---- */
const struct core *call_core(const struct api_call *c);
const char *call_query(const struct api_call *c, const char *key); /* NULL: absent */
/* What applying the document on this host, by this agent would find; false: errors. */
bool call_check_spec(struct api_call *c, const struct spec *spec, struct spec_diags *diags);
/* Absent, "0" and "false" are false. */
bool call_query_bool(const struct api_call *c, const char *key);
uint64_t call_query_u64(const struct api_call *c, const char *key, uint64_t absent);

/* Path of the log of this container or slot, appended to out; NULL: none. */
const char *call_log_path(const struct api_call *c, const struct inst_label *label,
                          struct inst_id id, struct zl_buf *out);

/* For a call that is not answered soon: notices when its client goes, and lifts the read timeout
 * until then. Implied by call_wait and stream_begin. */
void call_stay_open(struct api_call *c);

/* ---- handler.c: what handlers have in common ---- */
/* The JSON body by a table, unknown keys refused. An absent body is {}. On -1 it is answered. */
int call_decode(struct api_call *c, const struct zl_field *fields, void *out);
/* Zeroed memory that lives as long as the call: c->state. free_state NULL: free(3). NULL: it is
 * answered. */
void *call_state(struct api_call *c, size_t size, void (*free_state)(void *state));
/* The deployment, and the service, of the path. -1: it is answered. */
int path_deployment(struct api_call *c, struct view_deployment *ret);
int path_service(struct api_call *c, struct view_service *ret);
/* The container of the path; path_instance: it must have an incarnation (a slot between two of them
 * has none). -1: it is answered. */
int path_container(struct api_call *c, struct view_container *ret);
int path_instance(struct api_call *c, struct view_container *ret);
/* Gives ev to core; then is called when it is durable, an error is answered by itself. */
void call_submit(struct api_call *c, struct event ev, api_then_fn then);
/* The same for the other operations: call_expect(), then the operation with call_op_done and c. */
void call_expect(struct api_call *c, api_then_fn then);
void call_op_done(void *arg, const struct zl_error *failed, uint64_t id);
/* Asks the runtime: learn is called with the answer, an error is answered by itself. */
void call_ask(struct api_call *c, const struct rt_request *rq, api_learn_fn learn);
/* The same, but learn is called with errors, too. */
void call_ask_anyway(struct api_call *c, const struct rt_request *rq, api_learn_fn learn);
/* Calls wake now and after each change, until it answers; after timeout_ms (0: never) on_timeout,
 * which must answer. */
void call_wait(struct api_call *c, bool (*wake)(struct api_call *c), uint64_t timeout_ms,
               void (*on_timeout)(struct api_call *c));

/* ---- reply.c: each answers and frees c ---- */
void reply_json(struct api_call *c, int status, json_t *body); /* consumes body; NULL: no memory */
void reply_empty(struct api_call *c);                          /* 204 */
void reply_error(struct api_call *c, const struct zl_error *err);
/* What an operation gave at once: err when rc is -1, else body (consumed), or 204 without one. */
void reply_result(struct api_call *c, int rc, const struct zl_error *err, json_t *body);
void reply_fail(struct api_call *c, enum zl_err_kind kind, const char *fmt, ...) ZL_PRINTF(3, 4);
/* 422 with the findings as details.diagnostics. */
void reply_diags(struct api_call *c, const struct spec_diags *diags);
json_t *diags_to_json(const struct spec_diags *diags);
/* A stream of NDJSON lines. After stream_line the call may be gone: false says so. */
void stream_begin(struct api_call *c);
bool stream_line(struct api_call *c, json_t *line); /* consumes line */
void stream_end(struct api_call *c);

/* ---- call.c: lifetime, for server.c and reply.c ---- */
struct api_call *call_new(struct api_server *s, struct evhttp_request *req); /* NULL: no memory */
void call_free(struct api_call *c);
/* The request without its call, to be answered by the caller; frees the call. NULL: client gone. */
struct evhttp_request *call_finish(struct api_call *c);

/* facts.c: answers with the container, `shape`, and what it is made of. */
void reply_details(struct api_call *c, json_t *shape, struct inst_id id);

/* Handlers whose route stands in another file's table. */
void get_progress(struct api_call *c);           /* progress.c */
void get_service_containers(struct api_call *c); /* containers.c */
void get_service_logs(struct api_call *c);       /* logs.c */

/* ---- events.c ---- */
void events_keep(struct api_server *s, const struct effect *event, int64_t wall_ms);
void events_free(struct api_server *s);
/* How a container ended that is gone by now, as shape_end(); NULL: not known (any more). */
json_t *events_find_end(const struct api_server *s, uint64_t container);

extern const struct api_route system_routes[], deployment_routes[], container_routes[],
    control_routes[], fact_routes[], job_routes[], cron_routes[], image_routes[], volume_routes[],
    event_routes[];

#endif
