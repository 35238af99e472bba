// SPDX-License-Identifier: Apache-2.0
#include "api/server.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <string.h>

#include "api/call.h"
#include "base/fd.h"

/* ---- a request ------------------------------------------------------------------------------ */

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

static void on_request(struct evhttp_request *req, void *server)
{
    struct api_call *c = call_new(server, req);
    if (!c) {
        evhttp_send_error(req, HTTP_INTERNAL, NULL);
        return;
    }
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

/* ---- the server ----------------------------------------------------------------------------- */

/* Runs the waiting calls, in a turn of the loop of its own: never inside the agent's core_step. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct api_server *s = arg;
    (void)fd;
    (void)what;
    struct api_call *next;
    for (struct api_call *c = TAILQ_FIRST(&s->calls); c; c = next) {
        next = TAILQ_NEXT(c, link); /* wake() frees no call but its own */
        if (c->wake)
            (void)c->wake(c);
    }
}

static int listen_http(struct api_server *s, int listen_fd, struct zl_error *err)
{
    zl_autoclose int fd = zl_dup_above(listen_fd, 0, err); /* the original is closed on success */
    if (fd < 0)
        return -1;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return zl_fail_errno(err, "make the API's socket non-blocking");

    s->http = evhttp_new(s->base);
    s->wake = event_new(s->base, -1, 0, on_wake, s);
    if (!s->http || !s->wake)
        return zl_fail(err, ZL_ERR_SYSTEM, "set up the HTTP server: no memory");
    evhttp_set_max_body_size(s->http, API_BODY_MAX);
    evhttp_set_max_headers_size(s->http, API_HEAD_MAX);
    evhttp_set_timeout(s->http, API_SLOW_CLIENT_S);
    evhttp_set_allowed_methods(s->http, UINT16_MAX); /* the route table answers 405 itself */
    evhttp_set_gencb(s->http, on_request, s);

    struct evconnlistener *l = evconnlistener_new(
        s->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!l)
        return zl_fail(err, ZL_ERR_SYSTEM, "listen on the API's socket: no memory");
    (void)zl_take_fd(&fd); /* goes with the listener, which goes with s->http */
    if (!evhttp_bind_listener(s->http, l)) {
        evconnlistener_free(l);
        return zl_fail(err, ZL_ERR_SYSTEM, "listen on the API's socket: no memory");
    }
    return 0;
}

int api_server_new(struct event_base *base, int listen_fd, const struct api_ops *ops,
                   struct agent *agent, struct api_server **ret, struct zl_error *err)
{
    struct api_server *s = calloc(1, sizeof *s);
    if (!s)
        return zl_fail_errno(err, "set up the API");
    s->base = base;
    s->ops = ops;
    s->agent = agent;
    TAILQ_INIT(&s->calls);
    TAILQ_INIT(&s->kept);
    if (listen_http(s, listen_fd, err) < 0) {
        api_server_free(s);
        return -1;
    }
    (void)close(listen_fd);
    *ret = s;
    return 0;
}

void api_server_free(struct api_server *s)
{
    if (!s)
        return;
    if (s->http)
        evhttp_free(
            s->http); /* closes the connections, and with them the calls that are not busy */
    struct api_call *next;
    for (struct api_call *c = TAILQ_FIRST(&s->calls); c; c = next) {
        next = TAILQ_NEXT(c, link);
        call_free(c);
    }
    if (s->wake)
        event_free(s->wake);
    events_free(s);
    free(s);
}

void api_server_changed(struct api_server *s)
{
    event_active(s->wake, EV_TIMEOUT, 0);
}

void api_server_event(struct api_server *s, const struct effect *event, int64_t wall_ms)
{
    events_keep(s, event, wall_ms);
    api_server_changed(s);
}
