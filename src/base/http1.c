// SPDX-License-Identifier: Apache-2.0
/*
 * http-parser finds the parts of a response and calls back with pieces of them; here the pieces
 * become whole. Headers lie in one buffer as "name\0value\0name\0value\0": few enough to be
 * searched from the front.
 */
#include "base/http1.h"

#include <http_parser.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum piece { PIECE_NONE, PIECE_NAME, PIECE_VALUE };

struct zl_http1 {
    http_parser parser;
    struct zl_buf head;
    struct zl_buf body;
    enum piece last; /* what the bytes at the end of head are part of */
    int status;      /* set when the headers are complete */
    bool for_head;
    bool complete;
    bool keep_alive;
};

/* ---- requests ------------------------------------------------------------------------------ */

static bool only(const char *text, bool (*allowed)(unsigned char))
{
    for (; *text; text++)
        if (!allowed((unsigned char)*text))
            return false;
    return true;
}

static bool is_word(unsigned char c)
{
    return c > ' ' && c < 0x7f;
}

static bool is_value(unsigned char c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

int zl_http1_write_request(const struct zl_http1_request *rq, struct zl_buf *out,
                           struct zl_error *err)
{
    if (!only(rq->method, is_word) || !only(rq->target, is_word) || !only(rq->host, is_word))
        return zl_fail(err, ZL_ERR_INVALID, "request '%s %s' of '%s' has a forbidden character",
                       rq->method, rq->target, rq->host);

    zl_buf_addf(out, "%s %s HTTP/1.1\r\nHost: %s\r\n", rq->method, rq->target, rq->host);
    for (size_t i = 0; i < rq->n_headers; i++) {
        const struct zl_http1_header *h = &rq->headers[i];
        if (!only(h->name, is_word) || strchr(h->name, ':') || !only(h->value, is_value))
            return zl_fail(err, ZL_ERR_INVALID, "header '%s' has a forbidden character", h->name);
        zl_buf_addf(out, "%s: %s\r\n", h->name, h->value);
    }
    if (rq->body)
        zl_buf_addf(out, "Content-Length: %zu\r\n", rq->body_len);
    if (!rq->keep_alive)
        zl_buf_adds(out, "Connection: close\r\n");
    zl_buf_adds(out, "\r\n");
    zl_buf_add(out, rq->body, rq->body ? rq->body_len : 0);
    return zl_buf_check(out, "request", err);
}

void zl_http1_escape(struct zl_buf *out, const char *text)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";
    for (; *text; text++) {
        if (strchr(unreserved, *text))
            zl_buf_addc(out, *text);
        else
            zl_buf_addf(out, "%%%02X", (unsigned char)*text);
    }
}

/* ---- responses ----------------------------------------------------------------------------- */

static struct zl_http1 *reader_of(http_parser *p)
{
    return p->data;
}

/* Adds a piece of a name or a value; where the kind changes, the one before has ended. */
static int add_piece(struct zl_http1 *h, enum piece kind, const char *at, size_t n)
{
    if (h->status) /* trailers of a chunked body: nobody here wants one */
        return 0;
    if (h->last != kind && h->last != PIECE_NONE)
        zl_buf_addc(&h->head, '\0');
    h->last = kind;
    zl_buf_add(&h->head, at, n);
    return h->head.failed ? -1 : 0;
}

static int on_header_field(http_parser *p, const char *at, size_t n)
{
    return add_piece(reader_of(p), PIECE_NAME, at, n);
}

static int on_header_value(http_parser *p, const char *at, size_t n)
{
    return add_piece(reader_of(p), PIECE_VALUE, at, n);
}

static bool is_interim(const http_parser *p)
{
    return p->status_code / 100 == 1 && p->status_code != 101;
}

static int on_headers_complete(http_parser *p)
{
    struct zl_http1 *h = reader_of(p);
    if (h->last != PIECE_NONE)
        zl_buf_addc(&h->head, '\0');
    h->last = PIECE_NONE;
    if (is_interim(p)) {
        zl_buf_reset(&h->head);
        return 0;
    }
    h->status = p->status_code;
    return h->for_head; /* 1: no body follows */
}

static int on_body(http_parser *p, const char *at, size_t n)
{
    struct zl_http1 *h = reader_of(p);
    zl_buf_add(&h->body, at, n);
    return h->body.failed ? -1 : 0;
}

static int on_message_complete(http_parser *p)
{
    struct zl_http1 *h = reader_of(p);
    if (is_interim(p))
        return 0; /* the parser goes on with the real one */
    h->complete = true;
    h->keep_alive = http_should_keep_alive(p);
    http_parser_pause(p, 1); /* what follows is not ours */
    return 0;
}

static const http_parser_settings callbacks = {
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

int zl_http1_new(bool for_head, size_t body_max, struct zl_http1 **ret, struct zl_error *err)
{
    struct zl_http1 *h = calloc(1, sizeof *h);
    if (!h)
        return zl_fail_errno(err, "read a response");
    http_parser_init(&h->parser, HTTP_RESPONSE);
    h->parser.data = h;
    h->for_head = for_head;
    zl_buf_init(&h->head, ZL_HTTP1_HEAD_MAX);
    zl_buf_init(&h->body, body_max);
    *ret = h;
    return 0;
}

void zl_http1_free(struct zl_http1 *h)
{
    if (!h)
        return;
    zl_buf_done(&h->head);
    zl_buf_done(&h->body);
    free(h);
}

static int broken(const struct zl_http1 *h, struct zl_error *err)
{
    enum http_errno e = HTTP_PARSER_ERRNO(&h->parser);
    if (h->head.failed || e == HPE_HEADER_OVERFLOW)
        return zl_fail(err, ZL_ERR_INVALID, "the headers of the response are larger than %d bytes",
                       ZL_HTTP1_HEAD_MAX);
    if (h->body.failed)
        return zl_fail(err, ZL_ERR_INVALID, "the body of the response is larger than %zu bytes",
                       h->body.max);
    return zl_fail(err, ZL_ERR_PROTOCOL, "the response is not HTTP/1: %s",
                   http_errno_description(e));
}

static int ended_early(const struct zl_http1 *h, struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_PROTOCOL, "the connection was closed %s",
                   h->status ? "in the middle of the response's body" : "before a response came");
}

int zl_http1_feed(struct zl_http1 *h, const char *bytes, size_t n, size_t *ret_used,
                  struct zl_error *err)
{
    size_t used = http_parser_execute(&h->parser, &callbacks, bytes, n);
    if (ret_used)
        *ret_used = n == 0 ? 0 : used;
    if (h->complete)
        return 1;
    if (n == 0)
        return ended_early(h, err);
    if (HTTP_PARSER_ERRNO(&h->parser) != HPE_OK)
        return broken(h, err);
    return 0;
}

int zl_http1_status(const struct zl_http1 *h)
{
    return h->status;
}

const char *zl_http1_header(const struct zl_http1 *h, const char *name)
{
    if (!h->status)
        return NULL;
    const char *p = h->head.data, *end = p + h->head.len;
    while (p < end) {
        const char *value = p + strlen(p) + 1;
        if (strcasecmp(p, name) == 0)
            return value;
        p = value + strlen(value) + 1;
    }
    return NULL;
}

struct zl_buf *zl_http1_body(struct zl_http1 *h)
{
    return &h->body;
}

bool zl_http1_keep_alive(const struct zl_http1 *h)
{
    return h->keep_alive;
}

/* ---- URLs ---------------------------------------------------------------------------------- */

static bool has(const struct http_parser_url *u, enum http_parser_url_fields f)
{
    return u->field_set & (1 << f);
}

int zl_http1_split_url(const char *url, struct zl_http1_url *ret, struct zl_error *err)
{
    struct http_parser_url u;
    http_parser_url_init(&u);
    if (strncasecmp(url, "http://", 7) != 0 || !only(url, is_word) ||
        http_parser_parse_url(url, strlen(url), 0, &u) != 0 || !has(&u, UF_HOST))
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not an http:// URL", url);
    if (has(&u, UF_USERINFO) || has(&u, UF_FRAGMENT))
        return zl_fail(err, ZL_ERR_INVALID, "'%s': a user name or a fragment has no meaning here",
                       url);
    if (u.field_data[UF_HOST].len >= sizeof ret->host)
        return zl_fail(err, ZL_ERR_INVALID, "'%s': the host is too long", url);

    struct zl_http1_url r = { .port = has(&u, UF_PORT) ? u.port : 80, .target = "/" };
    const char *host = url + u.field_data[UF_HOST].off;
    int len = u.field_data[UF_HOST].len;
    bool v6 = memchr(host, ':', (size_t)len) != NULL;
    (void)snprintf(r.host, sizeof r.host, "%.*s", len, host);
    (void)snprintf(r.host_port, sizeof r.host_port, v6 ? "[%.*s]:%u" : "%.*s:%u", len, host,
                   r.port);
    if (has(&u, UF_PATH))
        r.target = url + u.field_data[UF_PATH].off;
    else if (has(&u, UF_QUERY))
        return zl_fail(err, ZL_ERR_INVALID, "'%s': a query needs a path before it", url);
    *ret = r;
    return 0;
}
