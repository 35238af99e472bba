// SPDX-License-Identifier: Apache-2.0
/* config.json: what is read, and the words for what is wrong. */
#include "oci/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, struct oci_config **ret, struct zl_error *err)
{
    return oci_config_parse(text, strlen(text), "config.json", ret, err);
}

static void the_process_is_read_with_its_user_and_limits(void **unused)
{
    autociconfig struct oci_config *c = NULL;
    struct zl_error err = { 0 };
    (void)unused;

    assert_int_equal(
        parse("{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\",\"readonly\":true},"
              "\"process\":{\"cwd\":\"/w\",\"args\":[\"a\",\"b\"],\"env\":[\"A=1\"],"
              "\"user\":{\"uid\":5,\"gid\":6,\"umask\":18,\"additionalGids\":[7,8]},"
              "\"consoleSize\":{\"height\":24,\"width\":80},\"oomScoreAdj\":-5,"
              "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":1,"
              "\"hard\":18446744073709551615}],"
              "\"capabilities\":{\"bounding\":[\"CAP_KILL\"]}}}",
              &c, &err),
        0);
    assert_string_equal(c->root.path, "rootfs");
    assert_true(c->root.readonly);
    assert_string_equal(c->process->cwd, "/w");
    assert_string_equal(c->process->args.v[1], "b");
    assert_int_equal(c->process->user.gid, 6);
    assert_int_equal(c->process->user.umask.v, 18);
    assert_int_equal(c->process->user.additional_gids.n, 2);
    assert_int_equal(c->process->user.additional_gids.v[1], 8);
    assert_int_equal(c->process->console_size.width, 80);
    assert_int_equal(c->process->oom_score_adj.v, -5);
    assert_true(c->process->rlimits.v[0].hard == UINT64_MAX);
    assert_string_equal(c->process->capabilities->bounding.v[0], "CAP_KILL");
    assert_null(c->linux_.seccomp);
}

static void absent_limits_are_told_from_zero(void **unused)
{
    autociconfig struct oci_config *c = NULL;
    struct zl_error err = { 0 };
    (void)unused;

    assert_int_equal(parse("{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"},\"linux\":{"
                           "\"resources\":{\"memory\":{\"limit\":0},\"pids\":{\"limit\":-1},"
                           "\"cpu\":{\"shares\":null}}}}",
                           &c, &err),
                     0);
    assert_true(c->linux_.resources.memory.limit.set);
    assert_false(c->linux_.resources.memory.swap.set);
    assert_false(c->linux_.resources.cpu.shares.set);
    assert_int_equal(c->linux_.resources.pids.limit.v, -1);
    assert_null(c->process);
}

static void unknown_properties_are_ignored_as_the_spec_demands(void **unused)
{
    autociconfig struct oci_config *c = NULL;
    (void)unused;

    assert_int_equal(parse("{\"ociVersion\":\"1.9.0\",\"root\":{\"path\":\"r\",\"new\":1},"
                           "\"vm\":{},\"windows\":{}}",
                           &c, NULL),
                     0);
}

static void hooks_are_noticed(void **unused)
{
    autociconfig struct oci_config *c = NULL;
    (void)unused;

    assert_int_equal(parse("{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"},\"hooks\":{"
                           "\"poststop\":[{\"path\":\"/bin/x\",\"timeout\":3}]}}",
                           &c, NULL),
                     0);
    assert_true(oci_config_has_hooks(c));
    assert_int_equal(c->hooks.poststop.v[0].timeout.v, 3);
}

/* clang-format off */
#define HEAD "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"},"
static const struct { const char *text, *message; } bad[] = {
    { "{}", "config.json: ociVersion: required, but missing" },
    { "{\"ociVersion\":\"2.0.0\",\"root\":{\"path\":\"r\"}}",
      "config.json: ociVersion: expected 1.x of the runtime-spec, found '2.0.0'" },
    { "{\"ociVersion\":\"1.0.2\"}", "config.json: root: required, but missing" },
    { HEAD "\"process\":{\"cwd\":\"w\"}}", "config.json: process.cwd: expected an absolute path, found \"w\"" },
    { HEAD "\"process\":{\"cwd\":\"/\",\"args\":[\"a\",\"b\",5]}}",
      "config.json: process.args[2]: expected a string, found 5" },
    { HEAD "\"process\":{\"cwd\":\"/\",\"env\":[\"A=1\",\"B\"]}}",
      "config.json: process.env[1]: expected NAME=value, found \"B\"" },
    { HEAD "\"process\":{\"cwd\":\"/\",\"user\":{\"additionalGids\":[-1]}}}",
      "config.json: process.user.additionalGids[0]: expected a number from 0 to 4294967295, found -1" },
    { HEAD "\"linux\":{\"namespaces\":[{\"type\":\"net\"}]}}",
      "config.json: linux.namespaces[0].type: expected one of pid, network, mount, ipc, uts, user, cgroup, time, "
      "found \"net\"" },
    { HEAD "\"linux\":{\"seccomp\":{\"defaultAction\":\"ALLOW\"}}}",
      "config.json: linux.seccomp.defaultAction: expected one of SCMP_ACT_KILL, SCMP_ACT_KILL_PROCESS, "
      "SCMP_ACT_KILL_THREAD, SCMP_ACT_TRAP, SCMP_ACT_ERRNO, SCMP_ACT_TRACE, SCMP_ACT_ALLOW, SCMP_ACT_LOG, "
      "SCMP_ACT_NOTIFY, found \"ALLOW\"" },
    { HEAD "\"mounts\":[{\"type\":\"proc\"}]}", "config.json: mounts[0].destination: required, but missing" },
};
/* clang-format on */

static void every_wrong_property_is_named(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad); i++) {
        struct oci_config *c = NULL;
        struct zl_error err = { 0 };
        assert_int_equal(parse(bad[i].text, &c, &err), -1);
        assert_null(c);
        assert_string_equal(err.msg, bad[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_process_is_read_with_its_user_and_limits),
        cmocka_unit_test(absent_limits_are_told_from_zero),
        cmocka_unit_test(unknown_properties_are_ignored_as_the_spec_demands),
        cmocka_unit_test(hooks_are_noticed),
        cmocka_unit_test(every_wrong_property_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
