// SPDX-License-Identifier: Apache-2.0
/* The detach keys, typed in whatever pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/container/detach.h"

static struct detach keys(const char *text)
{
    struct detach d;
    struct zl_error err = { 0 };
    if (detach_init(&d, text, &err) < 0)
        fail_msg("%s", err.msg);
    return d;
}

/* Types `text` in pieces of n bytes; what comes through must be `through`. */
static void type(const char *of, const char *text, size_t n, const char *through, bool leaves)
{
    struct detach d = keys(of);
    char got[256] = "", buffer[64 + DETACH_KEYS_MAX];
    bool left = false;
    for (const char *p = text; *p && !left;) {
        size_t piece = strnlen(p, n);
        (void)memcpy(buffer, p, piece);
        p += piece;
        left = detach_filter(&d, buffer, &piece);
        (void)strncat(got, buffer, piece);
    }
    if (strcmp(got, through) != 0 || left != leaves)
        fail_msg("'%s' in pieces of %zu by %s: '%s', %s", text, n, of, got,
                 left ? "left" : "stayed");
}

static void whatever_the_pieces_the_same_comes_through(void **unused)
{
    (void)unused;
    for (size_t n = 1; n < 8; n++) {
        type("ctrl-p,ctrl-q",
             "ab\x10\x11"
             "cd",
             n, "ab", true);
        type("ctrl-p,ctrl-q",
             "a\x10"
             "b\x11",
             n,
             "a\x10"
             "b\x11",
             false);
        type("ctrl-p,ctrl-q", "\x10\x10\x10\x11", n, "\x10\x10", true);
        type("a,a,b", "aaab", n, "a", true);
        type("a,b,a,c", "ababac", n, "ab", true);
        type("", "abc", n, "abc", false);
    }
}

static void a_beginning_of_the_keys_is_held_back_until_it_is_none(void **unused)
{
    (void)unused;
    struct detach d = keys(NULL);
    char buffer[16] = "\x10";
    size_t n = 1;
    assert_false(detach_filter(&d, buffer, &n));
    assert_int_equal(n, 0);
    buffer[0] = 'x';
    n = 1;
    assert_false(detach_filter(&d, buffer, &n));
    assert_int_equal(n, 2);
    assert_memory_equal(buffer, "\x10x", 2);
}

static void keys_that_make_no_sense_are_refused(void **unused)
{
    (void)unused;
    static const char *const wrong[] = { "meta-x", "ctrl-", "ctrl-p,",
                                         "ctrl-1", "a,,b",  "a,b,c,d,e,f,g,h,i" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct detach d;
        struct zl_error err = { 0 };
        if (detach_init(&d, wrong[i], &err) == 0)
            fail_msg("'%s' was taken", wrong[i]);
        assert_int_equal(err.kind, ZL_ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_the_pieces_the_same_comes_through),
        cmocka_unit_test(a_beginning_of_the_keys_is_held_back_until_it_is_none),
        cmocka_unit_test(keys_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
