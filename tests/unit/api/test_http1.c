// SPDX-License-Identifier: Apache-2.0
/* HTTP/1 responses in every way they may arrive, and requests that must not smuggle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/http1.h"

enum { BODY_MAX = 1 << 20 };

/* Feeds text in pieces of `step` bytes; the result of the last feed. */
static int feed(struct zl_http1 *h, const char *bytes, size_t n, size_t step, struct zl_error *err)
{
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < n; at += step)
        rc = zl_http1_feed(h, bytes + at, n - at < step ? n - at : step, NULL, err);
    return rc;
}

static struct zl_http1 *reader(void)
{
    struct zl_http1 *h = NULL;
    struct zl_error err = { 0 };
    assert_int_equal(zl_http1_new(false, BODY_MAX, &h, &err), 0);
    return h;
}

static const char plain[] = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nX-Empty:\r\n"
                            "Set-Cookie: a\r\nset-cookie: b\r\n\r\nhello";
static const char chunked[] = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "3\r\nabc\r\n10;ext=1\r\n0123456789abcdef\r\n0\r\nTrailer: t\r\n\r\n";

static void a_response_may_be_split_at_every_byte(void **unused)
{
    (void)unused;
    for (size_t cut = 1; cut < sizeof plain - 1; cut++) {
        zl_autohttp1 struct zl_http1 *h = reader();
        struct zl_error err = { 0 };
        assert_int_equal(zl_http1_feed(h, plain, cut, NULL, &err), 0);
        (void)zl_http1_header(h, "Server"); /* asked too early: absent, and harmless */
        assert_int_equal(zl_http1_feed(h, plain + cut, sizeof plain - 1 - cut, NULL, &err), 1);
        assert_int_equal(zl_http1_status(h), 200);
        assert_string_equal(zl_http1_body(h)->data, "hello");
        assert_string_equal(zl_http1_header(h, "SERVER"), "x");
        assert_string_equal(zl_http1_header(h, "x-empty"), "");
        assert_string_equal(zl_http1_header(h, "Set-Cookie"), "a");
        assert_null(zl_http1_header(h, "X"));
        assert_true(zl_http1_keep_alive(h));
    }
}

static void chunks_may_be_split_at_every_byte(void **unused)
{
    (void)unused;
    for (size_t step = 1; step < sizeof chunked; step++) {
        zl_autohttp1 struct zl_http1 *h = reader();
        struct zl_error err = { 0 };
        assert_int_equal(feed(h, chunked, sizeof chunked - 1, step, &err), 1);
        assert_int_equal(zl_http1_status(h), 201);
        assert_string_equal(zl_http1_body(h)->data, "abc0123456789abcdef");
        assert_null(zl_http1_header(h, "Trailer"));
    }
}

static void what_follows_the_response_is_left_to_the_caller(void **unused)
{
    (void)unused;
    zl_autohttp1 struct zl_http1 *h = reader();
    struct zl_error err = { 0 };
    char both[512];
    size_t used = 0;
    int n = snprintf(both, sizeof both, "%sHTTP/1.1 404 X\r\n", plain);
    assert_int_equal(zl_http1_feed(h, both, (size_t)n, &used, &err), 1);
    assert_int_equal(used, sizeof plain - 1);
}

static void an_upgrade_ends_with_its_headers(void **unused)
{
    (void)unused;
    static const char text[] = "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\n"
                               "Upgrade: tcp\r\n\r\nraw bytes";
    zl_autohttp1 struct zl_http1 *h = reader();
    struct zl_error err = { 0 };
    size_t used = 0;
    assert_int_equal(zl_http1_feed(h, text, sizeof text - 1, &used, &err), 1);
    assert_int_equal(zl_http1_status(h), 101);
    assert_string_equal(text + used, "raw bytes");
}

static void interim_responses_are_skipped(void **unused)
{
    (void)unused;
    static const char text[] = "HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n"
                               "HTTP/1.1 204 No Content\r\nX-Late: 2\r\n\r\n";
    zl_autohttp1 struct zl_http1 *h = reader();
    struct zl_error err = { 0 };
    assert_int_equal(feed(h, text, sizeof text - 1, 7, &err), 1);
    assert_int_equal(zl_http1_status(h), 204);
    assert_null(zl_http1_header(h, "X-Early"));
    assert_string_equal(zl_http1_header(h, "X-Late"), "2");
}

static void a_head_response_has_no_body_whatever_it_says(void **unused)
{
    (void)unused;
    zl_autohttp1 struct zl_http1 *h = NULL;
    struct zl_error err = { 0 };
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
    assert_int_equal(zl_http1_new(true, BODY_MAX, &h, &err), 0);
    assert_int_equal(zl_http1_feed(h, text, sizeof text - 1, NULL, &err), 1);
}

static void without_a_length_the_end_of_the_connection_ends_the_body(void **unused)
{
    (void)unused;
    zl_autohttp1 struct zl_http1 *h = reader();
    struct zl_error err = { 0 };
    static const char text[] = "HTTP/1.0 200 OK\r\n\r\nall of it";
    assert_int_equal(zl_http1_feed(h, text, sizeof text - 1, NULL, &err), 0);
    assert_int_equal(zl_http1_feed(h, "", 0, NULL, &err), 1);
    assert_string_equal(zl_http1_body(h)->data, "all of it");
    assert_false(zl_http1_keep_alive(h));
}

static void a_connection_that_closes_early_is_told_from_an_end(void **unused)
{
    (void)unused;
    static const struct {
        size_t bytes;
        const char *message;
    } cases[] = { { 0, "the connection was closed before a response came" },
                  { 30, "the connection was closed before a response came" },
                  { sizeof plain - 3,
                    "the connection was closed in the middle of the response's body" } };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        zl_autohttp1 struct zl_http1 *h = reader();
        struct zl_error err = { 0 };
        assert_int_equal(feed(h, plain, cases[i].bytes, 512, &err), 0);
        assert_int_equal(zl_http1_feed(h, "", 0, NULL, &err), -1);
        assert_int_equal(err.kind, ZL_ERR_PROTOCOL);
        assert_string_equal(err.msg, cases[i].message);
    }
}

static void what_is_no_http_is_refused(void **unused)
{
    (void)unused;
    static const char *const cases[] = {
        "SSH-2.0-x\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        zl_autohttp1 struct zl_http1 *h = reader();
        struct zl_error err = { 0 };
        assert_int_equal(feed(h, cases[i], strlen(cases[i]), 3, &err), -1);
        assert_int_equal(err.kind, ZL_ERR_PROTOCOL);
    }
}

static void headers_and_bodies_are_bounded(void **unused)
{
    (void)unused;
    char line[1024];
    struct zl_error err = { 0 };
    zl_autohttp1 struct zl_http1 *many = reader();
    int rc = feed(many, "HTTP/1.1 200 OK\r\n", 17, 17, &err);
    memset(line, 'x', sizeof line);
    memcpy(line, "A: ", 3);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    for (int i = 0; i < 200 && rc == 0; i++)
        rc = feed(many, line, sizeof line, sizeof line, &err);
    assert_int_equal(rc, -1);
    assert_non_null(strstr(err.msg, "headers of the response are larger"));

    zl_autohttp1 struct zl_http1 *small = NULL;
    assert_int_equal(zl_http1_new(false, 4, &small, &err), 0);
    assert_int_equal(feed(small, plain, sizeof plain - 1, 512, &err), -1);
    assert_string_equal(err.msg, "the body of the response is larger than 4 bytes");
}

static void a_consumed_body_makes_room_for_more(void **unused)
{
    (void)unused;
    zl_autohttp1 struct zl_http1 *h = NULL;
    struct zl_error err = { 0 };
    assert_int_equal(zl_http1_new(false, 8, &h, &err), 0);
    int rc = feed(h, "HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n", 39, 39, &err);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(rc, 0);
        rc = zl_http1_feed(h, "12345678", 8, NULL, &err);
        zl_buf_consume(zl_http1_body(h), 8);
    }
    assert_int_equal(rc, 1);
}

/* ---- requests ------------------------------------------------------------------------------ */

static void a_request_has_its_length_and_says_whether_it_goes_on(void **unused)
{
    (void)unused;
    zl_autobuf struct zl_buf out = ZL_BUF(4096);
    struct zl_error err = { 0 };
    static const struct zl_http1_header headers[] = { { "User-Agent", "zlayer/1" } };
    struct zl_http1_request rq = { .method = "POST",
                                   .target = "/a?b=c",
                                   .host = "h:1",
                                   .headers = headers,
                                   .n_headers = 1,
                                   .body = "{}",
                                   .body_len = 2 };
    assert_int_equal(zl_http1_write_request(&rq, &out, &err), 0);
    assert_string_equal(out.data, "POST /a?b=c HTTP/1.1\r\nHost: h:1\r\nUser-Agent: zlayer/1\r\n"
                                  "Content-Length: 2\r\nConnection: close\r\n\r\n{}");
}

static void nothing_can_be_smuggled_into_a_request(void **unused)
{
    (void)unused;
    static const struct zl_http1_header good = { "A", "b" }, split = { "A", "b\r\nEvil: 1" },
                                        name = { "A: b\r\nEvil", "1" }, colon = { "A:", "b" };
    static const struct {
        const char *method, *target, *host;
        const struct zl_http1_header *header;
    } cases[] = {
        { "GET ", "/", "h", &good },    { "GET", "/ HTTP/1.1\r\nX: y", "h", &good },
        { "GET", "/", "h\r\n", &good }, { "GET", "/", "h", &split },
        { "GET", "/", "h", &name },     { "GET", "/", "h", &colon },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        zl_autobuf struct zl_buf out = ZL_BUF(4096);
        struct zl_error err = { 0 };
        struct zl_http1_request rq = { .method = cases[i].method,
                                       .target = cases[i].target,
                                       .host = cases[i].host,
                                       .headers = cases[i].header,
                                       .n_headers = 1 };
        assert_int_equal(zl_http1_write_request(&rq, &out, &err), -1);
        assert_int_equal(err.kind, ZL_ERR_INVALID);
    }
}

static void a_segment_is_escaped(void **unused)
{
    (void)unused;
    zl_autobuf struct zl_buf out = ZL_BUF(256);
    zl_http1_escape(&out, "a/b c%\xc3\xa9-._~");
    assert_string_equal(out.data, "a%2Fb%20c%25%C3%A9-._~");
}

static void urls_are_taken_apart(void **unused)
{
    (void)unused;
    static const struct {
        const char *url, *host, *host_port, *target;
        unsigned port;
    } good[] = {
        { "http://localhost:8080/health?x=1", "localhost", "localhost:8080", "/health?x=1", 8080 },
        { "http://a.b", "a.b", "a.b:80", "/", 80 },
        { "HTTP://[::1]:9/x", "::1", "[::1]:9", "/x", 9 },
    };
    static const char *const bad[] = { "https://a/",      "a/b",
                                       "http://u@a/",     "http://a/#f",
                                       "http://a:99999/", "http:///x",
                                       "http://a/b c",    "http://a?x" };
    struct zl_http1_url u;
    struct zl_error err = { 0 };
    for (size_t i = 0; i < ZL_ARRAY_LEN(good); i++) {
        assert_int_equal(zl_http1_split_url(good[i].url, &u, &err), 0);
        assert_string_equal(u.host, good[i].host);
        assert_string_equal(u.host_port, good[i].host_port);
        assert_string_equal(u.target, good[i].target);
        assert_int_equal(u.port, good[i].port);
    }
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad); i++)
        assert_int_equal(zl_http1_split_url(bad[i], &u, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_may_be_split_at_every_byte),
        cmocka_unit_test(chunks_may_be_split_at_every_byte),
        cmocka_unit_test(what_follows_the_response_is_left_to_the_caller),
        cmocka_unit_test(an_upgrade_ends_with_its_headers),
        cmocka_unit_test(interim_responses_are_skipped),
        cmocka_unit_test(a_head_response_has_no_body_whatever_it_says),
        cmocka_unit_test(without_a_length_the_end_of_the_connection_ends_the_body),
        cmocka_unit_test(a_connection_that_closes_early_is_told_from_an_end),
        cmocka_unit_test(what_is_no_http_is_refused),
        cmocka_unit_test(headers_and_bodies_are_bounded),
        cmocka_unit_test(a_consumed_body_makes_room_for_more),
        cmocka_unit_test(a_request_has_its_length_and_says_whether_it_goes_on),
        cmocka_unit_test(nothing_can_be_smuggled_into_a_request),
        cmocka_unit_test(a_segment_is_escaped),
        cmocka_unit_test(urls_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
