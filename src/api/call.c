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
    const bool streaming = c->streaming;
    struct evhttp_request *req = call_finish(c);
    (void)fd;
    (void)what;
    if (req && streaming)
        evhttp_send_reply_end(req);
    else if (req)
        evhttp_send_error(req, HTTP_INTERNAL, NULL); /* nobody reads it */
}

struct api_call *call_new(struct api_server *s, struct evhttp_request *req)
{
    struct api_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->server = s;
    c->req = req;
    TAILQ_INIT(&c->query);
    TAILQ_INSERT_TAIL(&s->calls, c, link);
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_connection_closed, c);
    return c;
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
