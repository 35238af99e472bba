// SPDX-License-Identifier: Apache-2.0
/*
 * RT_PROBE: one health check. tcp and http go through a socket that the monitor makes inside the
 * container's network namespace, and are driven from our loop; a command is an exec whose end is
 * waited for. The answer's error is why the check did not pass.
 */
#include <arpa/inet.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/http1.h"
#include "runtime/native/inner.h"

enum {
    DEFAULT_TIMEOUT_MS = 5000,
    COMMAND_SLACK_MS = 5000, /* for the monitor to end a command that ran out of time */
    BODY_MAX = 64 * 1024,    /* of an http answer; what comes after the status is not looked at */
    REQUEST_MAX = 16 * 1024,
};

struct probe {
    unsigned pauses; /* of the container, when it began */
    uint64_t timeout_ms;
    uint16_t port, expect_status;
    bool v6;
    char address[INET6_ADDRSTRLEN]; /* numeric; of the family that v6 says */
    char *url, *command;
    struct zl_http1_url where; /* its target points into url */
    int fd;
    struct event *ready;
    struct zl_buf request;
    struct zl_http1 *response;
};

static void release(struct native_call *k)
{
    struct probe *p = k->more;
    if (p->ready)
        event_free(p->ready);
    zl_closep(&p->fd);
    zl_buf_done(&p->request);
    zl_http1_free(p->response);
    free(p->url);
    free(p->command);
    free(p);
}

static void not_passed(struct native_call *k, struct zl_error *why)
{
    const struct probe *p = k->more;
    if (k->c && (k->c->paused || k->c->pauses != p->pauses))
        (void)zl_fail(why, ZL_ERR_CANCELLED, "the container was paused meanwhile");
    else if (why->kind == ZL_ERR_TIMEOUT)
        (void)zl_fail(why, ZL_ERR_TIMEOUT, "no answer within %" PRIu64 " ms", p->timeout_ms);
    rt_call_fail(&k->call, why); /* core knows whose probe it is */
}

/* ---- tcp, and the beginning of http ------------------------------------------------------- */

static void wait_for(struct native_call *k, short what, void (*on_ready)(int, short, void *))
{
    struct probe *p = k->more;
    struct zl_error err = { 0 };
    if (p->ready)
        event_free(p->ready);
    p->ready = event_new(k->call.rt->base, p->fd, what, on_ready, k);
    if (p->ready && event_add(p->ready, NULL) == 0)
        return;
    (void)zl_fail(&err, ZL_ERR_SYSTEM, "wait for a socket: out of memory");
    not_passed(k, &err);
}

static void on_response(int fd, short what, void *arg)
{
    struct native_call *k = arg;
    struct probe *p = k->more;
    struct zl_error err = { 0 };
    char bytes[4096];
    (void)what;

    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        wait_for(k, EV_READ, on_response);
        return;
    }
    if (n < 0) {
        (void)zl_fail_errno(&err, "GET %s", p->url);
        not_passed(k, &err);
        return;
    }
    int rc = zl_http1_feed(p->response, bytes, (size_t)n, NULL, &err);
    int status = zl_http1_status(p->response);
    if (status == 0 && rc == 0) { /* the headers are not complete yet */
        wait_for(k, EV_READ, on_response);
        return;
    }
    if (status == p->expect_status) {
        rt_call_succeed(&k->call);
        return;
    }
    if (status != 0)
        (void)zl_fail(&err, ZL_ERR_CONFLICT, "GET %s: status %d, not %u", p->url, status,
                      p->expect_status);
    not_passed(k, &err);
}

static void send_request(int fd, short what, void *arg)
{
    struct native_call *k = arg;
    struct probe *p = k->more;
    struct zl_error err = { 0 };
    (void)what;
    ssize_t n = send(fd, p->request.data, p->request.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        (void)zl_fail_errno(&err, "GET %s", p->url);
        not_passed(k, &err);
        return;
    }
    if (n > 0)
        zl_buf_consume(&p->request, (size_t)n);
    if (p->request.len > 0)
        wait_for(k, EV_WRITE, send_request);
    else
        wait_for(k, EV_READ, on_response);
}

static void fail_to_connect(const struct probe *p, struct zl_error *err)
{
    (void)zl_fail_errno(err, p->v6 ? "connect to [%s]:%u" : "connect to %s:%u", p->address,
                        p->port);
}

static void on_connected(int fd, short what, void *arg)
{
    struct native_call *k = arg;
    struct probe *p = k->more;
    struct zl_error err = { 0 };
    int failed = 0;
    socklen_t size = sizeof failed;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) < 0)
        failed = errno;
    errno = failed;
    if (failed) {
        fail_to_connect(p, &err);
        not_passed(k, &err);
    } else if (p->url) {
        send_request(fd, what, k);
    } else {
        rt_call_succeed(&k->call);
    }
}

/* The address was checked when it was chosen. */
static int begin_connect(const struct probe *p)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(p->port) };
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(p->port) };
    (void)inet_pton(p->v6 ? AF_INET6 : AF_INET, p->address,
                    p->v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr);
    return p->v6 ? connect(p->fd, (const struct sockaddr *)&v6, sizeof v6)
                 : connect(p->fd, (const struct sockaddr *)&v4, sizeof v4);
}

static void on_socket(struct native_call *k, const struct mon_message *m)
{
    struct probe *p = k->more;
    struct zl_error err = { 0 };
    p->fd = m->fd;
    if (begin_connect(p) < 0 && errno != EINPROGRESS) {
        fail_to_connect(p, &err);
        not_passed(k, &err);
        return;
    }
    wait_for(k, EV_WRITE, on_connected);
}

static int begin_socket(struct native_call *k, struct zl_error *err)
{
    const struct probe *p = k->more;
    native_call_limit(k, p->timeout_ms);
    return mon_client_send_socket(k->c->mon, native_call_expect(k, on_socket),
                                  p->v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0, err);
}

static int begin_tcp(struct native_call *k, const struct spec_service *s, struct zl_error *err)
{
    struct probe *p = k->more;
    p->port = s->health.port;
    if (!p->port && s->n_endpoints > 0)
        p->port = s->endpoints[0].target_port ? s->endpoints[0].target_port : s->endpoints[0].port;
    if (!p->port)
        return zl_fail(err, ZL_ERR_INVALID, "no port to connect to");
    return begin_socket(k, err);
}

/* A name in a URL is the container itself, seen from inside; it stays in the Host header. */
static void choose_address(struct probe *p)
{
    struct in6_addr numeric;
    p->v6 = inet_pton(AF_INET6, p->where.host, &numeric) == 1;
    if (p->v6 || inet_pton(AF_INET, p->where.host, &numeric) == 1)
        (void)snprintf(p->address, sizeof p->address, "%.45s", p->where.host);
}

static int begin_http(struct native_call *k, const struct spec_service *s, struct zl_error *err)
{
    struct probe *p = k->more;
    p->url = strdup(s->health.url ? s->health.url : "");
    if (!p->url)
        return zl_fail_errno(err, "prepare the check");
    if (zl_http1_split_url(p->url, &p->where, err) < 0)
        return -1;
    p->port = p->where.port;
    p->expect_status = s->health.expect_status ? s->health.expect_status : 200;
    choose_address(p);
    const struct zl_http1_request rq = {
        .method = "GET",
        .target = p->where.target,
        .host = p->where.host_port,
        .headers = (const struct zl_http1_header[]){ { "User-Agent", "zlayer/" ZL_VERSION } },
        .n_headers = 1,
    };
    if (zl_http1_write_request(&rq, &p->request, err) < 0 ||
        zl_http1_new(false, BODY_MAX, &p->response, err) < 0)
        return -1;
    return begin_socket(k, err);
}

/* ---- command ------------------------------------------------------------------------------ */

static void on_command_end(struct native_call *k, const struct mon_message *m)
{
    const struct probe *p = k->more;
    const struct mon_exec_done *d = &m->exec_done;
    struct zl_error err = { 0 };
    int length = d->length < sizeof d->output ? (int)d->length : (int)sizeof d->output;
    if (!m->captured) {
        zl_closep(&m->fd);
        (void)zl_fail(&err, ZL_ERR_PROTOCOL, "the monitor sent a stream instead of an end");
    } else if (d->timed_out) {
        (void)zl_fail(&err, ZL_ERR_TIMEOUT, "too slow"); /* not_passed() says it better */
    } else if (d->exit.code != 0) {
        while (length > 0 && d->output[length - 1] == '\n')
            length--;
        int from = length > 400 ? length - 400 : 0; /* the end tells most */
        (void)zl_fail(&err, ZL_ERR_CONFLICT, "'%s' exited with %d%s%.*s", p->command, d->exit.code,
                      length ? ": " : "", length - from, d->output + from);
    } else {
        rt_call_succeed(&k->call);
        return;
    }
    not_passed(k, &err);
}

static void on_command_made(struct native_call *k, const struct mon_message *m)
{
    struct zl_error err = { 0 };
    if (mon_client_send_exec_start(k->c->mon, native_call_expect(k, on_command_end),
                                   m->exec_made.exec_id, &err) < 0)
        not_passed(k, &err);
}

static int begin_command(struct native_call *k, const struct spec_service *s, struct zl_error *err)
{
    struct probe *p = k->more;
    p->command = strdup(s->health.command ? s->health.command : "");
    if (!p->command)
        return zl_fail_errno(err, "prepare the check");
    const char *const argv[] = { "/bin/sh", "-c", p->command, NULL };
    const struct rt_exec x = { .argv = argv };
    native_call_limit(k, p->timeout_ms + COMMAND_SLACK_MS);
    return exec_send(k, &x, true, p->timeout_ms, on_command_made, err);
}

/* ---- the door ----------------------------------------------------------------------------- */

static int (*const begin[])(struct native_call *, const struct spec_service *,
                            struct zl_error *) = {
    [SPEC_CHECK_TCP] = begin_tcp,
    [SPEC_CHECK_HTTP] = begin_http,
    [SPEC_CHECK_COMMAND] = begin_command,
};

static int check_running(const struct container *c, struct zl_error *err)
{
    if (c && c->paused)
        return zl_fail(err, ZL_ERR_CANCELLED, "the container is paused");
    return c && c->mon ? 0 : zl_fail(err, ZL_ERR_NOT_FOUND, "the container does not run");
}

static int begin_probe(struct native_call *k, const struct spec_service *s, struct zl_error *err)
{
    if (check_running(k->c, err) < 0)
        return -1;
    struct probe *p = calloc(1, sizeof *p);
    if (!p)
        return zl_fail_errno(err, "prepare the check");
    k->more = p;
    k->release = release;
    k->on_failed = not_passed;
    p->fd = -1;
    p->pauses = k->c->pauses;
    p->timeout_ms = s->health.timeout_ms ? s->health.timeout_ms : DEFAULT_TIMEOUT_MS;
    (void)snprintf(p->address, sizeof p->address, "127.0.0.1");
    zl_buf_init(&p->request, REQUEST_MAX);
    return begin[s->health.check](k, s, err);
}

int native_probe(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    if (begin_probe(k, rq->probe.service, err) < 0) {
        k->op = 0;
        rt_call_fail_soon(&k->call, err); /* without its name, as not_passed() */
    }
    return 0;
}
