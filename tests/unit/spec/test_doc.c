// SPDX-License-Identifier: Apache-2.0
/* Trees of documents, and the arena they live in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/doc.h"

static const struct doc_node *parse(struct zl_arena *a, const char *text)
{
    const struct doc_node *root = NULL;
    struct doc_error error;
    if (doc_parse(text, strlen(text), a, &root, &error) < 0)
        fail_msg("%d:%d %s", error.line, error.column, error.text);
    return root;
}

static void nodes_know_where_they_stand_and_how_they_are_written(void **unused)
{
    (void)unused;
    zl_autoarena struct zl_arena a = ZL_ARENA(1 << 20);
    const struct doc_node *root = parse(&a, "a: \xc3\xa9 b\nlist: [x, 'y', \"z\"]\nempty:\n"
                                            "text: |\n  two\n  lines\ntag: !bridge {n: 1}\n"
                                            "core: !!str 5\n");
    assert_int_equal(root->kind, DOC_MAP);
    assert_int_equal(root->map.n, 6);
    const struct doc_node *n = doc_find(root, "a")->value;
    assert_true(n->plain);
    assert_string_equal(n->scalar.text, "\xc3\xa9 b");
    assert_int_equal(n->line, 1);
    assert_int_equal(n->column, 4);
    n = doc_find(root, "list")->value;
    assert_int_equal(n->seq.n, 3);
    assert_true(n->seq.v[0]->plain);
    assert_false(n->seq.v[1]->plain);
    assert_int_equal(n->seq.v[2]->column, 16);
    n = doc_find(root, "empty")->value;
    assert_true(doc_is_blank(n) && doc_is_null(n));
    assert_int_equal(n->line, 3);
    n = doc_find(root, "text")->value;
    assert_string_equal(n->scalar.text, "two\nlines\n");
    assert_false(n->plain);
    assert_string_equal(doc_find(root, "tag")->value->tag, "!bridge");
    assert_null(doc_find(root, "core")->value->tag);
    assert_null(doc_find(root, "nothing"));
    assert_null(doc_find(n, "x"));
    assert_null(parse(&a, "# only a comment\n"));
}

static void quoted_texts_are_read_as_yaml_says(void **unused)
{
    (void)unused;
    static const struct {
        const char *written, *read;
    } cases[] = {
        { "''", "" },
        { "'a''b'", "a'b" },
        { "'a''''b'", "a''b" }, /* libfyaml 0.7 reads three */
        { "''''''''", "'''" },
        { "' a '", " a " },
        { "'a \\n # : {'", "a \\n # : {" },
        { "'a  \n \t b'", "a b" },
        { "'a\r\n\r\n  b '", "a\nb " },
        { "'\n  a\n\n\n  '", " a\n\n" },
        { "\"\"", "" },
        { "\"'\\\"\\\\\\/\"", "'\"\\/" },
        { "\"\\a\\b\\t\\n\\v\\f\\r\\e\\ \\\t.\"", "\a\b\t\n\v\f\r\x1b \t." },
        { "\"\\N\\_\\L\\P\"", "\xc2\x85\xc2\xa0\xe2\x80\xa8\xe2\x80\xa9" },
        { "\"\\x41\\u00e9\\U0001f600\"", "A\xc3\xa9\xf0\x9f\x98\x80" },
        { "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" },
        { "\"a \\\n   b\"", "a b" },
        { "\"a \\\n\n\n  b\"", "a \n\nb" }, /* libfyaml 0.7 loses the b */
        { "\"a\\t\n  b\"", "a\t b" },
        { "\"a\n  \\  b\"", "a   b" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        zl_autoarena struct zl_arena a = ZL_ARENA(1 << 20);
        zl_autobuf struct zl_buf text = ZL_BUF(4096);
        zl_buf_addf(&text, "'x': 1\nk: %s\nz: %s\n", cases[i].written, cases[i].written);
        const struct doc_node *root = parse(&a, text.data);
        assert_string_equal(doc_find(root, "k")->value->scalar.text, cases[i].read);
        assert_string_equal(doc_find(root, "z")->value->scalar.text, cases[i].read);
        assert_int_equal(doc_find(root, "k")->value->scalar.len, strlen(cases[i].read));
    }
}

static void a_repeated_key_points_to_the_first_one(void **unused)
{
    (void)unused;
    zl_autoarena struct zl_arena a = ZL_ARENA(1 << 20);
    const struct doc_node *root = parse(&a, "k: 1\nother: 2\n'k': 3\n");
    assert_null(root->map.v[0].first);
    assert_null(root->map.v[1].first);
    assert_ptr_equal(root->map.v[2].first, root->map.v[0].key);
    assert_string_equal(doc_find(root, "k")->value->scalar.text, "1");
}

static void an_alias_is_the_node_of_its_anchor(void **unused)
{
    (void)unused;
    zl_autoarena struct zl_arena a = ZL_ARENA(1 << 20);
    const struct doc_node *root = parse(&a, "a: &x [1]\nb: *x\nc: &x 2\nd: *x\n");
    assert_ptr_equal(doc_find(root, "b")->value, doc_find(root, "a")->value);
    assert_string_equal(doc_find(root, "d")->value->scalar.text, "2"); /* the later anchor */
}

static void a_large_mapping_takes_no_quadratic_time(void **unused)
{
    (void)unused;
    enum { N = 100000 };
    zl_autoarena struct zl_arena a = ZL_ARENA(256 << 20);
    zl_autobuf struct zl_buf text = ZL_BUF(DOC_MAX_TEXT);
    char key[20];
    for (int i = 0; i < N; i++)
        zl_buf_addf(&text, "key%d: %d\n", i, i);
    const struct doc_node *root =
        parse(&a, text.data); /* the deadline of the test is the measure */
    for (int i = 0; i < N; i++) {
        (void)snprintf(key, sizeof key, "key%d", i);
        assert_ptr_equal(doc_find(root, key), &root->map.v[i]);
    }
}

static void what_is_too_much_is_refused_with_its_kind(void **unused)
{
    (void)unused;
    static const struct {
        const char *open, *close;
        int times;
        enum doc_problem problem;
    } cases[] = {
        { "[", "]", DOC_MAX_DEPTH + 1, DOC_LIMIT },
        { "{a: ", "}", DOC_MAX_DEPTH + 1, DOC_LIMIT },
        { "[", "", 3, DOC_BAD_SYNTAX },
        { "--- a\n", "", 2, DOC_MULTI },
        { "- *a\n", "", 1, DOC_BAD_SYNTAX },
        { "\xff", "", 1, DOC_BAD_UTF8 },
        { "\xed\xa0\x80", "", 1, DOC_BAD_UTF8 }, /* a surrogate */
        { "\xc0\xaf", "", 1, DOC_BAD_UTF8 },     /* overlong */
        { "\"\\0\"", "", 1, DOC_BAD_UTF8 },
        { "\"\\ud83d\"", "", 1, DOC_BAD_SYNTAX }, /* half a pair */
        { "\"\\ude00\\ud83d\"", "", 1, DOC_BAD_SYNTAX },
        { "\"\\q\"", "", 1, DOC_BAD_SYNTAX },
        { "\"\\x4\"", "", 1, DOC_BAD_SYNTAX },
        { "\"\\U00110000\"", "", 1, DOC_BAD_SYNTAX },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        zl_autoarena struct zl_arena a = ZL_ARENA(1 << 20);
        zl_autobuf struct zl_buf text = ZL_BUF(4096);
        const struct doc_node *root = NULL;
        struct doc_error error;
        for (int k = 0; k < cases[i].times; k++)
            zl_buf_adds(&text, cases[i].open);
        for (int k = 0; k < cases[i].times; k++)
            zl_buf_adds(&text, cases[i].close);
        if (doc_parse(text.data, text.len, &a, &root, &error) == 0 ||
            error.problem != cases[i].problem)
            fail_msg("case %zu: %s", i, root ? "was taken" : error.text);
    }
}

static void a_tree_that_has_no_room_is_refused(void **unused)
{
    (void)unused;
    zl_autoarena struct zl_arena a = ZL_ARENA(400);
    const struct doc_node *root = NULL;
    struct doc_error error;
    static const char text[] = "[a, b, c, d, e, f, g, h]";
    assert_int_equal(doc_parse(text, strlen(text), &a, &root, &error), -1);
    assert_int_equal(error.problem, DOC_NO_MEMORY);
    assert_true(a.failed);
}

static void a_long_directive_is_refused_before_it_costs_time(void **unused)
{
    (void)unused;
    static const struct {
        const char *before, *after;
        int line; /* 0: taken */
    } cases[] = {
        { "%", "\n--- x", 1 },  { "# c\n\n  # d\n%", "\n--- x", 4 }, { "a: b\n...\n%", "", 3 },
        { "a: |\n  %", "", 0 }, { "a: |\n  b\n\n  %", "", 0 },       { "--- |\n%", "", 0 },
    };
    enum { LONG = 1 << 20 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        zl_autoarena struct zl_arena a = ZL_ARENA(DOC_MAX_MEMORY);
        zl_autobuf struct zl_buf text = ZL_BUF(2 * LONG);
        const struct doc_node *root = NULL;
        struct doc_error error = { 0 };
        zl_buf_adds(&text, cases[i].before);
        for (size_t k = 0; k < LONG; k++)
            zl_buf_addc(&text, 'a');
        zl_buf_adds(&text, cases[i].after);
        int rc = doc_parse(text.data, text.len, &a, &root, &error);
        if (rc != (cases[i].line ? -1 : 0) || error.line != cases[i].line)
            fail_msg("case %zu: line %d: %s", i, error.line, error.text);
    }
}

static void anchors_are_found_however_many_there_are(void **unused)
{
    (void)unused;
    enum { ANCHORS = 20000 };
    zl_autoarena struct zl_arena a = ZL_ARENA(DOC_MAX_MEMORY);
    zl_autobuf struct zl_buf text = ZL_BUF(4 << 20);
    const struct doc_node *root = NULL;
    struct doc_error error = { 0 };
    for (int i = 0; i < ANCHORS; i++)
        zl_buf_addf(&text, "- &a%d %d\n", i, i);
    for (int i = 0; i < ANCHORS; i++)
        zl_buf_addf(&text, "- *a%d\n", i);
    if (doc_parse(text.data, text.len, &a, &root, &error) < 0)
        fail_msg("%s", error.text);
    for (size_t i = 0; i < ANCHORS; i++)
        assert_ptr_equal(root->seq.v[ANCHORS + i], root->seq.v[i]);
}

static void an_arena_hands_out_zeroed_memory_up_to_its_maximum(void **unused)
{
    (void)unused;
    zl_autoarena struct zl_arena a = ZL_ARENA(1000000);
    char *one = zl_arena_alloc(&a, 1), *large = zl_arena_alloc(&a, 300000);
    assert_non_null(one);
    assert_non_null(large);
    for (size_t i = 0; i < 300000; i++)
        assert_int_equal(large[i], 0);
    assert_true((uintptr_t)large % _Alignof(uint64_t) == 0);
    assert_string_equal(zl_arena_strdup(&a, "text"), "text");
    assert_string_equal(zl_arena_printf(&a, "%d-%s", 5, "x"), "5-x");
    assert_non_null(zl_arena_alloc(&a, 0));
    assert_false(a.failed);
    assert_null(zl_arena_array(&a, SIZE_MAX / 2, 4));
    assert_true(a.failed);
    assert_null(zl_arena_alloc(&a, 1000000));
    zl_arena_done(&a);
    assert_non_null(zl_arena_alloc(&a, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_know_where_they_stand_and_how_they_are_written),
        cmocka_unit_test(quoted_texts_are_read_as_yaml_says),
        cmocka_unit_test(a_repeated_key_points_to_the_first_one),
        cmocka_unit_test(an_alias_is_the_node_of_its_anchor),
        cmocka_unit_test(a_large_mapping_takes_no_quadratic_time),
        cmocka_unit_test(what_is_too_much_is_refused_with_its_kind),
        cmocka_unit_test(a_tree_that_has_no_room_is_refused),
        cmocka_unit_test(a_long_directive_is_refused_before_it_costs_time),
        cmocka_unit_test(anchors_are_found_however_many_there_are),
        cmocka_unit_test(an_arena_hands_out_zeroed_memory_up_to_its_maximum),
    };
    return cmocka_run_group_tests_name("documents", tests, NULL, NULL);
}
