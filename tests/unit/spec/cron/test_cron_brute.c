// SPDX-License-Identifier: Apache-2.0
/*
 * Every second of the days around clock changes, against a second implementation that shares no
 * code with the first: libc says what the zone's clock shows, and the rule of cron.h is followed
 * literally, one second after the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "spec/time/cron.h"
#include "zone.h"

enum { DAYS = 4, SECONDS = DAYS * 86400 };

/* Which values of each field the text names; in the order of struct tm. */
struct naive {
    bool second[60], minute[60], hour[24], day[32], month[13], weekday[8], year[2101];
    bool every_hour;
};

static void naive_field(const char *text, int min, int max, bool *named)
{
    char copy[200], *save = NULL;
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
        int low, high, step;
        if (sscanf(item, "%d-%d/%d", &low, &high, &step) == 3) {
        } else if (sscanf(item, "%d-%d", &low, &high) == 2) {
            step = 1;
        } else if (sscanf(item, "%d/%d", &low, &step) == 2) {
            high = max;
        } else if (sscanf(item, "*/%d", &step) == 1) {
            low = min;
            high = max;
        } else if (sscanf(item, "%d", &low) == 1) {
            high = low;
            step = 1;
        } else {
            low = min;
            high = max;
            step = 1;
        }
        for (int v = low; v <= high; v++)
            named[v] |= (v - low) % step == 0;
    }
}

static struct naive *naive_new(const char *text)
{
    char f[7][200];
    struct naive *n = calloc(1, sizeof *n);
    assert_non_null(n);
    int count = sscanf(text, "%199s %199s %199s %199s %199s %199s %199s", f[0], f[1], f[2], f[3],
                       f[4], f[5], f[6]);
    naive_field(f[0], 0, 59, n->second);
    naive_field(f[1], 0, 59, n->minute);
    naive_field(f[2], 0, 23, n->hour);
    naive_field(f[3], 1, 31, n->day);
    naive_field(f[4], 1, 12, n->month);
    naive_field(f[5], 1, 7, n->weekday);
    naive_field(count == 7 ? f[6] : "*", 1970, 2100, n->year);
    n->every_hour = true;
    for (int h = 0; h < 24; h++)
        n->every_hour &= n->hour[h];
    return n;
}

static bool naive_names(const struct naive *n, const struct tm *tm)
{
    return n->second[tm->tm_sec] && n->minute[tm->tm_min] && n->hour[tm->tm_hour] &&
           n->day[tm->tm_mday] && n->month[tm->tm_mon + 1] && n->weekday[tm->tm_wday + 1] &&
           n->year[tm->tm_year + 1900];
}

/* One second: what the clock shows, and how many local times before that it jumped over. */
struct tick {
    struct tm tm;
    time_t local;
    int skipped;
    bool repeated;
};

static struct tick *ticks_of(const char *zone, int64_t from)
{
    struct tick *ticks = calloc(SECONDS, sizeof *ticks);
    time_t highest = 0;
    assert_non_null(ticks);
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
    for (int i = 0; i < SECONDS; i++) {
        time_t at = (time_t)(from + i);
        assert_non_null(localtime_r(&at, &ticks[i].tm));
        ticks[i].local = at + ticks[i].tm.tm_gmtoff;
        ticks[i].repeated = i > 0 && ticks[i].local <= highest;
        if (i > 0 && ticks[i].local > highest)
            ticks[i].skipped = (int)(ticks[i].local - highest - 1);
        highest = ticks[i].local > highest ? ticks[i].local : highest;
    }
    return ticks;
}

static bool naive_fires(const struct naive *n, const struct tick *t)
{
    if (naive_names(n, &t->tm))
        return !t->repeated || n->every_hour;
    for (int k = 1; k <= t->skipped; k++) {
        time_t local = t->local - k;
        struct tm tm;
        if (naive_names(n, gmtime_r(&local, &tm)))
            return true;
    }
    return false;
}

/* cron_next from every 61st second and from every firing on, backwards. */
static void compare(const char *zone, int64_t from, const struct tick *ticks, const char *text)
{
    struct cron c;
    struct cron_flaw flaw;
    autotz struct tz *tz = zone_load(zone);
    zl_autofree struct naive *n = naive_new(text);
    assert_int_equal(cron_parse(text, &c, &flaw), 0);
    int64_t next = -1; /* the naive answer for ticks after i */
    for (int i = SECONDS - 1; i >= 0; i--) {
        int64_t at, now = from + i;
        bool fires = i > 0 && naive_fires(n, &ticks[i]);
        if (fires || i % 61 == 0) {
            bool found = cron_next(&c, tz, now, &at) && at < from + SECONDS;
            if (found != (next >= 0) || (found && at != next)) {
                char a[48], b[48], s[48];
                fail_msg("'%s' in %s after %s: %s, not %s", text, zone, shown(tz, now, s),
                         found ? shown(tz, at, a) : "none", next < 0 ? "none" : shown(tz, next, b));
            }
        }
        if (fires)
            next = now;
    }
}

/* clang-format off */
static const char *const expressions[] = {
    "* * * * * *", "0 * * * * *", "*/7 */7 * * * *", "0 0 * * * *", "0 30 * * * *", "15 */15 * * * *",
    "0 0 0 * * *", "0 30 0 * * *", "0 30 1 * * *", "0 45 1 * * *", "0 0 2 * * *", "0 15 2 * * *",
    "0 30 2 * * *", "59 59 2 * * *", "0 0 3 * * *", "0 30 23 * * *", "* * 1-3 * * *", "0 */10 1,2 * * *",
    "1-59/20 10-50/13 0-22 * * *", "0 0 */2 * * *", "0 1/29 1/2 * * *", "0 30 2 * * 1", "0 30 2 * * 2-6/2",
    "0 30 * 1-15 * *", "0 5,55 0,1,2,3,23 29,30,31,1 * *", "0 0 12 30 12 *", "0 20 0/1 * 3,10 1,7",
};

/* The third of four days is the day of the change, more or less. */
static const struct { const char *zone, *from; } days[] = {
    { "Europe/Berlin",       "2026-03-27T00:00:00Z" }, { "Europe/Berlin",       "2026-10-23T00:00:00Z" },
    { "America/New_York",    "2026-03-06T00:00:00Z" }, { "America/New_York",    "2026-10-30T00:00:00Z" },
    { "Australia/Lord_Howe", "2026-04-02T06:00:00Z" }, { "Australia/Lord_Howe", "2026-10-01T06:00:00Z" },
    { "Europe/Dublin",       "2026-03-27T00:00:00Z" }, { "Europe/Dublin",       "2026-10-23T00:00:00Z" },
    { "America/Sao_Paulo",   "2018-02-16T00:00:00Z" }, { "America/Sao_Paulo",   "2018-11-02T00:00:00Z" },
    { "Asia/Kathmandu",      "1985-12-30T00:00:00Z" }, { "Pacific/Apia",        "2011-12-28T12:00:00Z" },
    { "Africa/Casablanca",   "2026-02-13T00:00:00Z" }, { "Africa/Casablanca",   "2026-03-20T00:00:00Z" },
    { "Europe/Berlin",       "2097-03-29T00:00:00Z" }, { "UTC",                 "2026-12-30T00:00:00Z" },
};
/* clang-format on */

static void each_second_around_a_clock_change_agrees_with_the_naive_reading(void **unused)
{
    (void)unused;
    for (size_t d = 0; d < ZL_ARRAY_LEN(days); d++) {
        int64_t from = utc(days[d].from);
        zl_autofree struct tick *ticks = ticks_of(days[d].zone, from);
        for (size_t e = 0; e < ZL_ARRAY_LEN(expressions); e++)
            compare(days[d].zone, from, ticks, expressions[e]);
    }
}

/* Else the comparison above would prove little. */
static void the_chosen_days_hold_the_changes_they_were_chosen_for(void **unused)
{
    (void)unused;
    for (size_t d = 0; d < ZL_ARRAY_LEN(days); d++) {
        zl_autofree struct tick *ticks = ticks_of(days[d].zone, utc(days[d].from));
        int skipped = 0, repeated = 0;
        for (int i = 0; i < SECONDS; i++) {
            skipped += ticks[i].skipped;
            repeated += ticks[i].repeated;
        }
        if (skipped + repeated < 900 && strcmp(days[d].zone, "UTC") != 0)
            fail_msg("%s from %s: no change", days[d].zone, days[d].from);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chosen_days_hold_the_changes_they_were_chosen_for),
        cmocka_unit_test(each_second_around_a_clock_change_agrees_with_the_naive_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
