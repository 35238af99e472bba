// SPDX-License-Identifier: Apache-2.0
/* What follows from the end of a replica. Numbers are items of the acceptance list, part E. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/model/slot.h"
#include "core/supervisor.h"
#include "core/text/names.h"
#include "rig.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND };

static void pauses_double_up_to_a_minute_and_begin_anew_after_ten_minutes(void **unused) /* 45 */
{
    static const uint64_t expected[] = { 0, 1, 2, 4, 8, 16, 32, 60, 60, 60 };
    struct spec_service s = doc_service("web", "i", 1);
    struct supervision v = { 0 };
    uint64_t now = 0, delay = 99;
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(expected); i++) {
        now += 400 * SECOND; /* far enough apart to be no crash loop */
        assert_int_equal(supervision_judge(&v, &s, ENDED_CRASHED, now, 5 * SECOND, &delay),
                         VERDICT_RESTART);
        assert_int_equal(delay, expected[i] * SECOND);
    }
    now += 20 * MINUTE;
    (void)supervision_judge(&v, &s, ENDED_CRASHED, now, 10 * MINUTE, &delay);
    assert_int_equal(delay, 0);
}

static void the_sixth_crash_in_five_minutes_is_a_crash_loop(void **unused) /* 44 */
{
    struct spec_service s = doc_service("web", "i", 1);
    struct supervision v = { 0 };
    uint64_t delay;
    (void)unused;
    for (int i = 1; i <= 5; i++) {
        (void)supervision_judge(&v, &s, ENDED_CRASHED, (uint64_t)i * SECOND, 0, &delay);
        assert_false(v.crash_loop);
    }
    (void)supervision_judge(&v, &s, ENDED_CRASHED, 300 * SECOND, 0, &delay);
    assert_true(v.crash_loop);
    assert_true(delay >= 30 * SECOND);
    (void)supervision_judge(&v, &s, ENDED_CRASHED, 900 * SECOND, 0, &delay);
    assert_false(v.crash_loop);
}

static void policies_decide_by_the_table(void **unused) /* 42, 43, 46 */
{
    static const struct {
        struct spec_restart_policy policy;
        enum spec_panic panic;
        enum ending ending;
        enum verdict verdict;
    } cases[] = {
        { { 0 }, SPEC_PANIC_RESTART, ENDED_CLEAN, VERDICT_COMPLETED },
        { { 0 }, SPEC_PANIC_RESTART, ENDED_CRASHED, VERDICT_RESTART },
        { { 0 }, SPEC_PANIC_SHUTDOWN, ENDED_CRASHED, VERDICT_SHUTDOWN },
        { { 0 }, SPEC_PANIC_SHUTDOWN, ENDED_CLEAN, VERDICT_COMPLETED },
        { { 0 }, SPEC_PANIC_SHUTDOWN, ENDED_UNPULLED, VERDICT_RESTART },
        { { 0 }, SPEC_PANIC_ISOLATE, ENDED_CRASHED, VERDICT_ISOLATE },
        { { SPEC_RESTART_NO }, SPEC_PANIC_RESTART, ENDED_CRASHED, VERDICT_FAILED },
        { { SPEC_RESTART_NO }, SPEC_PANIC_SHUTDOWN, ENDED_CLEAN, VERDICT_COMPLETED },
        { { SPEC_RESTART_NO }, SPEC_PANIC_RESTART, ENDED_UNPULLED, VERDICT_RESTART },
        { { SPEC_RESTART_ALWAYS }, SPEC_PANIC_SHUTDOWN, ENDED_CLEAN, VERDICT_RESTART },
        { { SPEC_RESTART_UNLESS_STOPPED }, SPEC_PANIC_ISOLATE, ENDED_CRASHED, VERDICT_RESTART },
        { { SPEC_RESTART_ON_FAILURE }, SPEC_PANIC_SHUTDOWN, ENDED_CLEAN, VERDICT_COMPLETED },
        { { SPEC_RESTART_ON_FAILURE }, SPEC_PANIC_SHUTDOWN, ENDED_CRASHED, VERDICT_RESTART },
    };
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        struct spec_service s = doc_service("web", "i", 1);
        struct supervision v = { 0 };
        uint64_t delay;
        s.restart = cases[i].policy;
        s.on_panic = cases[i].panic;
        assert_int_equal(supervision_judge(&v, &s, cases[i].ending, SECOND, 0, &delay),
                         cases[i].verdict);
    }
}

static void two_attempts_are_two_restarts(void **unused) /* 43 */
{
    struct spec_service s = doc_service("web", "i", 1);
    struct supervision v = { 0 };
    uint64_t delay;
    (void)unused;
    s.restart = (struct spec_restart_policy){ SPEC_RESTART_ON_FAILURE, 2, 0 };
    assert_int_equal(supervision_judge(&v, &s, ENDED_CRASHED, 1, 0, &delay), VERDICT_RESTART);
    assert_int_equal(supervision_judge(&v, &s, ENDED_CRASHED, 2, 0, &delay), VERDICT_RESTART);
    assert_int_equal(supervision_judge(&v, &s, ENDED_CRASHED, 3, 0, &delay), VERDICT_FAILED);
}

static void a_written_policy_leaves_crash_loops_to_on_panic(void **unused)
{
    struct spec_service s = doc_service("web", "i", 1);
    struct supervision v = { 0 };
    uint64_t delay;
    (void)unused;
    s.restart.kind = SPEC_RESTART_ALWAYS;
    s.on_panic = SPEC_PANIC_SHUTDOWN;
    for (int i = 0; i < 5; i++)
        assert_int_equal(supervision_judge(&v, &s, ENDED_CRASHED, 1, 0, &delay), VERDICT_RESTART);
    assert_int_equal(supervision_judge(&v, &s, ENDED_CRASHED, 1, 0, &delay), VERDICT_SHUTDOWN);
}

static void a_written_delay_is_the_first_pause(void **unused)
{
    static const uint64_t expected[] = { 5, 10, 20, 40, 60, 60 };
    struct spec_service s = doc_service("web", "i", 1);
    struct supervision v = { 0 };
    uint64_t delay;
    (void)unused;
    s.restart = (struct spec_restart_policy){ SPEC_RESTART_ALWAYS, 0, 5 * SECOND };
    for (size_t i = 0; i < ZL_ARRAY_LEN(expected); i++) {
        (void)supervision_judge(&v, &s, ENDED_CRASHED, i * 400 * SECOND, 0, &delay);
        assert_int_equal(delay, expected[i] * SECOND);
    }
}

static void names_are_read_from_right_to_left(void **unused) /* 8 */
{
    static const struct {
        const char *text, *service, *role;
        uint32_t index; /* 0: not a name */
    } cases[] = {
        { "web-rep-1", "web", "default", 1 },
        { "my-web-rep-12", "my-web", "default", 12 },
        { "web-rep-1-rep-2", "web-rep-1", "default", 2 },
        { "web-read-2-on-0", "web", "read", 2 },
        { "a-on-0-rep-3", "a-on-0", "default", 3 },
        { "web-rep-0", NULL, NULL, 0 },
        { "web-rep-01", NULL, NULL, 0 },
        { "web-1", NULL, NULL, 0 },
        { "-rep-1", NULL, NULL, 0 },
        { "web-rep-", NULL, NULL, 0 },
        { "web-rep-99999999999", NULL, NULL, 0 },
        { "", NULL, NULL, 0 },
    };
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        struct core_replica_name name;
        bool parsed = core_name_parse(cases[i].text, &name);
        assert_int_equal(parsed, cases[i].index != 0);
        if (!parsed)
            continue;
        assert_string_equal(name.service, cases[i].service);
        assert_string_equal(name.role, cases[i].role);
        assert_int_equal(name.index, cases[i].index);
        struct inst_label label = { .service = name.service,
                                    .role = name.role,
                                    .index = name.index };
        char back[CORE_NAME_MAX];
        core_name_format(&label, back, sizeof back);
        assert_string_equal(back, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_double_up_to_a_minute_and_begin_anew_after_ten_minutes),
        cmocka_unit_test(the_sixth_crash_in_five_minutes_is_a_crash_loop),
        cmocka_unit_test(policies_decide_by_the_table),
        cmocka_unit_test(two_attempts_are_two_restarts),
        cmocka_unit_test(a_written_policy_leaves_crash_loops_to_on_panic),
        cmocka_unit_test(a_written_delay_is_the_first_pause),
        cmocka_unit_test(names_are_read_from_right_to_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
