// SPDX-License-Identifier: Apache-2.0
#include "spec/time/tzrule.h"

#include <string.h>

#include "base/clock.h"

enum { HOUR = 3600, DAY = 86400 };

/* What is left of the text. Readers take what they know and leave the rest. */
struct reader {
    const char *p, *end;
};

static bool take(struct reader *r, char c)
{
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

/* Decimal digits (at most three, no number of the grammar is longer), a value from min to max. */
static bool take_int(struct reader *r, int min, int max, int *ret)
{
    const char *start = r->p;
    int value = 0;
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9' && r->p - start < 3; r->p++)
        value = value * 10 + (*r->p - '0');
    *ret = value;
    return r->p > start && value >= min && value <= max;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "CEST", or between < and >, where digits and signs are letters as well: "<+0330>". */
static bool take_name(struct reader *r)
{
    bool quoted = take(r, '<');
    const char *start = r->p;
    while (r->p < r->end &&
           (is_letter(*r->p) || (quoted && *r->p && strchr("0123456789+-", *r->p))))
        r->p++;
    return r->p - start >= 3 && (!quoted || take(r, '>'));
}

/* "[+-]hh[:mm[:ss]]" in seconds, hours up to max. */
static bool take_hms(struct reader *r, int max_hours, int32_t *ret)
{
    bool minus = take(r, '-');
    int h, m = 0, s = 0;
    if (!minus)
        (void)take(r, '+');
    if (!take_int(r, 0, max_hours, &h))
        return false;
    if (take(r, ':')) {
        if (!take_int(r, 0, 59, &m))
            return false;
        if (take(r, ':') && !take_int(r, 0, 59, &s))
            return false;
    }
    *ret = (h * HOUR + m * 60 + s) * (minus ? -1 : 1);
    return true;
}

/* POSIX counts offsets westwards. */
static bool take_offset(struct reader *r, int32_t *ret)
{
    int32_t west;
    if (!take_hms(r, 24, &west))
        return false;
    *ret = -west;
    return true;
}

static bool take_day(struct reader *r, struct tz_change *c)
{
    if (take(r, 'M')) {
        c->kind = TZ_DAY_MONTH;
        return take_int(r, 1, 12, &c->month) && take(r, '.') && take_int(r, 1, 5, &c->week) &&
               take(r, '.') && take_int(r, 0, 6, &c->day);
    }
    c->kind = take(r, 'J') ? TZ_DAY_JULIAN : TZ_DAY_YEAR;
    return take_int(r, c->kind == TZ_DAY_JULIAN ? 1 : 0, 365, &c->day);
}

static bool take_change(struct reader *r, bool extended, struct tz_change *c)
{
    if (!take(r, ',') || !take_day(r, c))
        return false;
    c->time = 2 * HOUR;
    if (!take(r, '/'))
        return true;
    if (!take_hms(r, extended ? 167 : 24, &c->time))
        return false;
    return extended || c->time >= 0;
}

static const char *read_rule(struct reader *r, bool extended, struct tz_rule *rule)
{
    if (!take_name(r))
        return "a name of at least three letters is expected";
    if (!take_offset(r, &rule->std_offset))
        return "an offset is expected, [+-]hh[:mm[:ss]]";
    if (r->p == r->end)
        return NULL;
    rule->has_dst = true;
    rule->dst_offset = rule->std_offset + HOUR;
    if (!take_name(r))
        return "the name of daylight saving is expected";
    if (r->p < r->end && *r->p != ',' && !take_offset(r, &rule->dst_offset))
        return "the offset of daylight saving is expected";
    if (!take_change(r, extended, &rule->begin) || !take_change(r, extended, &rule->end))
        return "a date is expected, ',' and Jn, n or Mm.w.d, and perhaps '/' and a time";
    return r->p == r->end ? NULL : "more text than a rule has";
}

int tz_rule_parse(const char *text, size_t len, bool extended, struct tz_rule *ret,
                  struct zl_error *err)
{
    struct reader r = { .p = text, .end = text + len };
    struct tz_rule rule = { 0 };
    const char *why = read_rule(&r, extended, &rule);
    if (why)
        return zl_fail(err, ZL_ERR_INVALID, "time zone rule, character %d: %s",
                       (int)(r.p - text) + 1, why);
    *ret = rule;
    return 0;
}

/* Days since 1970-01-01. */
static int64_t day_of_change(const struct tz_change *c, int64_t year)
{
    if (c->kind == TZ_DAY_JULIAN) {
        bool counts_leap_day = zl_days_in_month(year, 2) == 29 && c->day > 31 + 28;
        return zl_days_from_civil(year, 1, c->day + counts_leap_day);
    }
    if (c->kind == TZ_DAY_YEAR)
        return zl_days_from_civil(year, 1, 1 + c->day);

    int64_t first = zl_days_from_civil(year, c->month, 1);
    int weekday = (int)(((first + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    int day = (c->day - weekday + 7) % 7 + (c->week - 1) * 7;
    if (day >= zl_days_in_month(year, c->month))
        day -= 7; /* "week 5" means the last one */
    return first + day;
}

void tz_rule_year(const struct tz_rule *r, int64_t year, int64_t *ret_begin, int64_t *ret_end)
{
    *ret_begin = day_of_change(&r->begin, year) * DAY + r->begin.time - r->std_offset;
    *ret_end = day_of_change(&r->end, year) * DAY + r->end.time - r->dst_offset;
}

int32_t tz_rule_offset_at(const struct tz_rule *r, int64_t utc)
{
    int64_t year, latest = INT64_MIN;
    int month, day;
    int32_t offset = r->std_offset;
    if (!r->has_dst)
        return offset;
    zl_civil_from_days(utc / DAY - (utc % DAY < 0), &year, &month, &day);
    /* A change may lie a week outside its year, so the latest may belong to the last year but one.
     */
    for (int64_t y = year - 2; y <= year + 1; y++) {
        int64_t begin, end;
        tz_rule_year(r, y, &begin, &end);
        if (end <= utc && end > latest) {
            latest = end;
            offset = r->std_offset;
        }
        /* Daylight saving all year: its end and its next begin are one instant, and it goes on. */
        if (begin <= utc && begin >= latest) {
            latest = begin;
            offset = r->dst_offset;
        }
    }
    return offset;
}
