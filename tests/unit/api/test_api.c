// SPDX-License-Identifier: Apache-2.0
/* The API over a real socket, with the real core behind it (fake_agent.h). */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/client.h"
#include "fake_agent.h"

static struct fake_agent agent;

#define SPEC                                                                                       \
    "version: v1\n"                                                                                \
    "deployment: shop\n"                                                                           \
    "services:\n"                                                                                  \
    "  web: {image: {name: busybox}, scale: {mode: fixed, replicas: 2}}\n"                         \
    "  work: {image: {name: exits}, rtype: job}\n"

static int setup(void **state)
{
    (void)state;
    fake_agent_start(&agent);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_agent_stop(&agent);
    return 0;
}

/* One call over a connection of its own; a reference to the answer, and its status. */
static json_t *call(const char *method, const char *target, json_t *body, int *ret_status)
{
    auto_api_client struct api_client *c = NULL;
    struct zl_error err = { 0 };
    json_t *answer = NULL;
    *ret_status = 0;
    assert_int_equal(api_client_open(agent.socket, &c, &err), 0);
    (void)api_client_call(c, method, target, body, &answer, ret_status, &err);
    json_decref(body);
    return answer;
}

static const char *text(const json_t *v, const char *key)
{
    const char *s = json_string_value(json_object_get(v, key));
    return s ? s : "";
}

static void expect(const char *method, const char *target, json_t *body, int status,
                   const char *error)
{
    int got;
    json_t *answer = call(method, target, body, &got);
    assert_int_equal(got, status);
    assert_string_equal(text(answer, "error"), error);
    json_decref(answer);
}

static void deploy(void)
{
    int status;
    json_t *answer = call("POST", "/api/v1/deployments", json_pack("{s:s}", "spec", SPEC), &status);
    assert_int_equal(status, 201);
    assert_string_equal(text(answer, "name"), "shop");
    json_decref(answer);
}

/* The bytes that the server answers to these, until it closes. */
static char *raw(const char *bytes, size_t n)
{
    static char out[65536];
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", agent.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    while (n > 0) {
        ssize_t w = send(fd, bytes, n, MSG_NOSIGNAL);
        if (w <= 0)
            break;
        bytes += w;
        n -= (size_t)w;
    }
    size_t have = 0;
    struct pollfd p = { .fd = fd, .events = POLLIN };
    while (poll(&p, 1, 500) > 0) {
        ssize_t r = recv(fd, out + have, sizeof out - 1 - have, 0);
        if (r <= 0)
            break;
        have += (size_t)r;
    }
    out[have] = '\0';
    (void)close(fd);
    return out;
}

/* ---- the layer below the routes ------------------------------------------------------------ */

static void every_answer_names_the_version_of_the_server(void **unused)
{
    (void)unused;
    static const char request[] =
        "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const char *answer = raw(request, sizeof request - 1);
    assert_non_null(strstr(answer, "200 OK"));
    assert_non_null(strstr(answer, "Server: zlayer/" ZL_VERSION));
}

static void an_unknown_path_is_404_and_a_wrong_method_405(void **unused)
{
    (void)unused;
    expect("GET", "/api/v1/nothing", NULL, 404, "not_found");
    expect("PUT", "/api/v1/deployments", NULL, 405, "method_not_allowed");
    static const char request[] =
        "PATCH /api/v1/services HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_non_null(strstr(raw(request, sizeof request - 1), "Allow: GET"));
}

static void a_body_that_is_not_json_is_400_with_its_place(void **unused)
{
    (void)unused;
    static const char request[] = "POST /api/v1/validate HTTP/1.1\r\nHost: x\r\n"
                                  "Content-Length: 5\r\nConnection: close\r\n\r\n{\"a\":";
    const char *answer = raw(request, sizeof request - 1);
    assert_non_null(strstr(answer, "400 Bad Request"));
    assert_non_null(strstr(answer, "request body"));
}

static void an_unknown_key_of_a_body_is_named(void **unused)
{
    (void)unused;
    int status;
    json_t *answer = call("POST", "/api/v1/validate",
                          json_pack("{s:s, s:i}", "spec", "version: v1", "spek", 1), &status);
    assert_int_equal(status, 400);
    assert_non_null(strstr(text(answer, "message"), "spek"));
    json_decref(answer);
    expect("POST", "/api/v1/validate", json_object(), 400, "bad_request");
    expect("POST", "/api/v1/validate", json_pack("{s:i}", "spec", 5), 400, "bad_request");
}

static void a_query_that_says_nothing_is_400_by_the_parameters_name(void **unused)
{
    (void)unused;
    static const struct {
        const char *method, *target, *says;
    } cases[] = {
        { "POST", "/api/v1/containers/x/wait?timeout_ms=abc",
          "query parameter 'timeout_ms': expected a whole number, not negative, found 'abc'" },
        { "POST", "/api/v1/containers/x/wait?timeout_ms=", "found ''" },
        { "POST", "/api/v1/containers/x/wait?timeout_ms=-1", "found '-1'" },
        { "POST", "/api/v1/containers/x/wait?timeout_ms=%2B1", "found '+1'" },
        { "POST", "/api/v1/containers/x/wait?timeout_ms=%201", "found ' 1'" },
        { "POST", "/api/v1/containers/x/wait?timeout_ms=1s", "found '1s'" },
        { "POST", "/api/v1/containers/x/wait?timeout_ms=9223372036854775808", "'timeout_ms'" },
        { "POST", "/api/v1/containers/x/wait?timeout_ms=99999999999999999999", "'timeout_ms'" },
        { "DELETE", "/api/v1/deployments/x?grace_ms=1.5", "'grace_ms'" },
        { "DELETE", "/api/v1/deployments/x?force=maybe",
          "query parameter 'force': expected true or false, 1 or 0, found 'maybe'" },
        { "GET", "/api/v1/events?since=latest", "'since'" },
        { "GET", "/api/v1/jobs/j/executions?limit=all", "'limit'" },
        { "GET", "/api/v1/containers/x/stats?interval_ms=1e3", "'interval_ms'" },
        { "DELETE", "/api/v1/deployments/x?wait=1&wait=0", "'wait' is given twice" },
        { "DELETE", "/api/v1/deployments/x?weight=1",
          "DELETE /api/v1/deployments/{d} has no query parameter 'weight', but wait" },
        { "GET", "/api/v1/services?wait=1", "has no query parameter 'wait'" },
        { "POST", "/api/v1/deployments/x/stop?grace_ms=5", "has no query parameter 'grace_ms'" },
        { "GET", "/api/v1/containers?service=a%00b", "NUL" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status;
        json_t *answer = call(cases[i].method, cases[i].target, NULL, &status);
        if (status != 400 || !strstr(text(answer, "message"), cases[i].says))
            fail_msg("%s: %d %s", cases[i].target, status, text(answer, "message"));
        json_decref(answer);
    }
    expect("DELETE", "/api/v1/deployments/x?wait=true&timeout_ms=9223372036854775807&force=0", NULL,
           404, "not_found");
}

static void a_body_above_the_limit_is_413(void **unused)
{
    (void)unused;
    size_t n = 9 * 1024 * 1024;
    char *request = malloc(n);
    assert_non_null(request);
    memset(request, ' ', n);
    int head = snprintf(request, n,
                        "POST /api/v1/validate HTTP/1.1\r\nHost: x\r\n"
                        "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                        n - 200);
    request[head] = ' ';
    assert_non_null(strstr(raw(request, n), "413"));
    free(request);
}

static void a_request_in_single_bytes_is_answered(void **unused)
{
    (void)unused;
    static const char request[] =
        "GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", agent.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    for (size_t i = 0; i < sizeof request - 1; i++)
        assert_int_equal(send(fd, request + i, 1, 0), 1);
    char answer[1024] = { 0 };
    assert_true(recv(fd, answer, sizeof answer - 1, 0) > 0);
    assert_non_null(strstr(answer, "200 OK"));
    (void)close(fd);
}

static void half_a_request_does_not_hold_up_others(void **unused)
{
    (void)unused;
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", agent.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(send(fd, "GET /heal", 9, 0), 9);
    expect("GET", "/api/v1/services", NULL, 200, "");
    (void)close(fd);
}

static void requests_sent_without_waiting_are_answered_in_order(void **unused)
{
    (void)unused;
    static const char two[] = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
                              "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const char *answer = raw(two, sizeof two - 1);
    const char *first = strstr(answer, "200 OK");
    assert_non_null(first);
    assert_non_null(strstr(first, "404 Not Found"));
}

static void bytes_after_a_request_that_waits_do_no_harm(void **unused)
{
    (void)unused;
    static const char two[] = "GET /api/v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n"
                              "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nand more of it";
    assert_non_null(strstr(raw(two, sizeof two - 1), "200 OK"));
    expect("GET", "/health/live", NULL, 200, "");
}

/* ---- deployments --------------------------------------------------------------------------- */

static void a_wrong_document_is_422_with_all_findings_and_changes_nothing(void **unused)
{
    (void)unused;
    int status;
    json_t *answer =
        call("POST", "/api/v1/deployments",
             json_pack("{s:s, s:s}", "spec",
                       "version: v1\ndeployment: bad\nservices:\n  a: {imag: 1}\n  b: [1]\n",
                       "name", "bad.yml"),
             &status);
    assert_int_equal(status, 422);
    assert_string_equal(text(answer, "error"), "validation_error");
    const json_t *found = json_object_get(json_object_get(answer, "details"), "diagnostics");
    assert_true(json_array_size(found) >= 2);
    assert_string_equal(text(json_array_get(found, 0), "file"), "bad.yml");
    json_decref(answer);
    expect("GET", "/api/v1/deployments/bad", NULL, 404, "not_found");
}

static void a_deployment_is_made_seen_and_removed(void **unused)
{
    (void)unused;
    int status;
    deploy();
    json_t *one = call("GET", "/api/v1/deployments/shop/services/web", NULL, &status);
    assert_int_equal(status, 200);
    assert_int_equal(json_integer_value(json_object_get(one, "desired")), 2);
    json_decref(one);
    json_t *spec = call("GET", "/api/v1/deployments/shop/spec", NULL, &status);
    assert_string_equal(text(spec, "spec"), SPEC);
    json_decref(spec);
    json_t *logs = call("GET", "/api/v1/deployments/shop/services/web/logs", NULL, &status);
    assert_int_equal(json_array_size(logs), 2);
    assert_string_equal(text(json_array_get(logs, 1), "path"), "/logs/shop/web-2.log");
    json_decref(logs);
    expect("DELETE", "/api/v1/deployments/shop?wait=1", NULL, 204, "");
    expect("GET", "/api/v1/deployments/shop", NULL, 404, "not_found");
    expect("DELETE", "/api/v1/deployments/shop", NULL, 404, "not_found");
}

struct seen {
    char last[32];
    unsigned services;
};

static int on_progress(void *arg, const json_t *line, struct zl_error *err)
{
    struct seen *s = arg;
    (void)err;
    (void)snprintf(s->last, sizeof s->last, "%s", text(line, "event"));
    s->services += strcmp(s->last, "service") == 0;
    return 0;
}

static void the_progress_of_a_deploy_ends_with_ready(void **unused)
{
    (void)unused;
    auto_api_client struct api_client *c = NULL;
    struct zl_error err = { 0 };
    struct seen s = { 0 };
    deploy();
    assert_int_equal(api_client_open(agent.socket, &c, &err), 0);
    assert_int_equal(api_client_stream(c, "GET", "/api/v1/deployments/shop/events?timeout_ms=20000",
                                       NULL, on_progress, &s, &err),
                     0);
    assert_string_equal(s.last, "ready");
    assert_true(s.services >= 2);
    expect("DELETE", "/api/v1/deployments/shop?wait=1", NULL, 204, "");
}

static void a_stopped_service_is_told_when_it_has_stopped(void **unused)
{
    (void)unused;
    int status;
    deploy();
    json_t *answer = call("POST", "/api/v1/deployments/shop/stop?wait=1",
                          json_pack("{s:s}", "service", "web"), &status);
    assert_int_equal(status, 200);
    assert_string_equal(text(json_array_get(answer, 0), "status"), "stopped");
    json_decref(answer);
    answer = call("GET", "/api/v1/deployments/shop/services/web/containers", NULL, &status);
    for (size_t i = 0; i < json_array_size(answer); i++) /* a place for it may be shown */
        assert_true(json_is_null(json_object_get(json_array_get(answer, i), "id")));
    json_decref(answer);
    expect("POST", "/api/v1/deployments/shop/stop", json_pack("{s:s}", "service", "nix"), 404,
           "not_found");
    expect("DELETE", "/api/v1/deployments/shop?wait=1", NULL, 204, "");
}

static void a_job_is_run_and_its_end_awaited(void **unused)
{
    (void)unused;
    int status;
    char target[128];
    deploy();
    json_t *made = call("POST", "/api/v1/jobs/work/trigger", NULL, &status);
    assert_int_equal(status, 202);
    (void)snprintf(target, sizeof target, "/api/v1/jobs/%s/status?wait=1",
                   text(made, "execution_id"));
    json_decref(made);
    json_t *x = call("GET", target, NULL, &status);
    assert_int_equal(status, 200);
    assert_string_equal(text(x, "status"), "failed");
    assert_int_equal(json_integer_value(json_object_get(x, "exit_code")), 7);
    json_decref(x);
    json_t *list = call("GET", "/api/v1/jobs/work/executions", NULL, &status);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    expect("POST", "/api/v1/jobs/nothing/trigger", NULL, 404, "not_found");
    expect("DELETE", "/api/v1/deployments/shop?wait=1", NULL, 204, "");
}

/* ---- containers ---------------------------------------------------------------------------- */

static json_t *mapping(const char *name, const char *image, bool remove)
{
    json_t *spec = json_pack("{s:{s:s}}", "image", "name", image);
    if (remove)
        (void)json_object_set_new(spec, "lifecycle", json_pack("{s:b}", "delete_on_exit", true));
    return json_pack("{s:s, s:o}", "name", name, "spec", spec);
}

static void a_container_is_run_found_stopped_and_removed(void **unused)
{
    (void)unused;
    int status;
    char target[128];
    json_t *made =
        call("POST", "/api/v1/containers?wait=1", mapping("box", "busybox", false), &status);
    assert_int_equal(status, 201);
    assert_string_equal(text(json_object_get(made, "container"), "state"), "running");
    (void)snprintf(target, sizeof target, "/api/v1/containers/%.6s", text(made, "id"));
    json_t *found = call("GET", target, NULL, &status);
    assert_string_equal(text(found, "name"), "box");
    json_decref(found);
    json_decref(made);
    expect("POST", "/api/v1/containers", mapping("box", "busybox", false), 409, "conflict");
    expect("DELETE", "/api/v1/containers/box", NULL, 409, "conflict");
    expect("POST", "/api/v1/containers/box/stop?wait=1", NULL, 200, "");
    expect("DELETE", "/api/v1/containers/box?wait=1", NULL, 204, "");
    expect("GET", "/api/v1/containers/box", NULL, 404, "not_found");
}

static void the_end_of_a_container_is_told_even_after_its_removal(void **unused)
{
    (void)unused;
    int status;
    char target[128];
    json_t *made =
        call("POST", "/api/v1/containers?wait=1", mapping("brief", "no-command", true), &status);
    assert_int_equal(status, 201);
    (void)snprintf(target, sizeof target, "/api/v1/containers/%s/wait?removed=1", text(made, "id"));
    (void)json_decref(call("POST", target, NULL, &status));
    (void)snprintf(target, sizeof target, "/api/v1/containers/%s/wait", text(made, "id"));
    json_decref(made);
    json_t *end = call("POST", target, NULL, &status);
    assert_int_equal(status, 200);
    assert_non_null(strstr(text(end, "why"), "/no/such"));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(end, "exit"), "code")),
                     127);
    json_decref(end);
}

static void an_attached_run_says_where_its_streams_are(void **unused)
{
    (void)unused;
    int status;
    json_t *body = mapping("fg", "busybox", true);
    (void)json_object_set_new(body, "attach", json_true());
    json_t *made = call("POST", "/api/v1/containers", body, &status);
    assert_int_equal(status, 201);
    assert_string_equal(text(json_object_get(made, "where"), "socket"), "/fake/ctl");
    json_decref(made);
    expect("POST", "/api/v1/containers/fg/kill", json_pack("{s:s}", "signal", "SIGNIX"), 400,
           "bad_request");
    expect("POST", "/api/v1/containers/fg/kill", json_pack("{s:s}", "signal", "SIGKILL"), 204, "");
}

static void a_container_is_paused_and_gets_new_limits(void **unused)
{
    (void)unused;
    int status;
    json_decref(call("POST", "/api/v1/containers", mapping("limits", "busybox", true), &status));
    assert_int_equal(status, 201);
    expect("POST", "/api/v1/containers/limits/pause", NULL, 204, "");
    expect("POST", "/api/v1/containers/limits/unpause", NULL, 409, "conflict");
    expect("POST", "/api/v1/containers/limits/update", json_pack("{s:s}", "memory", "much"), 400,
           "bad_request");
    expect("POST", "/api/v1/containers/limits/update", json_pack("{s:i}", "memroy", 5), 400,
           "bad_request");
    json_t *told = call(
        "POST", "/api/v1/containers/limits/update",
        json_pack("{s:s, s:{s:s}}", "memory", "64Mi", "restart_policy", "name", "always"), &status);
    assert_int_equal(status, 200);
    const json_t *warnings = json_object_get(told, "warnings");
    assert_int_equal(json_array_size(warnings), 3); /* two of the agent, one of the API */
    assert_string_equal(json_string_value(json_array_get(warnings, 1)), "two");
    json_decref(told);
}

static void files_of_a_container_are_reached_by_a_socket(void **unused)
{
    (void)unused;
    int status;
    json_decref(call("POST", "/api/v1/containers", mapping("files", "busybox", true), &status));
    expect("POST", "/api/v1/containers/files/archive", json_pack("{s:s}", "op", "take"), 400,
           "bad_request");
    expect("POST", "/api/v1/containers/files/archive",
           json_pack("{s:s, s:s}", "op", "get", "path", "etc"), 400, "bad_request");
    json_t *told = call("POST", "/api/v1/containers/files/archive",
                        json_pack("{s:s, s:s}", "op", "get", "path", "/etc"), &status);
    assert_int_equal(status, 200);
    assert_string_equal(text(json_object_get(told, "where"), "socket"), "/fake/ctl");
    json_decref(told);
}

static void facts_of_a_container_are_told_and_its_secrets_are_not(void **unused)
{
    (void)unused;
    int status;
    json_decref(call("POST", "/api/v1/containers", mapping("facts", "busybox", true), &status));
    json_t *seen = call("GET", "/api/v1/containers/facts", NULL, &status);
    const json_t *env =
        json_object_get(json_object_get(json_object_get(seen, "config"), "process"), "env");
    assert_string_equal(text(seen, "image_digest"), "sha256:1");
    assert_string_equal(json_string_value(json_array_get(env, 0)), "KEY");
    assert_string_equal(json_string_value(json_array_get(env, 1)), "B");
    json_decref(seen);
    json_t *top = call("GET", "/api/v1/containers/facts/top", NULL, &status);
    const json_t *row = json_array_get(json_object_get(top, "processes"), 0);
    assert_int_equal(json_array_size(json_object_get(top, "titles")), 2);
    assert_string_equal(json_string_value(json_array_get(row, 0)), "7");
    assert_string_equal(json_string_value(json_array_get(row, 1)), "?"); /* no UTF-8 */
    json_decref(top);
}

struct seen_samples {
    size_t n;
    int64_t last;
};

static int on_sample(void *arg, const json_t *line, struct zl_error *err)
{
    struct seen_samples *s = arg;
    (void)err;
    s->n++;
    s->last = json_integer_value(json_object_get(json_object_get(line, "cpu"), "usage_ns"));
    assert_true(json_is_null(json_object_get(json_object_get(line, "memory"), "limit")));
    assert_true(json_is_object(json_object_get(json_object_get(line, "memory"), "pressure")));
    assert_true(json_is_null(json_object_get(json_object_get(line, "cpu"), "pressure")));
    return 0;
}

static void samples_come_until_the_container_has_ended(void **unused)
{
    (void)unused;
    int status;
    struct seen_samples seen = { 0 };
    struct zl_error err = { 0 };
    json_decref(
        call("POST", "/api/v1/containers?wait=1", mapping("sampled", "busybox", true), &status));
    auto_api_client struct api_client *client = NULL;
    assert_int_equal(api_client_open(agent.socket, &client, &err), 0);
    if (api_client_stream(client, "GET",
                          "/api/v1/containers/sampled/stats?stream=1&interval_ms=100", NULL,
                          on_sample, &seen, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.last, 2000);
}

static void an_exec_needs_a_command_and_passes_its_environment(void **unused)
{
    (void)unused;
    json_decref(
        call("POST", "/api/v1/containers?wait=1", mapping("x", "busybox", false), &(int){ 0 }));
    expect("POST", "/api/v1/containers/x/exec", json_pack("{s:[]}", "command"), 400, "bad_request");
    expect("POST", "/api/v1/containers/x/exec",
           json_pack("{s:[s], s:[s]}", "command", "env", "env", "A=b"), 200, "");
    expect("POST", "/api/v1/containers/nix/exec", json_pack("{s:[s]}", "command", "a"), 404,
           "not_found");
    expect("DELETE", "/api/v1/containers/x?force=1&wait=1", NULL, 204, "");
}

static void a_client_that_leaves_while_it_waits_is_forgotten(void **unused)
{
    (void)unused;
    json_decref(call("POST", "/api/v1/containers", mapping("s", "stuck", false), &(int){ 0 }));
    for (int i = 0; i < 20; i++) {
        static const char request[] = "POST /api/v1/containers/s/wait HTTP/1.1\r\nHost: x\r\n\r\n";
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", agent.socket);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
        assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
        (void)close(fd);
    }
    expect("DELETE", "/api/v1/containers/s?force=1&wait=1", NULL, 204, "");
}

/* What is done to a connection while its client waits is taken back: the next request is read
 * whole, however long. */
static void after_a_wait_the_connection_is_as_before(void **unused)
{
    (void)unused;
    static char three[128 * 1024];
    enum { BODY = 100000 };
    json_decref(
        call("POST", "/api/v1/containers?wait=1", mapping("kept", "busybox", false), &(int){ 0 }));
    int n = snprintf(three, sizeof three,
                     "POST /api/v1/containers/kept/wait?timeout_ms=20 HTTP/1.1\r\nHost: x\r\n"
                     "Content-Length: 0\r\n\r\n"
                     "POST /api/v1/validate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
                     "{\"spek\": 1}%*s"
                     "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                     BODY, BODY - 11, "");
    const char *answer = strstr(raw(three, (size_t)n), "HTTP/1.1 202 Accepted");
    assert_non_null(answer);
    assert_non_null(answer = strstr(answer, "400 Bad Request"));
    assert_non_null(strstr(answer, "404 Not Found"));
    expect("DELETE", "/api/v1/containers/kept?force=1&wait=1", NULL, 204, "");
}

/* ---- images, events ------------------------------------------------------------------------ */

static void images_are_listed_and_removed_by_an_escaped_reference(void **unused)
{
    (void)unused;
    int status;
    json_t *list = call("GET", "/api/v1/images", NULL, &status);
    assert_string_equal(text(json_array_get(list, 0), "reference"), "busybox");
    json_decref(list);
    expect("DELETE", "/api/v1/images/docker.io%2Flibrary%2Fbusybox:latest", NULL, 204, "");
    expect("DELETE", "/api/v1/images/other", NULL, 404, "not_found");
}

static void volumes_are_made_listed_and_not_removed_while_they_are_in_use(void **unused)
{
    (void)unused;
    static const struct {
        const char *body, *error;
        int status;
    } wishes[] = {
        { "{\"name\":\"db\",\"labels\":{\"team\":\"shop\"}}", "", 201 },
        { "{\"name\":\"taken\"}", "conflict", 409 },
        { "{}", "bad_request", 400 },
        { "{\"name\":\"db\",\"labels\":{\"team\":5}}", "bad_request", 400 },
        { "{\"name\":\"db\",\"labels\":[]}", "bad_request", 400 },
    };
    int status;
    json_t *list = call("GET", "/api/v1/volumes", NULL, &status);
    assert_string_equal(text(json_array_get(list, 0), "name"), "db");
    json_decref(list);
    expect("GET", "/api/v1/volumes/other", NULL, 404, "not_found");
    for (size_t i = 0; i < ZL_ARRAY_LEN(wishes); i++)
        expect("POST", "/api/v1/volumes", json_loads(wishes[i].body, 0, NULL), wishes[i].status,
               wishes[i].error);
    expect("DELETE", "/api/v1/volumes/full?force=1", NULL, 204, "");
    expect("DELETE", "/api/v1/volumes/full", NULL, 409, "conflict");
    json_t *gone = call("POST", "/api/v1/volumes/prune?force=1&plan=1", NULL, &status);
    assert_true(json_is_true(json_object_get(gone, "plan")));
    assert_true(json_is_true(json_object_get(gone, "forced")));
    json_decref(gone);
}

static int count_line(void *arg, const json_t *line, struct zl_error *err)
{
    (void)line;
    (void)err;
    ++*(int *)arg;
    return 0;
}

static void an_import_streams_progress_and_its_end_or_its_error(void **unused)
{
    (void)unused;
    static const struct {
        const char *source;
        int rc, lines;
    } cases[] = { { "/fine.tar", 0, 2 }, { "/broken.tar", -1, 1 } };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        auto_api_client struct api_client *c = NULL;
        struct zl_error err = { 0 };
        int lines = 0;
        json_t *body = json_pack("{s:s, s:s}", "source", cases[i].source, "reference", "x");
        assert_int_equal(api_client_open(agent.socket, &c, &err), 0);
        assert_int_equal(
            api_client_stream(c, "POST", "/api/v1/images/import", body, count_line, &lines, &err),
            cases[i].rc);
        assert_int_equal(lines, cases[i].lines);
        if (cases[i].rc < 0)
            assert_string_equal(err.msg, "'/broken.tar' is not a tar");
        json_decref(body);
    }
}

static void events_are_kept_for_those_who_come_late(void **unused)
{
    (void)unused;
    auto_api_client struct api_client *c = NULL;
    struct zl_error err = { 0 };
    int lines = 0;
    deploy();
    expect("DELETE", "/api/v1/deployments/shop?wait=1", NULL, 204, "");
    assert_int_equal(api_client_open(agent.socket, &c, &err), 0);
    assert_int_equal(api_client_stream(c, "GET", "/api/v1/events", NULL, count_line, &lines, &err),
                     0);
    assert_true(lines > 0);
}

/* ---- the client ---------------------------------------------------------------------------- */

static void the_client_says_why_there_is_no_agent(void **unused)
{
    (void)unused;
    struct api_client *c = NULL;
    struct zl_error err = { 0 };
    char path[96];
    assert_int_equal(api_client_open("/tmp/no/such/sock", &c, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_UNREACHABLE);
    assert_non_null(strstr(err.msg, "there is no socket"));
    (void)snprintf(path, sizeof path, "%s/dead", agent.dir);
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    memcpy(addr.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    (void)close(fd);
    assert_int_equal(api_client_open(path, &c, &err), -1);
    assert_non_null(strstr(err.msg, "nobody listens"));
    (void)unlink(path);
}

static void one_connection_serves_many_calls(void **unused)
{
    (void)unused;
    auto_api_client struct api_client *c = NULL;
    struct zl_error err = { 0 };
    assert_int_equal(api_client_open(agent.socket, &c, &err), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(api_client_call(c, "GET", "/api/v1/services", NULL, NULL, NULL, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_names_the_version_of_the_server),
        cmocka_unit_test(an_unknown_path_is_404_and_a_wrong_method_405),
        cmocka_unit_test(a_body_that_is_not_json_is_400_with_its_place),
        cmocka_unit_test(an_unknown_key_of_a_body_is_named),
        cmocka_unit_test(a_query_that_says_nothing_is_400_by_the_parameters_name),
        cmocka_unit_test(a_body_above_the_limit_is_413),
        cmocka_unit_test(a_request_in_single_bytes_is_answered),
        cmocka_unit_test(half_a_request_does_not_hold_up_others),
        cmocka_unit_test(requests_sent_without_waiting_are_answered_in_order),
        cmocka_unit_test(bytes_after_a_request_that_waits_do_no_harm),
        cmocka_unit_test(a_wrong_document_is_422_with_all_findings_and_changes_nothing),
        cmocka_unit_test(a_deployment_is_made_seen_and_removed),
        cmocka_unit_test(the_progress_of_a_deploy_ends_with_ready),
        cmocka_unit_test(a_stopped_service_is_told_when_it_has_stopped),
        cmocka_unit_test(a_job_is_run_and_its_end_awaited),
        cmocka_unit_test(a_container_is_run_found_stopped_and_removed),
        cmocka_unit_test(the_end_of_a_container_is_told_even_after_its_removal),
        cmocka_unit_test(an_attached_run_says_where_its_streams_are),
        cmocka_unit_test(a_container_is_paused_and_gets_new_limits),
        cmocka_unit_test(files_of_a_container_are_reached_by_a_socket),
        cmocka_unit_test(facts_of_a_container_are_told_and_its_secrets_are_not),
        cmocka_unit_test(samples_come_until_the_container_has_ended),
        cmocka_unit_test(an_exec_needs_a_command_and_passes_its_environment),
        cmocka_unit_test(a_client_that_leaves_while_it_waits_is_forgotten),
        cmocka_unit_test(after_a_wait_the_connection_is_as_before),
        cmocka_unit_test(images_are_listed_and_removed_by_an_escaped_reference),
        cmocka_unit_test(volumes_are_made_listed_and_not_removed_while_they_are_in_use),
        cmocka_unit_test(an_import_streams_progress_and_its_end_or_its_error),
        cmocka_unit_test(events_are_kept_for_those_who_come_late),
        cmocka_unit_test(the_client_says_why_there_is_no_agent),
        cmocka_unit_test(one_connection_serves_many_calls),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
