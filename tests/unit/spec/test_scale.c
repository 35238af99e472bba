// SPDX-License-Identifier: Apache-2.0
/*
 * Large and hostile documents: what is legal is taken, what is not is refused, and neither costs
 * more than it should. Time is that of the process, with room for sanitizers and slow machines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "spec/spec.h"

#define HEAD "version: v1\ndeployment: big\nservices:\n"

enum { TEXT_MAX = 8 << 20, MANY = 10000, SECONDS_ALLOWED = 20 };

static void parse(const struct zl_buf *text, struct spec_diags *diags, struct spec **ret)
{
    clock_t began = clock();
    spec_diags_init(diags);
    *ret = spec_parse(text->data, text->len, "f.yml", "/srv", diags);
    assert_true((clock() - began) / CLOCKS_PER_SEC < SECONDS_ALLOWED);
}

static void ten_thousand_services_are_one_deployment(void **unused)
{
    (void)unused;
    zl_autobuf struct zl_buf text = ZL_BUF(TEXT_MAX);
    zl_buf_adds(&text, HEAD);
    for (int i = 0; i < MANY; i++) {
        zl_buf_addf(&text, "  svc-%d:\n    image: {name: app-%d}\n    env: {A: \"1\"}\n", i, i);
        zl_buf_adds(&text, "    scale: {mode: fixed, replicas: 2}\n");
        if (i)
            zl_buf_addf(&text, "    depends:\n      - {service: svc-%d}\n", i - 1);
    }
    autodiags struct spec_diags diags;
    struct spec *s = NULL;
    parse(&text, &diags, &s);
    assert_non_null(s);
    assert_int_equal(s->n_services, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(s->start_order[i], i);
    spec_unref(s);
}

/* text is refused with one finding of this id. */
static void assert_refused(const struct zl_buf *text, const char *id)
{
    autodiags struct spec_diags diags;
    struct spec *s = NULL;
    parse(text, &diags, &s);
    assert_null(s);
    assert_int_equal(diags.n_errors, 1);
    assert_string_equal(diags.v[0].id, id);
}

static void bombs_of_aliases_are_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *first, *open, *item, *close; /* each level repeats the one before nine times */
    } shapes[] = {
        { "a0: &a0 [x, x, x]\n", "[", "*a%d, ", "]" },
        { "a0: &a0 {x: 1, y: 2}\n", "[", "*a%d, ", "]" },
        { "a0: &a0 {x: 1, y: 2}\n", "[", "{k: *a%d}, ", "]" },
        { "a0: &a0 [x, x, x]\n", "[", "[[*a%d]], ", "]" },
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        zl_autobuf struct zl_buf text = ZL_BUF(TEXT_MAX);
        zl_buf_adds(&text, shapes[i].first);
        for (int level = 1; level < 12; level++) {
            zl_buf_addf(&text, "a%d: &a%d %s", level, level, shapes[i].open);
            for (int k = 0; k < 9; k++) {
                const char *number = strstr(shapes[i].item, "%d");
                zl_buf_addf(&text, "%.*s%d%s", (int)(number - shapes[i].item), shapes[i].item,
                            level - 1, number + 2);
            }
            zl_buf_addf(&text, "%s\n", shapes[i].close);
        }
        assert_refused(&text, "E-YAML-LIMIT");
    }
}

static void nesting_is_refused_at_the_129th_level_however_it_is_written(void **unused)
{
    (void)unused;
    static const char *const steps[] = { "[", "{a: ", "- ", "? " };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        zl_autobuf struct zl_buf text = ZL_BUF(TEXT_MAX);
        for (int level = 0; level < MANY; level++)
            zl_buf_adds(&text, steps[i]);
        assert_refused(&text, "E-YAML-LIMIT");
    }
}

static void a_hundred_thousand_keys_are_looked_up_and_their_repetitions_counted(void **unused)
{
    (void)unused;
    enum { KEYS = 100000 };
    for (int distinct = KEYS; distinct; distinct = distinct == 1 ? 0 : 1) {
        zl_autobuf struct zl_buf text = ZL_BUF(TEXT_MAX);
        zl_buf_adds(&text, HEAD "  a:\n    image: {name: x}\n    env:\n");
        for (int i = 0; i < KEYS; i++)
            zl_buf_addf(&text, "      K%d: v\n", i % distinct);
        autodiags struct spec_diags diags;
        struct spec *s = NULL;
        parse(&text, &diags, &s);
        assert_int_equal(diags.n_errors, KEYS - distinct);
        assert_true(diags.n <= SPEC_DIAGS_KEPT);
        spec_unref(s);
    }
}

static void a_value_of_eight_megabytes_is_a_value(void **unused)
{
    (void)unused;
    zl_autobuf struct zl_buf text = ZL_BUF(TEXT_MAX);
    zl_buf_adds(&text, HEAD "  a:\n    image: {name: x}\n    env:\n      A: ");
    while (text.len < TEXT_MAX - 2)
        zl_buf_addc(&text, 'x');
    autodiags struct spec_diags diags;
    struct spec *s = NULL;
    parse(&text, &diags, &s);
    assert_non_null(s);
    spec_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_services_are_one_deployment),
        cmocka_unit_test(bombs_of_aliases_are_refused),
        cmocka_unit_test(nesting_is_refused_at_the_129th_level_however_it_is_written),
        cmocka_unit_test(a_hundred_thousand_keys_are_looked_up_and_their_repetitions_counted),
        cmocka_unit_test(a_value_of_eight_megabytes_is_a_value),
    };
    return cmocka_run_group_tests_name("scale", tests, NULL, NULL);
}
