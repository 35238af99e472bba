// SPDX-License-Identifier: Apache-2.0
/*
 * Answers. An error is {"error", "kind", "message", "details"?}: `error` is the coarse word that
 * goes with the HTTP status, `kind` the finer one of base/error.h, by which the command line
 * decides its exit code.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <string.h>

#include "api/call.h"
#include "base/utf8.h"

/* clang-format off */
static const struct status { int code; const char *word, *phrase; } status_of[ZL_ERR_KINDS] = {
    [ZL_OK]                = { 500, "internal_error",      "Internal Server Error" },
    [ZL_ERR_SYSTEM]        = { 500, "internal_error",      "Internal Server Error" },
    [ZL_ERR_INVALID]       = { 400, "bad_request",         "Bad Request" },
    [ZL_ERR_NOT_FOUND]     = { 404, "not_found",           "Not Found" },
    [ZL_ERR_EXISTS]        = { 409, "conflict",            "Conflict" },
    [ZL_ERR_CONFLICT]      = { 409, "conflict",            "Conflict" },
    [ZL_ERR_UNSUPPORTED]   = { 501, "not_implemented",     "Not Implemented" },
    [ZL_ERR_CONFIGURATION] = { 503, "service_unavailable", "Service Unavailable" },
    [ZL_ERR_TIMEOUT]       = { 504, "timeout",             "Gateway Timeout" },
    [ZL_ERR_CANCELLED]     = { 409, "conflict",            "Conflict" },
    [ZL_ERR_UNREACHABLE]   = { 502, "bad_gateway",         "Bad Gateway" },
    [ZL_ERR_PROTOCOL]      = { 502, "bad_gateway",         "Bad Gateway" },
    [ZL_ERR_DENIED]        = { 403, "forbidden",           "Forbidden" },
    [ZL_ERR_INTERNAL]      = { 500, "internal_error",      "Internal Server Error" },
};
static const struct status validation = { 422, "validation_error", "Unprocessable Entity" };
static const struct status wrong_method = { 405, "method_not_allowed", "Method Not Allowed" };
/* clang-format on */

static void set_headers(struct evhttp_request *req, const char *type)
{
    struct evkeyvalq *h = evhttp_request_get_output_headers(req);
    (void)evhttp_add_header(h, "Server", "zlayer/" ZL_VERSION);
    if (type)
        (void)evhttp_add_header(h, "Content-Type", type);
}

static void answer(struct api_call *c, int status, const char *phrase, json_t *body)
{
    struct evhttp_request *req = call_finish(c);
    char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(body);
    if (!req) {
        free(text);
        return;
    }
    set_headers(req, text ? "application/json" : NULL);
    struct evbuffer *out = evhttp_request_get_output_buffer(req);
    if (text)
        (void)evbuffer_add_printf(out, "%s\n", text);
    free(text);
    evhttp_send_reply(req, status, phrase, NULL);
}

void reply_json(struct api_call *c, int status, json_t *body)
{
    if (!body) {
        reply_fail(c, ZL_ERR_SYSTEM, "no memory for the answer");
        return;
    }
    static const struct {
        int status;
        const char *phrase;
    } others[] = { { 201, "Created" }, { 202, "Accepted" }, { 503, "Service Unavailable" } };
    const char *phrase = "OK";
    for (size_t i = 0; i < ZL_ARRAY_LEN(others); i++)
        if (others[i].status == status)
            phrase = others[i].phrase;
    answer(c, status, phrase, body);
}

void reply_empty(struct api_call *c)
{
    answer(c, 204, "No Content", NULL);
}

static json_t *error_json(const struct status *st, const char *kind, const char *message)
{
    char text[sizeof((struct zl_error *)0)->msg];
    (void)snprintf(text, sizeof text, "%s", message);
    zl_utf8_mend(text); /* it may have words of containers, and may have been cut off */
    return json_pack("{s:s, s:s, s:s}", "error", st->word, "kind", kind, "message", text);
}

void reply_error(struct api_call *c, const struct zl_error *err)
{
    /* Without a route, UNSUPPORTED is about the method (api_route_find). */
    const struct status *st =
        !c->route && err->kind == ZL_ERR_UNSUPPORTED ? &wrong_method : &status_of[err->kind];
    json_t *body = error_json(st, zl_err_kind_name(err->kind), err->msg);
    if (c->streaming) {
        if (stream_line(c, body))
            stream_end(c);
        return;
    }
    answer(c, st->code, st->phrase, body);
}

void reply_result(struct api_call *c, int rc, const struct zl_error *err, json_t *body)
{
    if (rc < 0)
        reply_error(c, err);
    else if (body)
        reply_json(c, 200, body);
    else
        reply_empty(c);
}

void reply_fail(struct api_call *c, enum zl_err_kind kind, const char *fmt, ...)
{
    struct zl_error err = { .kind = kind };
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err.msg, sizeof err.msg, fmt, ap);
    va_end(ap);
    reply_error(c, &err);
}

enum { FINDINGS_MAX = 1024 * 1024 }; /* at most 100 of them are kept */

json_t *diags_to_json(const struct spec_diags *diags)
{
    zl_autobuf struct zl_buf text = ZL_BUF(FINDINGS_MAX);
    spec_diags_json(diags, &text);
    json_t *list = text.failed ? NULL : json_loadb(text.data, text.len, 0, NULL);
    return list ? list : json_array();
}

void reply_diags(struct api_call *c, const struct spec_diags *diags)
{
    char message[128];
    (void)snprintf(message, sizeof message, "the document has %zu error%s", diags->n_errors,
                   diags->n_errors == 1 ? "" : "s");
    json_t *body = error_json(&validation, "invalid", message);
    if (body)
        (void)json_object_set_new(body, "details",
                                  json_pack("{s:o}", "diagnostics", diags_to_json(diags)));
    answer(c, validation.code, validation.phrase, body);
}

/* ---- streams ------------------------------------------------------------------------------- */

void stream_begin(struct api_call *c)
{
    set_headers(c->req, "application/x-ndjson");
    (void)evhttp_add_header(evhttp_request_get_output_headers(c->req), "Connection", "close");
    call_stay_open(c);
    c->streaming = true;
    evhttp_send_reply_start(c->req, 200, "OK");
}

/* A follower that does not read must not make the agent keep what it does not take. */
static bool lags(struct evhttp_connection *conn)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(conn);
    return evbuffer_get_length(bufferevent_get_output(bev)) > API_STREAM_LAG;
}

bool stream_line(struct api_call *c, json_t *line)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    struct evhttp_connection *conn = c->req ? evhttp_request_get_connection(c->req) : NULL;
    struct evbuffer *chunk = conn && text && !lags(conn) ? evbuffer_new() : NULL;
    if (!chunk || evbuffer_add_printf(chunk, "%s\n", text) < 0) {
        if (chunk)
            evbuffer_free(chunk);
        free(text);
        stream_end(c);
        return false;
    }
    free(text);
    evhttp_send_reply_chunk(c->req, chunk);
    evbuffer_free(chunk);
    return true;
}

void stream_end(struct api_call *c)
{
    struct evhttp_request *req = call_finish(c);
    if (req)
        evhttp_send_reply_end(req);
}
