// SPDX-License-Identifier: Apache-2.0
#include "api/client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/http1.h"

enum {
    ANSWER_MAX = 64 * 1024 * 1024,
    LINE_MAX_BYTES = 1024 * 1024,
    REQUEST_MAX = 16 * 1024 * 1024
};

struct api_client {
    char *path;
    int fd;    /* -1: to be connected again */
    bool used; /* an answer came over this connection already */
};

/* ---- connecting ---------------------------------------------------------------------------- */

static int unreachable(const char *path, struct zl_error *err)
{
    switch (errno) {
    case ENOENT:
        return zl_fail(err, ZL_ERR_UNREACHABLE, "no agent is running: there is no socket '%s'",
                       path);
    case ECONNREFUSED:
        return zl_fail(err, ZL_ERR_UNREACHABLE, "no agent is running: nobody listens on '%s'",
                       path);
    case EACCES:
    case EPERM:
        return zl_fail(err, ZL_ERR_DENIED, "connect to the agent at '%s': permission denied", path);
    default:
        return zl_fail_errno(err, "connect to the agent at '%s'", path);
    }
}

/* The directory of the socket as an fd, which makes the path short enough for any sun_path. */
static int connect_path(const char *path, struct zl_error *err)
{
    const char *slash = strrchr(path, '/');
    zl_autofree char *dir =
        slash ? strndup(path, slash > path ? (size_t)(slash - path) : 1) : strdup(".");
    if (!dir)
        return zl_fail_errno(err, "connect to the agent");
    zl_autoclose int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return unreachable(path, err);
    struct sockaddr_un addr;
    if (zl_unix_address(dir_fd, slash ? slash + 1 : path, &addr, err) < 0)
        return -1;
    zl_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return zl_fail_errno(err, "make a socket");
    if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) < 0)
        return unreachable(path, err);
    return zl_take_fd(&fd);
}

int api_client_open(const char *path, struct api_client **ret, struct zl_error *err)
{
    auto_api_client struct api_client *c = calloc(1, sizeof *c);
    if (!c)
        return zl_fail_errno(err, "connect to the agent");
    c->fd = -1;
    c->path = strdup(path);
    if (!c->path)
        return zl_fail_errno(err, "connect to the agent");
    c->fd = connect_path(path, err);
    if (c->fd < 0)
        return -1;
    *ret = zl_take_ptr(c);
    return 0;
}

static void disconnect(struct api_client *c)
{
    zl_closep(&c->fd);
    c->fd = -1;
}

/* A connection that was kept open may have been closed meanwhile. Looked at before a request, since
 * one that was sent must not be sent twice. */
static int ensure_connected(struct api_client *c, struct zl_error *err)
{
    char byte;
    if (c->fd >= 0 && (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN))
        disconnect(c);
    if (c->fd < 0)
        c->fd = connect_path(c->path, err);
    return c->fd < 0 ? -1 : 0;
}

void api_client_free(struct api_client *c)
{
    if (!c)
        return;
    disconnect(c);
    free(c->path);
    free(c);
}

/* ---- requests ------------------------------------------------------------------------------ */

static int build_request(const char *method, const char *target, const json_t *body,
                         struct zl_buf *out, struct zl_error *err)
{
    static const struct zl_http1_header headers[] = {
        { "User-Agent", "zlayer/" ZL_VERSION },
        { "Content-Type", "application/json" },
    };
    zl_autofree char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (body && !text)
        return zl_fail(err, ZL_ERR_SYSTEM, "no memory for a request");
    struct zl_http1_request rq = {
        .method = method,
        .target = target,
        .host = "zlayer",
        .headers = headers,
        .n_headers = body ? 2 : 1,
        .body = text,
        .body_len = text ? strlen(text) : 0,
        .keep_alive = true,
    };
    return zl_http1_write_request(&rq, out, err);
}

static int send_all(int fd, const struct zl_buf *b)
{
    size_t done = 0;
    while (done < b->len) {
        ssize_t n = send(fd, b->data + done, b->len - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Reads once and feeds the reader: 1 complete, 0 more to come. */
static int receive(struct api_client *c, struct zl_http1 *h, struct zl_error *err)
{
    char buf[16384];
    ssize_t n;
    do {
        n = recv(c->fd, buf, sizeof buf, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == ECONNRESET
                   ? zl_fail(err, ZL_ERR_UNREACHABLE, "the agent went away before it answered")
                   : zl_fail_errno(err, "read the agent's answer");
    int rc = zl_http1_feed(h, buf, (size_t)n, NULL, err);
    if (rc < 0 && n == 0)
        return zl_fail(err, ZL_ERR_UNREACHABLE, "the agent went away before it answered");
    return rc < 0 ? zl_wrap(err, "read the agent's answer") : rc;
}

/* Sends the request and reads until the status is known; *ret_done: the answer is complete. */
static int exchange(struct api_client *c, const struct zl_buf *request, struct zl_http1 *h,
                    bool *ret_done, struct zl_error *err)
{
    if (send_all(c->fd, request) < 0 && errno != EPIPE) /* EPIPE: an answer may still be there */
        return zl_fail_errno(err, "send a request to the agent");
    int rc = 0;
    while (rc == 0 && zl_http1_status(h) == 0)
        rc = receive(c, h, err);
    *ret_done = rc > 0;
    return rc < 0 ? -1 : 0;
}

static int request(struct api_client *c, const char *method, const char *target, const json_t *body,
                   struct zl_http1 **ret, bool *ret_done, struct zl_error *err)
{
    zl_autobuf struct zl_buf out = ZL_BUF(REQUEST_MAX);
    zl_autohttp1 struct zl_http1 *h = NULL;
    if (build_request(method, target, body, &out, err) < 0 || ensure_connected(c, err) < 0 ||
        zl_http1_new(false, ANSWER_MAX, &h, err) < 0)
        return -1;
    if (exchange(c, &out, h, ret_done, err) < 0) {
        disconnect(c);
        return -1;
    }
    *ret = zl_take_ptr(h);
    return 0;
}

/* ---- answers ------------------------------------------------------------------------------- */

/* What the agent cannot reach is not the agent: that one has answered. */
static enum zl_err_kind kind_of(const char *word)
{
    if (word && strcmp(word, zl_err_kind_name(ZL_ERR_UNREACHABLE)) == 0)
        return ZL_ERR_SYSTEM;
    for (int k = ZL_OK + 1; word && k < ZL_ERR_KINDS; k++)
        if (strcmp(zl_err_kind_name((enum zl_err_kind)k), word) == 0)
            return (enum zl_err_kind)k;
    return ZL_ERR_INTERNAL;
}

static bool is_error(const json_t *v)
{
    return json_is_string(json_object_get(v, "error")) &&
           json_is_string(json_object_get(v, "message"));
}

static int server_error(const json_t *v, struct zl_error *err)
{
    return zl_fail(err, kind_of(json_string_value(json_object_get(v, "kind"))), "%s",
                   json_string_value(json_object_get(v, "message")));
}

static int parse_answer(struct zl_http1 *h, json_t **ret, struct zl_error *err)
{
    const struct zl_buf *body = zl_http1_body(h);
    json_error_t why;
    *ret = NULL;
    if (body->len == 0)
        return 0;
    *ret = json_loadb(body->data, body->len, JSON_DECODE_ANY, &why);
    if (!*ret && zl_http1_status(h) / 100 == 2)
        return zl_fail(err, ZL_ERR_PROTOCOL, "the agent's answer is not JSON: %s", why.text);
    return 0;
}

static int finish_call(struct zl_http1 *h, json_t **ret, int *ret_status, struct zl_error *err)
{
    json_t *v = NULL;
    int status = zl_http1_status(h);
    if (ret_status)
        *ret_status = status;
    int rc = parse_answer(h, &v, err);
    if (rc == 0 && status / 100 != 2)
        rc = is_error(v)
                 ? server_error(v, err)
                 : zl_fail(err, ZL_ERR_PROTOCOL, "the agent answered with HTTP status %d", status);
    if (ret)
        *ret = v;
    else
        json_decref(v);
    return rc;
}

static int read_rest(struct api_client *c, struct zl_http1 *h, bool done, struct zl_error *err)
{
    int rc = done;
    while (rc == 0)
        rc = receive(c, h, err);
    if (rc < 0 || !zl_http1_keep_alive(h))
        disconnect(c);
    return rc < 0 ? -1 : 0;
}

int api_client_call(struct api_client *c, const char *method, const char *target,
                    const json_t *body, json_t **ret, int *ret_status, struct zl_error *err)
{
    zl_autohttp1 struct zl_http1 *h = NULL;
    bool done = false;
    if (request(c, method, target, body, &h, &done, err) < 0 || read_rest(c, h, done, err) < 0)
        return -1;
    return finish_call(h, ret, ret_status, err);
}

/* ---- streams ------------------------------------------------------------------------------- */

static int give_line(const char *line, size_t n, api_line_fn fn, void *arg, struct zl_error *err)
{
    json_error_t why;
    json_t *v = json_loadb(line, n, 0, &why);
    if (!v)
        return zl_fail(err, ZL_ERR_PROTOCOL, "the agent's stream is not JSON: %s", why.text);
    int rc = is_error(v) ? server_error(v, err) : fn(arg, v, err);
    json_decref(v);
    return rc;
}

static int give_lines(struct zl_buf *body, api_line_fn fn, void *arg, struct zl_error *err)
{
    int rc = 0;
    const char *nl;
    while (rc == 0 && (nl = memchr(body->data, '\n', body->len))) {
        rc = give_line(body->data, (size_t)(nl - body->data), fn, arg, err);
        zl_buf_consume(body, (size_t)(nl - body->data) + 1);
    }
    if (rc == 0 && body->len > LINE_MAX_BYTES)
        return zl_fail(err, ZL_ERR_PROTOCOL, "a line of the agent's stream is larger than %d bytes",
                       LINE_MAX_BYTES);
    return rc;
}

int api_client_stream(struct api_client *c, const char *method, const char *target,
                      const json_t *body, api_line_fn fn, void *arg, struct zl_error *err)
{
    zl_autohttp1 struct zl_http1 *h = NULL;
    bool done = false;
    if (request(c, method, target, body, &h, &done, err) < 0)
        return -1;
    if (zl_http1_status(h) / 100 != 2)
        return read_rest(c, h, done, err) < 0 ? -1 : finish_call(h, NULL, NULL, err);
    int rc = 0;
    for (;;) {
        rc = give_lines(zl_http1_body(h), fn, arg, err);
        if (rc != 0 || done)
            break;
        int got = receive(c, h, err);
        if (got < 0) {
            rc = -1;
            break;
        }
        done = got > 0;
    }
    disconnect(c);
    return rc;
}

void api_path(struct zl_buf *out, const char *fmt, const char *a, const char *b)
{
    const char *next = a;
    for (; *fmt; fmt++) {
        if (fmt[0] != '{' || fmt[1] != '}') {
            zl_buf_addc(out, *fmt);
            continue;
        }
        zl_http1_escape(out, next);
        next = b;
        fmt++;
    }
}
