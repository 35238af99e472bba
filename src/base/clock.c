// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

static int64_t now_ns(clockid_t clock)
{
    struct timespec ts;
    (void)clock_gettime(clock, &ts); /* cannot fail for a clock that exists, clock_gettime(2) */
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

uint64_t zl_mono_ns(void)
{
    return (uint64_t)now_ns(CLOCK_BOOTTIME);
}

uint64_t zl_mono_ms(void)
{
    return zl_mono_ns() / 1000000;
}

int64_t zl_wall_ns(void)
{
    return now_ns(CLOCK_REALTIME);
}

int64_t zl_wall_ms(void)
{
    return zl_wall_ns() / 1000000;
}

static char *put_number(char *p, int64_t value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        p[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return p + width;
}

/* Both count from 1 March of year 0 in eras of 400 years, so that the leap day is the last of its
 * year. */
void zl_civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

int64_t zl_days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t yoe = year - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int zl_days_in_month(int64_t year, int month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

size_t zl_format_rfc3339(int64_t wall_ns, int digits, char *out)
{
    int64_t secs = wall_ns / 1000000000, frac = wall_ns % 1000000000;
    if (frac < 0) {
        secs--;
        frac += 1000000000;
    }
    int64_t days = secs / 86400, rest = secs % 86400;
    if (rest < 0) {
        days--;
        rest += 86400;
    }
    int64_t year;
    int month, day;
    zl_civil_from_days(days, &year, &month, &day);
    year = year < 0 ? 0 : year > 9999 ? 9999 : year;

    char *p = put_number(out, year, 4);
    *p++ = '-';
    p = put_number(p, month, 2);
    *p++ = '-';
    p = put_number(p, day, 2);
    *p++ = 'T';
    p = put_number(p, rest / 3600, 2);
    *p++ = ':';
    p = put_number(p, rest / 60 % 60, 2);
    *p++ = ':';
    p = put_number(p, rest % 60, 2);
    if (digits > 0) {
        *p++ = '.';
        (void)put_number(p, frac, 9);
        p += digits > 9 ? 9 : digits;
    }
    *p++ = 'Z';
    *p = '\0';
    return (size_t)(p - out);
}

/* A reader of one text: a step that does not fit marks it bad, and the following ones do nothing.
 */
struct rfc3339 {
    const char *p;
    bool bad;
};

/* Exactly `width` digits, a value from min to max. */
static int take_number(struct rfc3339 *r, int width, int min, int max)
{
    int value = 0;
    for (int i = 0; i < width && !r->bad; i++) {
        if (*r->p < '0' || *r->p > '9')
            r->bad = true;
        else
            value = value * 10 + (*r->p++ - '0');
    }
    if (value < min || value > max)
        r->bad = true;
    return value;
}

/* One of the characters in `set`, which is returned. */
static char take_one_of(struct rfc3339 *r, const char *set)
{
    if (r->bad || *r->p == '\0' || !strchr(set, *r->p)) {
        r->bad = true;
        return '\0';
    }
    return *r->p++;
}

/* ".5", ".1234567891": what is finer than a nanosecond is cut off. */
static int64_t take_fraction(struct rfc3339 *r)
{
    int64_t ns = 0, unit = 100000000;
    if (r->bad || *r->p != '.')
        return 0;
    r->p++;
    do {
        ns += take_number(r, 1, 0, 9) * unit;
        unit /= 10;
    } while (!r->bad && *r->p >= '0' && *r->p <= '9');
    return ns;
}

/* "Z", "+02:00": seconds east of UTC. */
static int take_zone(struct rfc3339 *r)
{
    char sign = take_one_of(r, "Zz+-");
    if (r->bad || sign == 'Z' || sign == 'z')
        return 0;
    int seconds = take_number(r, 2, 0, 23) * 3600;
    (void)take_one_of(r, ":");
    seconds += take_number(r, 2, 0, 59) * 60;
    return sign == '-' ? -seconds : seconds;
}

int zl_parse_rfc3339(const char *text, int64_t *ret_wall_ns, struct zl_error *err)
{
    struct rfc3339 r = { .p = text };
    int year = take_number(&r, 4, 0, 9999);
    (void)take_one_of(&r, "-");
    int month = take_number(&r, 2, 1, 12);
    (void)take_one_of(&r, "-");
    int day = take_number(&r, 2, 1, r.bad ? 31 : zl_days_in_month(year, month));
    (void)take_one_of(&r, "Tt");
    int hour = take_number(&r, 2, 0, 23);
    (void)take_one_of(&r, ":");
    int minute = take_number(&r, 2, 0, 59);
    (void)take_one_of(&r, ":");
    int second = take_number(&r, 2, 0, 60);
    int64_t fraction = take_fraction(&r);
    int east = take_zone(&r);
    int64_t utc = zl_days_from_civil(year, r.bad ? 1 : month, day) * 86400 + hour * INT64_C(3600) +
                  minute * INT64_C(60) + second - east;
    /* A leap second is the last of a UTC day; this clock shows it as the first of the next one. */
    if (r.bad || *r.p || (second == 60 && utc % 86400 != 0))
        return zl_fail(err, ZL_ERR_INVALID,
                       "'%s' is not a time like 2026-11-23T18:28:01Z or 2026-11-23T19:28:01+01:00",
                       text);
    if (utc <= INT64_MIN / 1000000000 || utc >= INT64_MAX / 1000000000)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is outside of the years 1678 to 2261", text);
    *ret_wall_ns = utc * 1000000000 + fraction;
    return 0;
}
