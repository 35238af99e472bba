// SPDX-License-Identifier: Apache-2.0
/* The small grammars, case by case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "base/imageref.h"
#include "spec/value/duration.h"
#include "spec/value/name.h"
#include "spec/value/signal.h"
#include "spec/value/size.h"
#include "spec/value/suggest.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)

static void durations_add_up_their_spans(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        { "0", 0 },
        { "0s", 0 },
        { "5 s", 5 * S },
        { "1h30m", 5400 * S },
        { "1h 30m", 5400 * S },
        { "3s 2h", 7203 * S },
        { "5s5s", 10 * S },
        { "1.5h", 5400 * S },
        { "1.5ms", 1500000 },
        { "0.1h", 360 * S },
        { "1M", 2630016 * S },
        { "1.333333333s", 1333333333 },
        { "2hrs", 7200 * S },
        { "1wk", 604800 * S },
        { "1y", 31557600 * S },
        { "5millis", 5 * MS },
        { "1\u00b5s", 1000 },
        { "\u20031\u00a0s\n", S },
        { "1.500000000000000000000000s", 1500 * MS },
        { "9223372036854775807ns", INT64_MAX },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t ns = 1;
        struct spec_flaw flaw;
        if (spec_parse_duration(cases[i].text, &ns, &flaw) < 0)
            fail_msg("'%s': %s", cases[i].text, flaw.why);
        assert_true(ns == cases[i].ns);
    }
}

static void durations_that_are_none_are_refused_where_they_go_wrong(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        size_t at;
    } cases[] = {
        { "", 0 },         { " ", 0 },
        { "30", 2 },       { ".5s", 0 },
        { "1.s", 2 },      { "-5s", 0 },
        { "+5s", 0 },      { "1S", 1 },
        { "1Month", 1 },   { "5micros", 1 },
        { "5ss", 1 },      { "1e3s", 1 },
        { "1_000s", 1 },   { "1,5s", 1 },
        { "1h:30m", 1 },   { "1 hour, 2 min", 2 },
        { "5 min 3", 7 },  { "0.5ns", 0 },
        { "0.00001h", 0 }, { "18446744073709551616s", 0 },
        { "300y", 0 },     { " 0", 2 },
        { "00", 2 },       { "1 000ms", 2 },
        { "1\u03bcs", 1 }, { "9223372036854775808ns", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t ns = 7;
        struct spec_flaw flaw;
        if (spec_parse_duration(cases[i].text, &ns, &flaw) == 0)
            fail_msg("'%s' was taken", cases[i].text);
        if (flaw.at != cases[i].at)
            fail_msg("'%s': %s at %zu, not %zu", cases[i].text, flaw.why, flaw.at, cases[i].at);
        assert_int_equal(ns, 7); /* untouched */
    }
}

static void sizes_are_whole_numbers_with_a_binary_suffix(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        { "1Ki", 1024 },
        { "512Mi", 512 << 20 },
        { "1Gi", 1 << 30 },
        { "2Ti", UINT64_C(2) << 40 },
        { "007Mi", 7 << 20 },
        { "16777215Ti", UINT64_C(16777215) << 40 },
        { "0Mi", 0 },
        { "1.5Gi", 0 },
        { "512", 0 },
        { "512M", 0 },
        { "512MB", 0 },
        { "512mi", 0 },
        { "512 Mi", 0 },
        { "-5Mi", 0 },
        { "Mi", 0 },
        { "+5Mi", 0 },
        { "", 0 },
        { "16777216Ti", 0 },
        { "18446744073709551615Ti", 0 },
        { "99999999999999999999Ki", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t bytes = 0;
        struct spec_flaw flaw;
        int rc = spec_parse_size(cases[i].text, &bytes, &flaw);
        if ((rc == 0) != (cases[i].bytes > 0) || bytes != cases[i].bytes)
            fail_msg("'%s': %d, %llu", cases[i].text, rc, (unsigned long long)bytes);
    }
}

static void signals_have_names_and_numbers(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int number;
    } cases[] = {
        { "SIGTERM", SIGTERM }, { "TERM", SIGTERM },  { "15", 15 },      { "64", 64 },
        { "SIGRTMIN", 34 },     { "SIGRTMIN+3", 37 }, { "RTMAX-1", 63 }, { "SIGRTMAX", 64 },
        { "WINCH", SIGWINCH },  { "0", -1 },          { "65", -1 },      { "015", -1 },
        { "sigterm", -1 },      { "SIGFOO", -1 },     { "", -1 },        { "SIG", -1 },
        { "SIGRTMIN+31", -1 },  { "SIGRTMIN-1", -1 }, { "-9", -1 },      { "SIGSIGTERM", -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (spec_parse_signal(cases[i].text) != cases[i].number)
            fail_msg("'%s': %d", cases[i].text, spec_parse_signal(cases[i].text));
    }
}

static void people_type_signals_in_any_case(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int number;
    } cases[] = {
        { "hup", SIGHUP },    { "SIGHUP", SIGHUP },
        { " Hup ", SIGHUP },  { "\t15 ", SIGTERM },
        { "sigrtmin+3", 37 }, { "SIGFOO", -1 },
        { "", -1 },           { "  ", -1 },
        { "TERM KILL", -1 },  { "TERMTERMTERMTERMTERM", -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (spec_parse_signal_loosely(cases[i].text) != cases[i].number)
            fail_msg("'%s': %d", cases[i].text, spec_parse_signal_loosely(cases[i].text));
    }
}

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void names_follow_their_rules(void **unused)
{
    (void)unused;
    typedef int (*check_fn)(const char *, struct spec_flaw *);
    static const struct {
        check_fn check;
        const char *text;
        bool good;
    } cases[] = {
        { spec_check_deployment_name, "abc", true },
        { spec_check_deployment_name, "12345", true },
        { spec_check_deployment_name, "ABC-", true },
        { spec_check_deployment_name, A63, true },
        { spec_check_deployment_name, "ab", false },
        { spec_check_deployment_name, A63 "a", false },
        { spec_check_deployment_name, "-abc", false },
        { spec_check_deployment_name, "a.bc", false },
        { spec_check_deployment_name, "my_app", false },
        { spec_check_deployment_name, "\xc3\xa9\xc3\xa9", false },
        { spec_check_service_name, "a", true },
        { spec_check_service_name, "A_b-9", true },
        { spec_check_service_name, "a-", false },
        { spec_check_service_name, "..", false },
        { spec_check_service_name, A63 "a", false },
        { spec_check_hostname, "web-1.example", true },
        { spec_check_hostname, "a..b", false },
        { spec_check_hostname, "a.", false },
        { spec_check_hostname, "-a", false },
        { spec_check_hostname, "a-.b", false },
        { spec_check_hostname, A63 ".b", false },
        { spec_check_user, "0", true },
        { spec_check_user, "1000:1000", true },
        { spec_check_user, "www-data:adm", true },
        { spec_check_user, "machine$", true },
        { spec_check_user, "1000:adm", true },
        { spec_check_user, "", false },
        { spec_check_user, ":1", false },
        { spec_check_user, "1:", false },
        { spec_check_user, "a:b:c", false },
        { spec_check_user, "4294967295", false },
        { spec_check_user, "99999999999", false },
        { spec_check_user, "1a", false },
        { spec_check_user, "Root", false },
        { spec_check_abs_path, "/", true },
        { spec_check_abs_path, "/a..b/...", true },
        { spec_check_abs_path, "/a/..", false },
        { spec_check_abs_path, "a", false },
        { spec_check_mount_target, "/.x", true },
        { spec_check_mount_target, "//", false },
        { spec_check_mount_target, "/./", false },
        { spec_check_endpoint_host, "a.b", true },
        { spec_check_endpoint_host, "*.b", true },
        { spec_check_endpoint_host, "*", false },
        { spec_check_endpoint_host, "a.*.b", false },
        { spec_check_endpoint_host, "*.", false },
        { spec_check_cpuset, "0", true },
        { spec_check_cpuset, "0-3,6,8-9", true },
        { spec_check_cpuset, "3-1", false },
        { spec_check_cpuset, "1-2-3", false },
        { spec_check_cpuset, "1,", false },
        { spec_check_cpuset, "", false },
        { spec_check_cpuset, "99999999999999999999", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct spec_flaw flaw = { 0 };
        bool good = cases[i].check(cases[i].text, &flaw) == 0;
        if (good != cases[i].good)
            fail_msg("case %zu, '%s': %s", i, cases[i].text, good ? "was taken" : flaw.why);
    }
}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789ABCDEF0123456789abcdef"
#define LOW64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define A128 A63 A63 "aa"

static void image_references_have_one_normalized_form(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *normalized; /* NULL: refused */
    } cases[] = {
        { "nginx", "docker.io/library/nginx:latest" },
        { "nginx:Latest", "docker.io/library/nginx:Latest" },
        { "library/nginx", "docker.io/library/nginx:latest" },
        { "team/app:1", "docker.io/team/app:1" },
        { "docker.io/nginx", "docker.io/library/nginx:latest" },
        { "index.docker.io/nginx", "docker.io/library/nginx:latest" },
        { "localhost/foo", "localhost/foo:latest" },
        { "registry:5000/foo", "registry:5000/foo:latest" },
        { "GHCR.io/foo/bar", "ghcr.io/foo/bar:latest" },
        { "foo.com:5000", "docker.io/library/foo.com:5000" },
        { "a__b", "docker.io/library/a__b:latest" },
        { "a-----b", "docker.io/library/a-----b:latest" },
        { "foo:_tag", "docker.io/library/foo:_tag" },
        { "foo:" A128, "docker.io/library/foo:" A128 },
        { "foo:1@sha256:" HEX64, "docker.io/library/foo:1@sha256:" LOW64 },
        { "foo@sha256:" HEX64, "docker.io/library/foo@sha256:" LOW64 },
        { "", NULL },
        { " nginx", NULL },
        { "Nginx", NULL },
        { "ghcr.io/Foo/bar", NULL },
        { "foo/", NULL },
        { "/foo", NULL },
        { "foo//bar", NULL },
        { "foo:", NULL },
        { "foo:.tag", NULL },
        { "foo:-tag", NULL },
        { "a___b", NULL },
        { "a..b", NULL },
        { "a._b", NULL },
        { "a-", NULL },
        { "foo:" A128 "a", NULL },
        { "foo@sha256:abc", NULL },
        { "foo@md5:" HEX64, NULL },
        { "https://ghcr.io/foo", NULL },
        { "file://./x.wasm", NULL },
        { "[::1]:5000/foo", "[::1]:5000/foo:latest" },
        { "[0:0:0::0:1]/foo:1", "[::1]/foo:1" },
        { "[FE80::A]/foo", "[fe80::a]/foo:latest" },
        { "[::ffff:1.2.3.4]:1/foo", "[::ffff:1.2.3.4]:1/foo:latest" },
        { "[::1]", NULL },
        { "[::1/foo", NULL },
        { "::1/foo", NULL },
        { "[::1]5000/foo", NULL },
        { "[::1]:/foo", NULL },
        { "[::1]:500000/foo", NULL },
        { "[::1%eth0]/foo", NULL },
        { "[1.2.3.4]/foo", NULL },
        { "[]:1/foo", NULL },
        { "[::1]x:1/foo", NULL },
        { "UPPER/x", NULL },
        { "under_score.io/foo", NULL },
        { "foo:\xc3\xa9", NULL },
        { "-a.io/foo", NULL },
        { "a-.io/foo", NULL },
        { ".io/foo", NULL },
        { "a..io/foo", NULL },
        { "host:/foo", NULL },
        { "host:x/foo", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[ZL_IMAGEREF_MAX];
        const char *why = NULL;
        int rc = zl_imageref_normalize(cases[i].text, text, &why);
        if ((rc == 0) != (cases[i].normalized != NULL))
            fail_msg("'%s': %s", cases[i].text, rc ? why : text);
        if (rc == 0)
            assert_string_equal(text, cases[i].normalized);
    }
}

static void the_nearest_word_is_found_and_a_far_one_is_not(void **unused)
{
    (void)unused;
    static const char *const words[] = { "image", "env", "command", "depends", "health" };
    static const struct {
        const char *typed, *word;
    } cases[] = {
        { "imag", "image" },
        { "iamge", "image" },
        { "ENV", "env" },
        { "envs", "env" },
        { "comand", "command" },
        { "commands", "command" },
        { "helth", "health" },
        { "x", NULL },
        { "volumes", NULL },
        { "", NULL },
        { "a-name-that-is-much-longer-than-any-known-word", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct spec_nearest near = { .typed = cases[i].typed };
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            spec_nearest_try(&near, words[k]);
        if (!near.word != !cases[i].word || (near.word && strcmp(near.word, cases[i].word) != 0))
            fail_msg("'%s': '%s'", cases[i].typed, near.word ? near.word : "nothing");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_add_up_their_spans),
        cmocka_unit_test(durations_that_are_none_are_refused_where_they_go_wrong),
        cmocka_unit_test(sizes_are_whole_numbers_with_a_binary_suffix),
        cmocka_unit_test(signals_have_names_and_numbers),
        cmocka_unit_test(people_type_signals_in_any_case),
        cmocka_unit_test(names_follow_their_rules),
        cmocka_unit_test(image_references_have_one_normalized_form),
        cmocka_unit_test(the_nearest_word_is_found_and_a_far_one_is_not),
    };
    return cmocka_run_group_tests_name("scalars", tests, NULL, NULL);
}
