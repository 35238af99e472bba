// SPDX-License-Identifier: Apache-2.0
/* Every statement of docs/spec.md, "Cron expression", and what changes of the clock do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "spec/time/cron.h"
#include "zone.h"

static struct cron compile(const char *text)
{
    struct cron c;
    struct cron_flaw flaw;
    if (cron_parse(text, &c, &flaw) < 0)
        fail_msg("'%s' is refused: %s", text, flaw.why);
    return c;
}

/* `same` is how the expression could be written as well: both compile to the same sets. */
/* clang-format off */
static const struct { const char *text, *same; } accepted[] = {
    { "* * * * * *",              "0-59 0-59 0-23 1-31 1-12 1-7" },
    { "* * * * * * *",            "* * * * * * 1970-2100" },
    { "0 0 0 ? * MON",            "0 0 0 * * 2" },
    { "0 0 0 ? * ?",              "0 0 0 * * *" },
    { "0 0 0 ?/2 * *",            "0 0 0 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 * *" },
    { "0 0 0 * * ?/3",            "0 0 0 * * SUN,WED,SAT" },
    { "*/59 * * * * *",           "0,59 * * * * *" },
    { "5/10 * * * * *",           "5,15,25,35,45,55 * * * * *" },
    { "5-20/10 * * * * *",        "5,15 * * * * *" },
    { "*,5 * * * * *",            "* * * * * *" },
    { "5,5,3-6 * * * * *",        "3-6 * * * * *" },
    { "0 0 0 * * MON-FRI/2",      "0 0 0 * * 2,4,6" },
    { "0 0 0 * * MON,WED-FRI",    "0 0 0 * * 2,4-6" },
    { "0 0 0 * jan-mar *",        "0 0 0 * 1-3 *" },
    { "0 0 0 * JANUARY-March *",  "0 0 0 * 1-3 *" },
    { "0 0 0 * feb,apr,may,jun,jul,aug,sep,oct,nov,dec *", "0 0 0 * 2,4-12 *" },
    { "0 0 0 * february,april,may,june,july,august,september,october,november,december *",
                                  "0 0 0 * 2,4-12 *" },
    { "0 0 0 * * sun,mon,tue,wed,thu,fri,sat", "0 0 0 * * *" },
    { "0 0 0 * * tues,thurs",     "0 0 0 * * 3,5" },
    { "0 0 0 * * sunday,MONDAY,Tuesday,wednesday,thursday,friday,saturday", "0 0 0 * * *" },
    { "0 0 0 * * SUN",            "0 0 0 * * 1" },
    { "0 0 0 * * sat",            "0 0 0 * * 7" },
    { "0 0 0 * * sun-sat",        "0 0 0 * * 1-7" },
    { "0 0 0 1 1 * 2027-2030/2",  "0 0 0 1 1 * 2027,2029" },
    { "0 0 0 1 1 * 2099/1",       "0 0 0 1 1 * 2099,2100" },
    { "0 0 0 1 1 * */2100",       "0 0 0 1 1 * 1970" },
    { "0 0 0 1 1 * 1970,2100",    "0 0 0 1 1 * 2100,1970" },
    { "00 05 09 * * *",           "0 5 9 * * *" },
    { "0 000000000000000000000005 0 * * *", "0 5 0 * * *" },
    { "0 0 0 1 1 * 0002027",      "0 0 0 1 1 * 2027" },
    { "*/1 * * * * *",            "* * * * * *" },
    { "0 */59 */23 */31 */12 */7", "0 0,59 0,23 1 1 1" },
    { "59 59 23 31 12 7",         "59/1 59-59 23/23 31/31 12/12 7/7" },
    { "5-5 * * * * *",            "5 * * * * *" },
    { " @daily ",                 "0 0 0 * * *" },
    { "\t\r\n@hourly\n",          "0 0 * * * *" },
    { "@weekly",                  "0 0 0 * * 1" },
    { "@monthly",                 "0 0 0 1 * *" },
    { "@yearly",                  "0 0 0 1 1 *" },
    { "\t0 \r\n0\t\t0  1 1 *\n",  "0 0 0 1 1 *" },
};
/* clang-format on */

static void an_accepted_expression_means_what_its_longer_spelling_means(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(accepted); i++) {
        struct cron a = compile(accepted[i].text), b = compile(accepted[i].same);
        if (memcmp(&a, &b, sizeof a) != 0)
            fail_msg("'%s' is not '%s'", accepted[i].text, accepted[i].same);
    }
}

#define COUNT                                                                                      \
    " fields; 6 or 7 are expected: second minute hour day-of-month month day-of-week [year]"
#define EMPTY "it is empty; 6 or 7 fields or a shorthand are expected"
#define SHORTHANDS " is not one of @hourly, @daily, @weekly, @monthly and @yearly"
#define FIVE(line)                                                                                 \
    "5 fields, as in a crontab; the seconds come first here: write '" line                         \
    "' (and days of the week are 1 = Sunday to 7 = Saturday)"
#define MONTHS "names are jan to dec or the full English name"
#define WEEKDAYS "names are sun mon tue wed thu fri sat or the full English name"
#define BACKWARDS " runs backwards; ranges do not wrap around"

/* clang-format off */
static const struct { const char *text; int field; size_t at; const char *why; } refused[] = {
    /* the number of fields */
    { "",                     0, 0,  EMPTY },
    { " \t\r\n",              0, 0,  EMPTY },
    { "* * * * *",            0, 0,  FIVE("0 * * * * *") },
    { "  */5\t0 * *  mon\n",  0, 2,  FIVE("0 */5 0 * * mon") },
    { "* * * *",              0, 0,  "4" COUNT },
    { "* * * * * * * *",      0, 14, "8" COUNT },
    { "* * * * * * * * x y",  0, 14, "10" COUNT },
    { "******",               0, 0,  "1 field; 6 or 7 are expected: second minute hour day-of-month month day-of-week [year]" },
    { "0 0 0 1 - 5 * *",      0, 14, "8" COUNT },
    { "0 0 0 1 -5 *",         5, 8,  "'-' is not expected here" },
    { "0 0 0 1 -\v5 *",       5, 8,  "'-' is not expected here" },
    { "*\f* * * * *",         0, 0,  FIVE("0 *?* * * * *") },
    /* shorthands */
    { "@Daily",               0, 0,  "'@Daily'" SHORTHANDS },
    { " @midnight",           0, 1,  "'@midnight'" SHORTHANDS },
    { "@annually",            0, 0,  "'@annually'" SHORTHANDS },
    { "@reboot",              0, 0,  "'@reboot'" SHORTHANDS },
    { "@dail",                0, 0,  "'@dail'" SHORTHANDS },
    { "@dailyx",              0, 0,  "'@dailyx'" SHORTHANDS },
    { "@daily *",             0, 0,  "'@daily *'" SHORTHANDS },
    { "@",                    0, 0,  "'@'" SHORTHANDS },
    { "0 0 0 * * @daily",     6, 10, "'@' is not expected here" },
    /* ranges of values */
    { "60 * * * * *",         1, 0,  "60 is not in 0-59" },
    { "0 60 * * * *",         2, 2,  "60 is not in 0-59" },
    { "0 0 24 * * *",         3, 4,  "24 is not in 0-23" },
    { "0 0 0 0 1 *",          4, 6,  "0 is not in 1-31" },
    { "0 0 0 32 1 *",         4, 6,  "32 is not in 1-31" },
    { "0 0 0 1 0 *",          5, 8,  "0 is not in 1-12" },
    { "0 0 0 1 13 *",         5, 8,  "13 is not in 1-12" },
    { "0 0 0 * * 0",          6, 10, "0 is not in 1-7" },
    { "0 0 0 * * 8",          6, 10, "8 is not in 1-7" },
    { "0 0 0 1 1 * 1969",     7, 12, "1969 is not in 1970-2100" },
    { "0 0 0 1 1 * 2101",     7, 12, "2101 is not in 1970-2100" },
    { "0 0 0 1 1 * 70",       7, 12, "70 is not in 1970-2100" },
    { "99999999999999999999 * * * * *", 1, 0, "99999999999999999999 is not in 0-59" },
    { "0-60 * * * * *",       1, 2,  "60 is not in 0-59" },
    { "0,1,60 * * * * *",     1, 4,  "60 is not in 0-59" },
    /* '?' belongs to the day fields */
    { "? 0 0 * * *",          1, 0,  "'?' belongs to the two day fields; write '*'" },
    { "0 ? 0 * * *",          2, 2,  "'?' belongs to the two day fields; write '*'" },
    { "0 0 ? * * *",          3, 4,  "'?' belongs to the two day fields; write '*'" },
    { "0 0 0 * ? *",          5, 8,  "'?' belongs to the two day fields; write '*'" },
    { "0 0 0 * * * ?",        7, 12, "'?' belongs to the two day fields; write '*'" },
    /* ranges */
    { "0 20-5 * * * *",       2, 2,  "the range '20-5'" BACKWARDS },
    { "0 0 0 * * SAT-SUN",    6, 10, "the range 'SAT-SUN'" BACKWARDS },
    { "0 0 0 * * MON-5",      6, 10, "a range has two numbers or two names" },
    { "0 0 0 * * 2-FRI",      6, 10, "a range has two numbers or two names" },
    { "0 0 0 * jan-3 *",      5, 8,  "a range has two numbers or two names" },
    { "1- * * * * *",         1, 2,  "a number from 0 to 59 is expected" },
    { "1-2-3 * * * * *",      1, 3,  "'-' is not expected here" },
    { "*-5 * * * * *",        1, 1,  "'-' is not expected here" },
    { "0 0 0 * * MON-",       6, 14, "'' is not a day of week; " WEEKDAYS },
    { "0 0 0 * * MON-*",      6, 14, "'' is not a day of week; " WEEKDAYS },
    /* lists */
    { "1,,2 * * * * *",       1, 2,  "a value is missing" },
    { ",1 * * * * *",         1, 0,  "a value is missing" },
    { "1, * * * * *",         1, 2,  "a value is missing" },
    /* steps */
    { "*/0 * * * * *",        1, 2,  "0 is not in 1-59" },
    { "*/60 * * * * *",       1, 2,  "60 is not in 1-59" },
    { "0 */60 * * * *",       2, 4,  "60 is not in 1-59" },
    { "0 0 */24 * * *",       3, 6,  "24 is not in 1-23" },
    { "0 0 0 */32 * *",       4, 8,  "32 is not in 1-31" },
    { "0 0 0 * */13 *",       5, 10, "13 is not in 1-12" },
    { "0 0 0 * * */8",        6, 12, "8 is not in 1-7" },
    { "0 0 0 * * * */2101",   7, 14, "2101 is not in 1-2100" },
    { "*/ * * * * *",         1, 2,  "a step from 1 to 59 is expected" },
    { "*/x * * * * *",        1, 2,  "a step from 1 to 59 is expected" },
    { "*/5/5 * * * * *",      1, 3,  "'/' is not expected here" },
    { "/5 * * * * *",         1, 0,  "'/' is not expected here" },
    { "0 0 0 * * MON/2",      6, 13, "a name takes no step; write a range or a number" },
    { "0 0 0 * jan/2 *",      5, 11, "a name takes no step; write a range or a number" },
    /* names */
    { "0 0 0 * * thur",       6, 10, "'thur' is not a day of week; " WEEKDAYS },
    { "0 0 0 * Sept *",       5, 8,  "'Sept' is not a month; " MONTHS },
    { "0 0 0 * mon *",        5, 8,  "'mon' is not a month; " MONTHS },
    { "0 0 0 * * jan",        6, 10, "'jan' is not a day of week; " WEEKDAYS },
    { "0 0 mon * * *",        3, 4,  "'mon' is not a number from 0 to 23" },
    { "0 0 0 * * MO",         6, 10, "'MO' is not a day of week; " WEEKDAYS },
    { "0 0 0 * * MON1",       6, 13, "'1' is not expected here" },
    /* what other crons have */
    { "0 0 0 L * *",          4, 6,  "'L' is not a number from 1 to 31" },
    { "0 0 0 15W * *",        4, 8,  "'W' is not expected here" },
    { "0 0 0 * * 6#3",        6, 11, "'#' is not expected here" },
    { "0 0 0 * * 5L",         6, 11, "'L' is not expected here" },
    { "CRON_TZ=UTC 0 0 0 * * *", 1, 0, "'CRON' is not a number from 0 to 59" },
    { "~ 0 0 * * *",          1, 0,  "'~' is not expected here" },
    { "+5 0 0 * * *",         1, 0,  "'+' is not expected here" },
    { "-5 0 0 * * *",         1, 0,  "'-' is not expected here" },
    { "1.5 0 0 * * *",        1, 1,  "'.' is not expected here" },
    { "0x5 0 0 * * *",        1, 1,  "'x' is not expected here" },
    { "\xc3\xa9 0 0 * * *",   1, 0,  "a character that is no letter, digit or sign of the grammar" },
    { "0\xc2\xa0" "0 0 0 * * *", 1, 1, "a character that is no letter, digit or sign of the grammar" },
};
/* clang-format on */

static void a_refused_expression_is_answered_with_field_column_and_reason(void **unused)
{
    (void)unused;
    static const char *const names[] = { "",      "second",      "minute", "hour", "day of month",
                                         "month", "day of week", "year" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(refused); i++) {
        struct cron c;
        struct cron_flaw flaw;
        if (cron_parse(refused[i].text, &c, &flaw) == 0)
            fail_msg("'%s' is accepted", refused[i].text);
        if (flaw.field != refused[i].field || flaw.at != refused[i].at ||
            strcmp(flaw.why, refused[i].why) != 0)
            fail_msg("'%s': field %d, byte %zu: %s", refused[i].text, flaw.field, flaw.at,
                     flaw.why);
        assert_string_equal(flaw.field_name, names[flaw.field]);
    }
}

static void a_refusal_leaves_the_result_alone_and_reads_as_one_sentence(void **unused)
{
    (void)unused;
    struct cron c = compile("@daily"), before = c;
    struct cron_flaw flaw;
    char text[320], cut[12];
    assert_int_equal(cron_parse("0 0 0 32 1 *", &c, &flaw), -1);
    assert_memory_equal(&c, &before, sizeof c);
    size_t n = cron_flaw_format(&flaw, text, sizeof text);
    assert_int_equal(n, strlen(text));
    assert_string_equal(text, "field 4 (day of month), column 7: 32 is not in 1-31");
    assert_int_equal(cron_flaw_format(&flaw, cut, sizeof cut), 11);
    assert_string_equal(cut, "field 4 (da");
    assert_int_equal(cron_parse("", &c, &flaw), -1);
    (void)cron_flaw_format(&flaw, text, sizeof text);
    assert_string_equal(text, EMPTY);
}

static void a_very_long_expression_is_cut_in_the_message_only(void **unused)
{
    (void)unused;
    static char text[40000];
    struct cron c;
    struct cron_flaw flaw;
    memset(text, '5', sizeof text - 1);
    for (size_t i = 1; i < sizeof text - 16; i += 2)
        text[i] = ',';
    memcpy(text + sizeof text - 16, "5 * * * * *   ", 15);
    assert_int_equal(cron_parse(text, &c, &flaw), 0);
    assert_true(c.set[CRON_SECOND] == 1 << 5);
    memset(text, 'x', sizeof text - 16);
    assert_int_equal(cron_parse(text, &c, &flaw), -1);
    assert_true(strlen(flaw.why) < sizeof flaw.why);
    memcpy(text + sizeof text - 16, " * * * *       ", 15);
    assert_int_equal(cron_parse(text, &c, &flaw), -1);
    assert_non_null(strstr(flaw.why, "write '0 xxxxxxxx"));
}

/* Firings in a row, in UTC or as the zone's clock shows them. */
struct firings {
    const char *text, *zone, *from;
    const char *at[8]; /* "none" ends the row: nothing fires any more */
};

static void check_firings(const struct firings *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        autotz struct tz *tz = zone_load(rows[i].zone);
        struct cron c = compile(rows[i].text);
        int64_t t = utc(rows[i].from);
        for (int k = 0; k < 8 && rows[i].at[k]; k++) {
            char out[48] = "none";
            if (cron_next(&c, tz, t, &t))
                (void)shown(tz, t, out);
            if (strcmp(out, rows[i].at[k]) != 0)
                fail_msg("'%s' in %s, firing %d: %s, not %s", rows[i].text, rows[i].zone, k + 1,
                         out, rows[i].at[k]);
        }
    }
}

#define Y2026 "2026-01-01T00:00:00Z"

/* clang-format off */
static const struct firings in_utc[] = {
    { "0 0 0 13 * FRI", "UTC", Y2026, { "2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z", "2026-11-13T00:00:00Z" } },
    { "0 0 0 13 * 6", "UTC", Y2026, { "2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z", "2026-11-13T00:00:00Z" } },
    { "*/59 * * * * *", "UTC", Y2026, { "2026-01-01T00:00:59Z", "2026-01-01T00:01:00Z", "2026-01-01T00:01:59Z" } },
    { "0 0 0 * * 7", "UTC", Y2026, { "2026-01-03T00:00:00Z", "2026-01-10T00:00:00Z" } },
    { "0 0 0 * * MON-FRI/2", "UTC", Y2026, { "2026-01-02T00:00:00Z", "2026-01-05T00:00:00Z", "2026-01-07T00:00:00Z" } },
    { "@weekly", "UTC", Y2026, { "2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z" } },
    { "@hourly", "UTC", Y2026, { "2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z" } },
    { "@daily", "UTC", Y2026, { "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z" } },
    { "@monthly", "UTC", Y2026, { "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z" } },
    { "@yearly", "UTC", Y2026, { "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z" } },
    { "0 */15 * * * *", "UTC", Y2026, { "2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z", "2026-01-01T00:45:00Z", "2026-01-01T01:00:00Z" } },
    { "0 0 9 * * MON-FRI", "UTC", Y2026, { "2026-01-01T09:00:00Z", "2026-01-02T09:00:00Z", "2026-01-05T09:00:00Z" } },
    /* the start is not part of it, a second before it is */
    { "0 0 0 1 1 *", "UTC", "2025-12-31T23:59:59Z", { "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z" } },
    { "* * * * * *", "UTC", "2026-12-31T23:59:58Z", { "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z" } },
    /* carries through every field */
    { "59 59 23 31 12 *", "UTC", Y2026, { "2026-12-31T23:59:59Z", "2027-12-31T23:59:59Z" } },
    { "10 20 3 * * *", "UTC", "2026-01-01T03:20:10Z", { "2026-01-02T03:20:10Z" } },
    { "10 20 3,5 * * *", "UTC", "2026-01-01T03:20:10Z", { "2026-01-01T05:20:10Z" } },
    { "10 20,30 3 * * *", "UTC", "2026-01-01T03:20:30Z", { "2026-01-01T03:30:10Z" } },
    { "10,50 20,30 3 * * *", "UTC", "2026-01-01T03:30:50Z", { "2026-01-02T03:20:10Z" } },
    { "0 0 0 29 2 *", "UTC", Y2026, { "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z" } },
    { "0 0 0 29 2 SUN", "UTC", Y2026, { "2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z", "2088-02-29T00:00:00Z", "none" } },
    { "0 0 0 31 * *", "UTC", Y2026, { "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z" } },
    { "0 0 0 1 1 * 2027-2030/2", "UTC", Y2026, { "2027-01-01T00:00:00Z", "2029-01-01T00:00:00Z", "none" } },
    /* never, and the ends of time */
    { "0 0 0 31 2 *", "UTC", Y2026, { "none" } },
    { "0 0 0 30 2 *", "UTC", "1970-01-01T00:00:00Z", { "none" } },
    { "0 0 0 31 2,4,6,9,11 *", "Europe/Berlin", "1970-01-01T00:00:00Z", { "none" } },
    { "0 0 0 1 1 * 2025", "UTC", Y2026, { "none" } },
    { "0 0 0 1 1 * 2026", "UTC", Y2026, { "none" } },
    { "59 59 23 31 12 * 2100", "UTC", Y2026, { "2100-12-31T23:59:59Z", "none" } },
    { "* * * * * *", "UTC", "2100-12-31T23:59:58Z", { "2100-12-31T23:59:59Z", "none" } },
    { "* * * * * *", "UTC", "2101-01-01T00:00:00Z", { "none" } },
    { "* * * * * *", "UTC", "2261-01-01T00:00:00Z", { "none" } },
    { "* * * * * *", "UTC", "1969-07-20T20:17:40Z", { "1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z" } },
    { "59 59 23 31 12 * 2100", "America/New_York", Y2026, { "2100-12-31T23:59:59-05:00", "none" } },
    { "0 0 0 1 1 * 1970", "Asia/Tokyo", "1900-01-01T00:00:00Z", { "1970-01-01T00:00:00+09:00", "none" } },
};

static const struct firings at_clock_changes[] = {
    /* Berlin: 02:00 becomes 03:00 on 29 March 2026, 03:00 becomes 02:00 on 25 October */
    { "0 30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z",
      { "2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00" } },
    { "0 30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
      { "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00" } },
    { "0 0/10 2 * * *", "Europe/Berlin", "2026-03-28T01:45:00Z",
      { "2026-03-28T02:50:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00" } },
    { "0 0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z",
      { "2026-03-29T03:00:00+02:00", "2026-03-30T03:00:00+02:00" } },
    { "0 30 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z",
      { "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00" } },
    { "0 0 2,3 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
      { "2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00", "2026-10-26T02:00:00+01:00" } },
    { "59 59 1,2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
      { "2026-10-25T01:59:59+02:00", "2026-10-25T02:59:59+02:00", "2026-10-26T01:59:59+01:00" } },
    { "0 30 2 29 3 *", "Europe/Berlin", "2026-01-01T00:00:00Z",
      { "2026-03-29T03:00:00+02:00", "2027-03-29T02:30:00+02:00" } },
    /* started within the repeated hour: its times have had their firing */
    { "0 30 2 * * *", "Europe/Berlin", "2026-10-25T01:00:00Z", { "2026-10-26T02:30:00+01:00" } },
    { "0 30 2 * * *", "Europe/Berlin", "2026-10-25T00:29:59Z",
      { "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00" } },
    { "0 30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", { "2026-03-30T02:30:00+02:00" } },
    /* a rhythm goes on */
    { "0 * * * * *", "Europe/Berlin", "2026-03-29T00:58:30Z",
      { "2026-03-29T01:59:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:01:00+02:00" } },
    { "0 * * * * *", "Europe/Berlin", "2026-10-25T00:58:30Z",
      { "2026-10-25T02:59:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:01:00+01:00" } },
    { "0 * * * * *", "Europe/Berlin", "2026-10-25T01:58:30Z",
      { "2026-10-25T02:59:00+01:00", "2026-10-25T03:00:00+01:00" } },
    { "0 30 * * * *", "Europe/Berlin", "2026-10-24T23:00:00Z",
      { "2026-10-25T01:30:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00",
        "2026-10-25T03:30:00+01:00" } },
    { "0 30 0-23 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z",
      { "2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00" } },
    { "0 30 0-22 * * *", "Europe/Berlin", "2026-10-24T23:45:00Z",
      { "2026-10-25T02:30:00+02:00", "2026-10-25T03:30:00+01:00" } },
    { "0 30 * 25 10 *", "Europe/Berlin", "2026-10-25T00:45:00Z", { "2026-10-25T02:30:00+01:00" } },
    { "0 30 * * * *", "Europe/Berlin", "2026-10-25T01:30:00Z", { "2026-10-25T03:30:00+01:00" } },
    /* New York: forward at 02:00 on 8 March, back at 02:00 on 1 November */
    { "0 15 2 * * SUN", "America/New_York", "2026-03-07T12:00:00Z",
      { "2026-03-08T03:00:00-04:00", "2026-03-15T02:15:00-04:00" } },
    { "0 15 1 * * *", "America/New_York", "2026-10-31T12:00:00Z",
      { "2026-11-01T01:15:00-04:00", "2026-11-02T01:15:00-05:00" } },
    /* Lord Howe: half an hour; forward at 02:00 on 4 October, back at 02:00 on 5 April */
    { "0 15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z",
      { "2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00" } },
    { "0 45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z",
      { "2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30" } },
    { "0 0/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:20:00Z",
      { "2026-04-05T01:30:00+11:00", "2026-04-05T01:45:00+11:00", "2026-04-05T01:30:00+10:30",
        "2026-04-05T01:45:00+10:30", "2026-04-05T02:00:00+10:30" } },
    { "0 0 * * * *", "Australia/Lord_Howe", "2026-10-03T14:00:00Z",
      { "2026-10-04T01:00:00+10:30", "2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00" } },
    /* Dublin: summer is standard time, winter is one hour less; the clock changes as elsewhere */
    { "0 30 1 * * *", "Europe/Dublin", "2026-03-28T12:00:00Z",
      { "2026-03-29T02:00:00+01:00", "2026-03-30T01:30:00+01:00" } },
    { "0 30 1 * * *", "Europe/Dublin", "2026-10-24T12:00:00Z",
      { "2026-10-25T01:30:00+01:00", "2026-10-26T01:30:00Z" } },
    /* Sao Paulo: midnight is skipped, and 23:00 to 24:00 of the day before comes twice */
    { "0 0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z",
      { "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00" } },
    { "0 30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00:00Z",
      { "2018-02-17T23:30:00-02:00", "2018-02-18T23:30:00-03:00" } },
    { "0 30 * * * *", "America/Sao_Paulo", "2018-02-18T01:00:00Z",
      { "2018-02-17T23:30:00-02:00", "2018-02-17T23:30:00-03:00", "2018-02-18T00:30:00-03:00" } },
    /* Kathmandu: 00:00 became 00:15 at the beginning of 1986 */
    { "0 0 0 1 1 *", "Asia/Kathmandu", "1985-06-01T00:00:00Z",
      { "1986-01-01T00:15:00+05:45", "1987-01-01T00:00:00+05:45" } },
    { "0 5/10 0 * * *", "Asia/Kathmandu", "1985-12-31T12:00:00Z",
      { "1986-01-01T00:15:00+05:45", "1986-01-01T00:25:00+05:45" } },
    /* Apia: 30 December 2011 did not exist */
    { "0 0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z",
      { "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00" } },
    { "0 0 12 30 12 *", "Pacific/Apia", "2011-01-01T00:00:00Z",
      { "2011-12-31T00:00:00+14:00", "2012-12-30T12:00:00+14:00" } },
    { "0 0 * 30 12 *", "Pacific/Apia", "2011-01-01T00:00:00Z",
      { "2011-12-31T00:00:00+14:00", "2012-12-30T00:00:00+14:00" } },
    /* Casablanca: one hour back for Ramadan, which ends on 22 March 2026 */
    { "0 30 2 * * *", "Africa/Casablanca", "2026-02-14T12:00:00Z",
      { "2026-02-15T02:30:00+01:00", "2026-02-16T02:30:00Z" } },
    { "0 30 2 * * *", "Africa/Casablanca", "2026-03-21T12:00:00Z",
      { "2026-03-22T03:00:00+01:00", "2026-03-23T02:30:00+01:00" } },
    /* far beyond the table of the file: the rule of its footer */
    { "0 30 2 * * *", "Europe/Berlin", "2099-03-28T12:00:00Z",
      { "2099-03-29T03:00:00+02:00", "2099-03-30T02:30:00+02:00" } },
};
/* clang-format on */

static void an_expression_fires_at_its_times_in_utc(void **unused)
{
    (void)unused;
    check_firings(in_utc, ZL_ARRAY_LEN(in_utc));
}

static void a_skipped_time_fires_once_later_and_a_repeated_one_once_at_first(void **unused)
{
    (void)unused;
    check_firings(at_clock_changes, ZL_ARRAY_LEN(at_clock_changes));
}

static void extreme_starts_are_answered(void **unused)
{
    (void)unused;
    autotz struct tz *tz = zone_load("America/New_York");
    struct cron c = compile("0 0 0 1 1 *");
    int64_t at = 7;
    assert_false(cron_next(&c, tz, INT64_MAX, &at));
    assert_int_equal(at, 7);
    assert_true(cron_next(&c, tz, INT64_MIN, &at));
    assert_int_equal(at, utc("1970-01-01T00:00:00-05:00"));
    assert_true(cron_next(&c, NULL, INT64_MIN, &at));
    assert_int_equal(at, 0);
}

/* A loop over days or seconds would take minutes for these. */
static void an_expression_that_never_fires_is_found_out_at_once(void **unused)
{
    (void)unused;
    autotz struct tz *tz = zone_load("Europe/Berlin");
    struct cron hourly = compile("* * * 31 2,4,6,9,11 *"), fixed = compile("* * 2 30 2 *");
    int64_t at;
    uint64_t begin = zl_mono_ms();
    for (int i = 0; i < 200; i++) {
        assert_false(cron_next(&hourly, tz, 0, &at));
        assert_false(cron_next(&fixed, tz, 0, &at));
    }
    assert_true(zl_mono_ms() - begin < 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_accepted_expression_means_what_its_longer_spelling_means),
        cmocka_unit_test(a_refused_expression_is_answered_with_field_column_and_reason),
        cmocka_unit_test(a_refusal_leaves_the_result_alone_and_reads_as_one_sentence),
        cmocka_unit_test(a_very_long_expression_is_cut_in_the_message_only),
        cmocka_unit_test(an_expression_fires_at_its_times_in_utc),
        cmocka_unit_test(a_skipped_time_fires_once_later_and_a_repeated_one_once_at_first),
        cmocka_unit_test(extreme_starts_are_answered),
        cmocka_unit_test(an_expression_that_never_fires_is_found_out_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
