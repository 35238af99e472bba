// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

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

/* Days since 1970-01-01 to a date of the proleptic Gregorian calendar, counted from 1 March of year
 * 0 in eras of 400 years, so that the leap day is the last of its year. */
static void civil_from_days(int64_t days, int64_t *year, int *month, int *day)
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
    civil_from_days(days, &year, &month, &day);
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
