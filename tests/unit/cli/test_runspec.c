// SPDX-License-Identifier: Apache-2.0
/* What the options of `run` mean as a service, and which container an argument means. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/container/runspec.h"
#include "cli/resolve.h"
#include "spec/spec.h"

#define LIST(...)                                                                                  \
    {                                                                                              \
        .v = (const char *[]){ __VA_ARGS__ },                                                      \
        .n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *)                        \
    }

static char image[] = "busybox", one[] = "echo", two[] = "a b";

/* The mapping as compact JSON with sorted keys; the caller frees it. */
static char *made(const struct run_options *o, int argc)
{
    char *argv[] = { image, one, two };
    struct zl_error err = { 0 };
    json_t *v = runspec_make(o, argc, argv, &err);
    if (!v)
        fail_msg("%s", err.msg);
    char *text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(v);
    return text;
}

static void without_options_only_image_and_arguments_are_said(void **unused)
{
    (void)unused;
    struct run_options o = { 0 };
    zl_autofree char *bare = made(&o, 1), *args = made(&o, 3);
    assert_string_equal(bare, "{\"image\":{\"name\":\"busybox\"}}");
    assert_string_equal(
        args, "{\"command\":{\"args\":[\"echo\",\"a b\"]},\"image\":{\"name\":\"busybox\"}}");
}

/* Every option at once must be a service that the decoder of documents takes. */
static void all_options_together_are_a_valid_service(void **unused)
{
    (void)unused;
    struct run_options o = { .remove = true,
                             .tty = true,
                             .stdin_open = true,
                             .read_only = true,
                             .memory = "16m",
                             .cpus = "0.5",
                             .user = "7:8",
                             .network = "none",
                             .entrypoint = "/bin/sh",
                             .workdir = "/tmp",
                             .hostname = "box",
                             .stop_signal = "SIGINT",
                             .pids_limit = 10,
                             .stop_timeout_ms = 1500,
                             .env = LIST("A=b=c", "EMPTY="),
                             .volumes = LIST("/tmp:/data:ro"),
                             .tmpfs = LIST("/scratch"),
                             .labels = LIST("x=y", "z") };
    zl_autofree char *text = made(&o, 2);
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    autospec struct spec *s = spec_parse_service(text, strlen(text), "run-1", &diags);
    if (!s)
        fail_msg("%s: %s", diags.v[0].path, diags.v[0].text);
    const struct spec_service *v = &s->services[0];
    assert_int_equal(v->resources.memory, 16 << 20);
    assert_int_equal(v->stop_grace_ms, 1500);
    assert_int_equal(v->stop_signal, 2);
    assert_true(v->tty && v->stdin_open && v->read_only_root_fs && v->delete_on_exit);
    assert_int_equal(v->network, SPEC_NET_NONE);
    assert_string_equal(v->env.v[0].value, "b=c");
    assert_int_equal(v->n_storage, 2);
    assert_true(v->storage[0].readonly);
}

static void a_variable_without_a_value_takes_the_one_it_has_here(void **unused)
{
    (void)unused;
    assert_int_equal(setenv("ZL_TEST_HERE", "yes", 1), 0);
    assert_int_equal(unsetenv("ZL_TEST_NOT_HERE"), 0);
    struct run_options o = { .env = LIST("ZL_TEST_HERE", "ZL_TEST_NOT_HERE") };
    zl_autofree char *text = made(&o, 1);
    assert_non_null(strstr(text, "\"env\":{\"ZL_TEST_HERE\":\"yes\"}"));
}

static void a_relative_volume_begins_where_we_are(void **unused)
{
    (void)unused;
    char cwd[PATH_MAX], want[PATH_MAX + 32];
    assert_non_null(getcwd(cwd, sizeof cwd));
    struct run_options o = { .volumes = LIST(".:/here") };
    zl_autofree char *text = made(&o, 1);
    (void)snprintf(want, sizeof want, "\"source\":\"%s\"", cwd);
    assert_non_null(strstr(text, want));
}

static void a_volume_has_a_name_or_goes_with_its_container(void **unused)
{
    (void)unused;
    struct run_options o = { .volumes = LIST("db:/d:ro", "/scratch") };
    zl_autofree char *text = made(&o, 1);
    assert_non_null(strstr(text, "{\"name\":\"db\",\"readonly\":true,\"target\":\"/d\","
                                 "\"type\":\"named\"}"));
    assert_non_null(strstr(text, "{\"target\":\"/scratch\",\"type\":\"anonymous\"}"));
}

static void sizes_are_those_of_other_container_tools(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = { { "512", 512 },       { "16m", 16 << 20 }, { "16M", 16 << 20 },
                 { "16mb", 16 << 20 }, { "1.5g", 3 << 29 }, { "2GiB", UINT64_C(2) << 30 },
                 { "64k", 64 << 10 } };
    static const char *const bad[] = { "", "m", "-1m", "1x", "1 m", "0", "1e400", "nan" };
    struct zl_error err;
    uint64_t n;
    for (size_t i = 0; i < ZL_ARRAY_LEN(good); i++) {
        assert_int_equal(runspec_parse_size(good[i].text, &n, &err), 0);
        assert_int_equal(n, good[i].bytes);
    }
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad); i++)
        assert_int_equal(runspec_parse_size(bad[i], &n, &err), -1);
}

static void options_that_make_no_sense_are_named(void **unused)
{
    (void)unused;
    const struct {
        struct run_options o;
        const char *message;
    } cases[] = {
        { { .memory = "much" }, "'much' is not a size such as 16m or 1.5g" },
        { { .cpus = "none" }, "--cpus 'none' is not a number above 0" },
        { { .env = LIST("=x") }, "--env '=x' has no name" },
        { { .labels = LIST("=x") }, "--label '=x' is not NAME=VALUE" },
        { { .volumes = LIST("a") },
          "--volume 'a' is not /TARGET, NAME:/TARGET[:ro] or /SOURCE:/TARGET[:ro]" },
        { { .volumes = LIST("/a:/b:rx") },
          "--volume '/a:/b:rx' is not /TARGET, NAME:/TARGET[:ro] or /SOURCE:/TARGET[:ro]" },
        { { .volumes = LIST("data:b") },
          "--volume 'data:b' is not /TARGET, NAME:/TARGET[:ro] or /SOURCE:/TARGET[:ro]" },
        { { .volumes = LIST(":/b") },
          "--volume ':/b' is not /TARGET, NAME:/TARGET[:ro] or /SOURCE:/TARGET[:ro]" },
    };
    char *argv[] = { image };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        struct zl_error err = { 0 };
        assert_null(runspec_make(&cases[i].o, 1, argv, &err));
        assert_string_equal(err.msg, cases[i].message);
    }
}

/* ---- which container an argument means ----------------------------------------------------- */

static json_t *container(const char *id, const char *name, const char *deployment,
                         const char *service)
{
    return json_pack("{s:s?, s:s, s:s, s:s}", "id", id, "name", name, "deployment", deployment,
                     "service", service);
}

static json_t *containers(void)
{
    return json_pack("[o, o, o, o, o]", container("aaaa111111111", "web-rep-1", "shop", "web"),
                     container("bbbb111111111", "web-rep-2", "shop", "web"),
                     container("bbbb222222222", "web-rep-1", "blog", "web"),
                     container(NULL, "db-rep-1", "shop", "db"),
                     container("cccc111111111", "db", "-", "db"));
}

static void an_argument_is_an_id_a_name_a_service_or_a_prefix(void **unused)
{
    (void)unused;
    static const struct {
        const char *what;
        size_t n;           /* 0: an error */
        const char *answer; /* the first's id, or the message */
    } cases[] = {
        { "bbbb222222222", 1, "bbbb222222222" },
        { "aaaa", 1, "aaaa111111111" },
        { "aaa", 0, "there is no service or container 'aaa'" },
        { "bbbb", 0, "'bbbb' may be any of shop/web-rep-2, blog/web-rep-1" },
        { "web-rep-2", 1, "bbbb111111111" },
        { "web-rep-1", 0, "'web-rep-1' may be any of shop/web-rep-1, blog/web-rep-1" },
        { "blog/web-rep-1", 1, "bbbb222222222" },
        { "shop/web", 2, "aaaa111111111" },
        { "web", 0, "'web' may be any of shop/web-rep-1, shop/web-rep-2, blog/web-rep-1" },
        { "db", 1, "cccc111111111" },
        { "shop/db", 1, "" },
        { "nix", 0, "there is no service or container 'nix'" },
    };
    json_t *list = containers();
    assert_non_null(list);
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        struct zl_error err = { 0 };
        json_t *found = NULL;
        int rc = resolve_in_list(list, cases[i].what, &found, &err);
        assert_int_equal(json_array_size(found), cases[i].n);
        const char *id = json_string_value(json_object_get(json_array_get(found, 0), "id"));
        assert_string_equal(rc < 0 ? err.msg : id ? id : "", cases[i].answer);
        json_decref(found);
    }
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_options_only_image_and_arguments_are_said),
        cmocka_unit_test(all_options_together_are_a_valid_service),
        cmocka_unit_test(a_variable_without_a_value_takes_the_one_it_has_here),
        cmocka_unit_test(a_relative_volume_begins_where_we_are),
        cmocka_unit_test(a_volume_has_a_name_or_goes_with_its_container),
        cmocka_unit_test(sizes_are_those_of_other_container_tools),
        cmocka_unit_test(options_that_make_no_sense_are_named),
        cmocka_unit_test(an_argument_is_an_id_a_name_a_service_or_a_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
