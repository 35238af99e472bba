// SPDX-License-Identifier: Apache-2.0
/* Documents into structs: what is taken, and the exact words for what is not. */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct mount {
    const char *target;
    struct zl_strs options;
};

struct config {
    bool terminal;
    int32_t adj;
    uint32_t uid;
    uint64_t limit;
    struct zl_opt_i64 quota;
    int mode;
    const char *cwd;
    struct zl_strs args;
    struct zl_pairs labels;
    struct mount root, *extra;
    struct {
        struct mount *v;
        size_t n;
    } mounts;
    bool hooks;
};

static const struct zl_word modes[] = { { "ro", 1 }, { "rw", 2 }, { 0 } };
static const struct zl_field mount_fields[] = {
    { "target", zl_json_abs_path, offsetof(struct mount, target), ZL_REQUIRED, NULL },
    { "options", zl_json_strs, offsetof(struct mount, options), 0, NULL },
    { 0 },
};
static const struct zl_element mount_element = { sizeof(struct mount), mount_fields };
static const struct zl_field config_fields[] = {
    { "terminal", zl_json_bool, offsetof(struct config, terminal), 0, NULL },
    { "adj", zl_json_i32, offsetof(struct config, adj), 0, NULL },
    { "uid", zl_json_u32, offsetof(struct config, uid), 0, NULL },
    { "limit", zl_json_u64, offsetof(struct config, limit), 0, NULL },
    { "quota", zl_json_opt_i64, offsetof(struct config, quota), 0, NULL },
    { "mode", zl_json_enum, offsetof(struct config, mode), 0, modes },
    { "cwd", zl_json_string, offsetof(struct config, cwd), 0, NULL },
    { "args", zl_json_strs, offsetof(struct config, args), ZL_REQUIRED, NULL },
    { "labels", zl_json_pairs, offsetof(struct config, labels), 0, NULL },
    { "root", zl_json_object, offsetof(struct config, root), 0, mount_fields },
    { "extra", zl_json_pointer, offsetof(struct config, extra), 0, &mount_element },
    { "mounts", zl_json_list, offsetof(struct config, mounts), 0, &mount_element },
    { "hooks", zl_json_present, offsetof(struct config, hooks), 0, NULL },
    { 0 },
};

static int decode(struct zl_json *doc, const char *text, struct config *ret, struct zl_error *err)
{
    if (zl_json_parse(doc, text, strlen(text), "c.json", err) < 0)
        return -1;
    return zl_json_decode(doc, config_fields, ret, err);
}

static void a_full_document_fills_every_member(void **unused)
{
    (void)unused;
    zl_autojson struct zl_json doc = { 0 };
    struct config c = { 0 };
    struct zl_error err = { 0 };

    assert_int_equal(decode(&doc,
                            "{\"terminal\":true,\"adj\":-5,\"uid\":7,\"limit\":9,\"quota\":0,"
                            "\"mode\":\"rw\",\"cwd\":\"/x\",\"args\":[\"a\",\"b\"],"
                            "\"labels\":{\"k\":\"v\"},\"root\":{\"target\":\"/r\"},"
                            "\"extra\":{\"target\":\"/e\"},"
                            "\"mounts\":[{\"target\":\"/m\",\"options\":[\"ro\"]}],"
                            "\"hooks\":{},\"unknown\":1}",
                            &c, &err),
                     0);
    assert_true(c.terminal && c.hooks && c.quota.set);
    assert_int_equal(c.adj, -5);
    assert_int_equal(c.uid, 7);
    assert_int_equal(c.limit, 9);
    assert_int_equal(c.quota.v, 0);
    assert_int_equal(c.mode, 2);
    assert_string_equal(c.cwd, "/x");
    assert_int_equal(c.args.n, 2);
    assert_string_equal(c.args.v[1], "b");
    assert_null(c.args.v[2]);
    assert_string_equal(c.labels.v[0].key, "k");
    assert_string_equal(c.labels.v[0].value, "v");
    assert_string_equal(c.root.target, "/r");
    assert_string_equal(c.extra->target, "/e");
    assert_int_equal(c.mounts.n, 1);
    assert_string_equal(c.mounts.v[0].options.v[0], "ro");
}

static void null_and_a_missing_key_leave_the_default(void **unused)
{
    (void)unused;
    zl_autojson struct zl_json doc = { 0 };
    struct config c = { .adj = 3 };
    struct zl_error err = { 0 };

    assert_int_equal(decode(&doc, "{\"args\":[],\"adj\":null,\"extra\":null}", &c, &err), 0);
    assert_int_equal(c.adj, 3);
    assert_null(c.extra);
    assert_false(c.quota.set);
}

static void the_largest_unsigned_number_is_kept(void **unused)
{
    (void)unused;
    zl_autojson struct zl_json doc = { 0 };
    struct config c = { 0 };
    struct zl_error err = { 0 };

    assert_int_equal(
        decode(&doc, "{\"args\":[],\"uid\":12,\"limit\":18446744073709551615}", &c, &err), 0);
    assert_true(c.limit == UINT64_MAX);
    assert_int_equal(c.uid, 12);
}

static void unknown_keys_are_refused_when_asked(void **unused)
{
    (void)unused;
    zl_autojson struct zl_json doc = { .strict = true };
    struct config c = { 0 };
    struct zl_error err = { 0 };

    assert_int_equal(
        decode(&doc, "{\"args\":[],\"root\":{\"target\":\"/\",\"taget\":1}}", &c, &err), -1);
    assert_string_equal(err.msg, "c.json: root: unknown field 'taget'");
}

/* clang-format off */
static const struct { const char *text, *message; } bad[] = {
    { "{\"args\":[\"a\",\"b\",5]}", "c.json: args[2]: expected a string, found 5" },
    { "{}", "c.json: args: required, but missing" },
    { "{\"args\":null}", "c.json: args: required, but missing" },
    { "{\"args\":{}}", "c.json: args: expected a list of strings, found an object" },
    { "[]", "c.json: expected an object, found a list" },
    { "{\"args\":[],\"terminal\":\"yes\"}", "c.json: terminal: expected true or false, found \"yes\"" },
    { "{\"args\":[],\"uid\":-1}", "c.json: uid: expected a number from 0 to 4294967295, found -1" },
    { "{\"args\":[],\"uid\":4294967296}", "c.json: uid: expected a number from 0 to 4294967295, found 4294967296" },
    { "{\"args\":[],\"uid\":1.5}", "c.json: uid: expected a whole number, found 1.5" },
    { "{\"args\":[],\"mode\":\"rx\"}", "c.json: mode: expected one of ro, rw, found \"rx\"" },
    { "{\"args\":[],\"mounts\":[{\"target\":\"/\"},{\"target\":\"m\"}]}",
      "c.json: mounts[1].target: expected an absolute path, found \"m\"" },
    { "{\"args\":[],\"labels\":{\"a\":[]}}", "c.json: labels.a: expected a string, found a list" },
    { "{\"args\":[],\n\"args\":[]}", "c.json:2:6: duplicate object key near '\"args\"'" },
    { "{\"args\":", "c.json:1:8: unexpected token near end of file" },
    { "", "c.json:1:0: '[' or '{' expected near end of file" },
    { "{\"args\":[\"a\\u0000b\"]}", "c.json:1:19: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"a\\u0000b\"'" },
};
/* clang-format on */

static void every_wrong_value_is_named_with_its_place(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad); i++) {
        zl_autojson struct zl_json doc = { 0 };
        struct config c = { 0 };
        struct zl_error err = { 0 };

        assert_int_equal(decode(&doc, bad[i].text, &c, &err), -1);
        assert_string_equal(err.msg, bad[i].message);
        assert_int_equal(err.kind, ZL_ERR_INVALID);
    }
}

static void a_value_is_written_into_a_buffer(void **unused)
{
    (void)unused;
    zl_autobuf struct zl_buf out = ZL_BUF(64);
    json_t *v = json_pack("{s:i, s:[s]}", "a", 1, "b", "c");

    assert_int_equal(zl_json_dump(v, JSON_COMPACT, &out, NULL), 0);
    assert_string_equal(out.data, "{\"a\":1,\"b\":[\"c\"]}");
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_document_fills_every_member),
        cmocka_unit_test(null_and_a_missing_key_leave_the_default),
        cmocka_unit_test(the_largest_unsigned_number_is_kept),
        cmocka_unit_test(unknown_keys_are_refused_when_asked),
        cmocka_unit_test(every_wrong_value_is_named_with_its_place),
        cmocka_unit_test(a_value_is_written_into_a_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
