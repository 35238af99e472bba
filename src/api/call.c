// SPDX-License-Identifier: Apache-2.0
/*
 * The life of a call. evhttp owns the request until it is answered, except when the connection
 * breaks first: then it calls on_connection_closed, and the request is ours to free when it no
 * longer has a connection (evhttp_connection_incoming_fail() of libevent 2.1).
 *
 * evhttp does not read while a request is being answered, so it would not notice that a waiting
 * client has gone; EV_CLOSED (EPOLLRDHUP) on its socket does.
 */
#include "api/call.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <string.h>

#include "spec/acted.h"
#include "spec/environment.h"

/* ---- life ---------------------------------------------------------------------------------- */

void call_free(struct api_call *c)
{
    TAILQ_REMOVE(&c->server->calls, c, link);
    if (c->closed)
        event_free(c->closed);
    if (c->timer)
        event_free(c->timer);
    if (c->free_state)
        c->free_state(c->state);
    for (size_t i = 0; i < API_PARAMS; i++)
        free(c->params[i]);
    evhttp_clear_headers(&c->query);
    zl_json_done(&c->body);
    free(c);
}

/* Lets go of the request; the call stays for as long as the agent works on it. */
static void detach(struct api_call *c)
{
    c->req = NULL;
    c->wake = NULL;
    if (!c->busy)
        call_free(c);
}

/* Takes back what call_stay_open() did, for the next request over this connection. */
static void be_soon_again(struct api_call *c, struct evhttp_connection *conn)
{
    if (c->closed)
        event_free(c->closed);
    c->closed = NULL;
    bufferevent_setwatermark(evhttp_connection_get_bufferevent(conn), EV_READ, 0, 0);
    evhttp_connection_set_timeout(conn, API_SLOW_CLIENT_S);
}

struct evhttp_request *call_finish(struct api_call *c)
{
    struct evhttp_request *req = c->req;
    struct evhttp_connection *conn = req ? evhttp_request_get_connection(req) : NULL;
    if (conn)
        evhttp_connection_set_closecb(conn, NULL, NULL);
    if (conn && c->stays_open)
        be_soon_again(c, conn);
    detach(c);
    return req;
}

static void on_connection_closed(struct evhttp_connection *conn, void *arg)
{
    struct api_call *c = arg;
    (void)conn;
    if (c->req && !evhttp_request_get_connection(c->req))
        evhttp_request_free(c->req);
    detach(c);
}

/* The client hung up: ending the request makes evhttp write, fail and free the connection. */
static void on_client_gone(evutil_socket_t fd, short what, void *arg)
{
    struct api_call *c = arg;
    (void)fd;
    (void)what;
    if (c->streaming)
        stream_end(c);
    else
        reply_fail(c, ZL_ERR_CANCELLED, "the client has gone");
}

void call_stay_open(struct api_call *c)
{
    struct evhttp_connection *conn = c->req ? evhttp_request_get_connection(c->req) : NULL;
    if (!conn || c->closed)
        return;
    struct bufferevent *bev = evhttp_connection_get_bufferevent(conn);
    static const struct timeval write_timeout = { .tv_sec = API_SLOW_CLIENT_S };
    c->stays_open = true;
    bufferevent_setwatermark(bev, EV_READ, 0, 4096);
    (void)bufferevent_set_timeouts(bev, NULL, &write_timeout);
    c->closed = event_new(c->server->base, bufferevent_getfd(bev), EV_CLOSED, on_client_gone, c);
    if (c->closed)
        (void)event_add(c->closed, NULL); /* without it the client's end is noticed by a write */
}

void call_keep(struct api_call *c, void *state, void (*free_state)(void *state))
{
    c->state = state;
    c->free_state = free_state;
}

/* ---- what handlers read -------------------------------------------------------------------- */

const struct core *call_core(const struct api_call *c)
{
    return c->server->ops->core(c->server->agent);
}

const char *call_query(const struct api_call *c, const char *key)
{
    return evhttp_find_header(&c->query, key);
}

bool call_check_spec(struct api_call *c, const struct spec *spec, struct spec_diags *diags)
{
    const struct api_server *s = c->server;
    bool applies = spec_check_apply(spec, NULL, diags);
    return spec_check_env(spec, s->ops->variables(s->agent), diags) && applies;
}

bool call_query_bool(const struct api_call *c, const char *key)
{
    const char *v = call_query(c, key);
    return v && strcmp(v, "0") != 0 && strcmp(v, "false") != 0;
}

uint64_t call_query_u64(const struct api_call *c, const char *key, uint64_t absent)
{
    const char *v = call_query(c, key);
    return v ? strtoull(v, NULL, 10) : absent; /* query_check() has seen it */
}

const char *call_log_path(const struct api_call *c, const struct inst_label *label,
                          struct inst_id id, struct zl_buf *out)
{
    const struct api_server *s = c->server;
    return s->ops->log_path(s->agent, label, id, out) && !out->failed ? out->data : NULL;
}

int call_decode(struct api_call *c, const struct zl_field *fields, void *out)
{
    struct zl_error err = { 0 };
    c->body.strict = true;
    if (zl_json_decode(&c->body, fields, out, &err) == 0)
        return 0;
    reply_error(c, &err);
    return -1;
}

/* ---- how handlers go on -------------------------------------------------------------------- */

void call_expect(struct api_call *c, api_then_fn then)
{
    c->then = then;
    c->busy = true;
}

void call_op_done(void *arg, const struct zl_error *failed, uint64_t id)
{
    struct api_call *c = arg;
    c->busy = false;
    if (!c->req)
        call_free(c);
    else if (failed)
        reply_error(c, failed);
    else
        c->then(c, id);
}

static void told_anyway(void *arg, const struct rt_answer *a)
{
    struct api_call *c = arg;
    c->busy = false;
    if (!c->req)
        call_free(c);
    else
        c->learn(c, a);
}

static void learn_error(struct api_call *c, const struct rt_answer *a)
{
    reply_error(c, &a->err);
}

static void told(void *arg, const struct rt_answer *a)
{
    struct api_call *c = arg;
    if (a->err.kind != ZL_OK)
        c->learn = learn_error;
    told_anyway(c, a);
}

static void ask(struct api_call *c, const struct rt_request *rq, api_learn_fn learn,
                rt_done_fn told_fn)
{
    c->learn = learn;
    c->busy = true;
    c->server->ops->ask(c->server->agent, rq, told_fn, c);
}

void call_ask(struct api_call *c, const struct rt_request *rq, api_learn_fn learn)
{
    ask(c, rq, learn, told);
}

void call_ask_anyway(struct api_call *c, const struct rt_request *rq, api_learn_fn learn)
{
    ask(c, rq, learn, told_anyway);
}

void call_submit(struct api_call *c, struct event ev, api_then_fn then)
{
    call_expect(c, then);
    c->server->ops->submit(c->server->agent, &ev, call_op_done, c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct api_call *c = arg;
    (void)fd;
    (void)what;
    c->wake = NULL;
    c->on_timeout(c);
}

void call_wait(struct api_call *c, bool (*wake)(struct api_call *c), uint64_t timeout_ms,
               void (*on_timeout)(struct api_call *c))
{
    if (wake(c))
        return;
    c->wake = wake;
    call_stay_open(c);
    if (timeout_ms == 0 || !on_timeout)
        return;
    struct timeval tv = { .tv_sec = (time_t)(timeout_ms / 1000),
                          .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000) };
    c->on_timeout = on_timeout;
    c->timer = event_new(c->server->base, -1, 0, on_timer, c);
    if (!c->timer || event_add(c->timer, &tv) < 0)
        on_timeout(c); /* no memory for a timer: the answer of a late one is the honest one */
}

/* ---- dispatch ------------------------------------------------------------------------------ */

/* clang-format off */
static const struct { enum evhttp_cmd_type type; const char *name; } methods[] = {
    { EVHTTP_REQ_GET, "GET" },       { EVHTTP_REQ_POST, "POST" },       { EVHTTP_REQ_PUT, "PUT" },
    { EVHTTP_REQ_DELETE, "DELETE" }, { EVHTTP_REQ_HEAD, "HEAD" },       { EVHTTP_REQ_PATCH, "PATCH" },
    { EVHTTP_REQ_TRACE, "TRACE" },   { EVHTTP_REQ_OPTIONS, "OPTIONS" }, { EVHTTP_REQ_CONNECT, "CONNECT" },
};
/* clang-format on */

static const char *method_name(enum evhttp_cmd_type type)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(methods); i++)
        if (methods[i].type == type)
            return methods[i].name;
    return "this method";
}

static int parse_query(struct api_call *c, const struct evhttp_uri *uri, struct zl_error *err)
{
    const char *query = evhttp_uri_get_query(uri);
    if (!query || !*query)
        return 0;
    if (evhttp_parse_query_str(query, &c->query) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "the query '%s' is malformed", query);
    if (strstr(query, "%00"))
        return zl_fail(err, ZL_ERR_INVALID, "the query has a NUL byte in it");
    return query_check(c->route, &c->query, err);
}

static int parse_body(struct api_call *c, struct zl_error *err)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(c->req);
    size_t n = evbuffer_get_length(in);
    if (n == 0) {
        c->body.what = "request body";
        c->body.root = json_object();
        return c->body.root ? 0 : zl_fail_errno(err, "read the request body");
    }
    const char *bytes = (const char *)evbuffer_pullup(in, -1);
    if (!bytes)
        return zl_fail_errno(err, "read the request body");
    return zl_json_parse(&c->body, bytes, n, "request body", err);
}

static int prepare(struct api_call *c, struct zl_buf *allow, struct zl_error *err)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(c->req);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    if (!path)
        return zl_fail(err, ZL_ERR_INVALID, "the request has no path");
    if (api_route_find(c, method_name(evhttp_request_get_command(c->req)), path, allow, err) < 0)
        return -1;
    return parse_query(c, uri, err) < 0 || parse_body(c, err) < 0 ? -1 : 0;
}

void call_dispatch(struct evhttp_request *req, void *server)
{
    struct api_call *c = calloc(1, sizeof *c);
    if (!c) {
        evhttp_send_error(req, HTTP_INTERNAL, NULL);
        return;
    }
    c->server = server;
    c->req = req;
    TAILQ_INIT(&c->query);
    TAILQ_INSERT_TAIL(&c->server->calls, c, link);
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_connection_closed, c);

    zl_autobuf struct zl_buf allow = ZL_BUF(256);
    struct zl_error err = { 0 };
    if (prepare(c, &allow, &err) == 0) {
        c->route->handle(c);
        return;
    }
    if (allow.len > 0)
        (void)evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", allow.data);
    reply_error(c, &err);
}
