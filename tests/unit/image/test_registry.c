// SPDX-License-Identifier: Apache-2.0
/* What needs no network to be right: platforms, waiting, challenges, tokens, credentials. */
#include "tarball.h"

#include <stdio.h>

#include "fetch/registry/challenge.h"
#include "fetch/registry/platform.h"
#include "fetch/registry/retry.h"
#include "image/credentials.h"

static unsigned match(const char *wanted, const char *architecture, const char *variant)
{
    char text[64];
    struct platform p;
    struct zl_error err;
    struct oci_descriptor d = { .platform = { architecture, "linux", variant } };
    (void)snprintf(text, sizeof text, "%s", wanted);
    if (platform_parse(text, &p, &err) < 0)
        fail_msg("%s", err.msg);
    return platform_match(&p, &d);
}

static void the_highest_variant_that_runs_is_the_best(void **unused)
{
    (void)unused;
    assert_true(match("linux/arm/v7", "arm", "v6") > 0);
    assert_true(match("linux/arm/v7", "arm", "v7") > match("linux/arm/v7", "arm", "v6"));
    assert_int_equal(match("linux/arm/v6", "arm", "v7"), 0);
    assert_int_equal(match("linux/arm/v6", "arm", NULL), 0); /* none means v7 */
    assert_true(match("linux/arm64", "arm64", "v8") == match("linux/arm64", "arm64", NULL));
    assert_true(match("linux/amd64/v3", "amd64", "v2") > match("linux/amd64/v3", "amd64", NULL));
    assert_int_equal(match("linux/amd64/v2", "amd64", "v3"), 0);
    assert_int_equal(match("linux/amd64", "arm64", NULL), 0);
    assert_true(match("riscv64", "riscv64", NULL) > 0);
}

static void a_platform_that_cannot_be_is_refused(void **unused)
{
    (void)unused;
    static const char *const bad[] = { "windows/amd64", "linux/arm/v9", "linux/a/b/c", "" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad); i++) {
        char text[64];
        struct platform p;
        struct zl_error err;
        (void)snprintf(text, sizeof text, "%s", bad[i]);
        assert_int_equal(platform_parse(text, &p, &err), -1);
    }
}

static void waits_double_and_end_and_what_the_server_asks_for_is_kept(void **unused)
{
    (void)unused;
    struct retry r = { 0 };
    struct http_answer busy = { .end = HTTP_ANSWERED, .status = 503, .retry_after_s = -1 };
    for (int i = 0; i < RETRY_MAX; i++) {
        int64_t longest = (int64_t)RETRY_FIRST_MS << i;
        int64_t wait = retry_after(&r, &busy, 12345u * (unsigned)i);
        assert_true(wait >= longest / 2 && wait <= longest);
    }
    assert_int_equal(retry_after(&r, &busy, 0), -1);
    r = (struct retry){ 0 };
    busy.retry_after_s = 7;
    assert_int_equal(retry_after(&r, &busy, 0), 7000);
    busy.retry_after_s = RETRY_AFTER_LONGEST_S + 1;
    assert_int_equal(retry_after(&r, &busy, 0), -1);
    static const int lasting[] = { 200, 400, 401, 403, 404, 416, 501 };
    for (size_t i = 0; i < ZL_ARRAY_LEN(lasting); i++) {
        struct http_answer a = { .end = HTTP_ANSWERED, .status = lasting[i], .retry_after_s = -1 };
        r = (struct retry){ 0 };
        assert_int_equal(retry_after(&r, &a, 0), -1);
    }
}

static void challenges_are_taken_apart(void **unused)
{
    (void)unused;
    struct challenge c;
    assert_true(challenge_parse(
        "bearer realm=\"https://a/t?x=1,2\" , service=s,scope=\"repository:a:pull\"", &c));
    assert_int_equal(c.scheme, CHALLENGE_BEARER);
    assert_string_equal(c.realm, "https://a/t?x=1,2");
    assert_string_equal(c.service, "s");
    assert_string_equal(c.scope, "repository:a:pull");
    assert_true(challenge_parse("Basic realm=\"say \\\"hi\\\"\"", &c));
    assert_int_equal(c.scheme, CHALLENGE_BASIC);
    assert_string_equal(c.realm, "say \"hi\"");
    assert_true(challenge_parse("Negotiate", &c));
    assert_int_equal(c.scheme, CHALLENGE_OTHER);
    assert_false(challenge_parse("Bearer realm=\"open", &c));
    assert_false(challenge_parse("Bearer =x", &c));
    assert_false(challenge_parse("Bearer realm=\"a\nb\"", &c));
}

static void a_token_that_could_be_more_than_one_header_is_refused(void **unused)
{
    (void)unused;
    static const char *const bad[] = { "{\"token\":\"a\\r\\nX: y\"}", "{\"token\":\"\"}", "{}",
                                       "[]", "{\"token\":1}" };
    struct zl_error err;
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad); i++) {
        zl_autobuf struct zl_buf token = ZL_BUF(TOKEN_MAX);
        assert_int_equal(token_parse(bad[i], strlen(bad[i]), &token, &err), -1);
    }
    zl_autobuf struct zl_buf token = ZL_BUF(TOKEN_MAX);
    static const char good[] = "{\"access_token\":\"x.y-z\"}";
    assert_int_equal(token_parse(good, strlen(good), &token, &err), 0);
    assert_string_equal(token.data, "x.y-z");
}

static void credentials_are_of_the_host_that_is_asked_for(void **unused)
{
    (void)unused;
    static const char file[] =
        "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"bWU6czpl\"},"
        "\"host:5000/team\":{\"auth\":\"eDp5\"},"
        "\"HOST:5000\":{\"username\":\"u\",\"password\":\"p\"},"
        "\"bad\":{\"auth\":\"!\"}}}";
    static const struct {
        const char *registry, *username, *password;
    } cases[] = { { "docker.io", "me", "s:e" }, { "host:5000", "u", "p" }, { "host", NULL, NULL } };
    struct zl_error err;
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        autocredentials struct credentials c = { 0 };
        char *helper = NULL;
        assert_int_equal(
            credentials_parse(file, strlen(file), "f", cases[i].registry, &c, &helper, &err), 0);
        assert_null(helper);
        assert_int_equal(c.username == NULL, cases[i].username == NULL);
        if (c.username) {
            assert_string_equal(c.username, cases[i].username);
            assert_string_equal(c.password, cases[i].password);
        }
    }
    autocredentials struct credentials c = { 0 };
    char *helper = NULL;
    assert_int_equal(credentials_parse(file, strlen(file), "f", "bad", &c, &helper, &err), -1);
    assert_string_equal(err.msg, "f: the entry 'auth' of bad is not base64 of name:password");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_variant_that_runs_is_the_best),
        cmocka_unit_test(a_platform_that_cannot_be_is_refused),
        cmocka_unit_test(waits_double_and_end_and_what_the_server_asks_for_is_kept),
        cmocka_unit_test(challenges_are_taken_apart),
        cmocka_unit_test(a_token_that_could_be_more_than_one_header_is_refused),
        cmocka_unit_test(credentials_are_of_the_host_that_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
