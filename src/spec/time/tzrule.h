// SPDX-License-Identifier: Apache-2.0
/*
 * A POSIX TZ string as the footer of a time zone file has it: "CET-1CEST,M3.5.0,M10.5.0/3". It says
 * for every year when daylight saving begins and ends. Pure: text in, instants out.
 * Source: POSIX.1-2017, 8.3 "TZ"; RFC 9636, 3.3 and 3.3.1 (hours from -167 to 167).
 */
#ifndef ZL_SPEC_TIME_TZRULE_H
#define ZL_SPEC_TIME_TZRULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum tz_day_kind {
    TZ_DAY_JULIAN, /* Jn: day 1 to 365, 29 February is never counted */
    TZ_DAY_YEAR,   /* n: day 0 to 365, 29 February is counted */
    TZ_DAY_MONTH,  /* Mm.w.d: weekday d (0 Sunday) of week w (5: the last) in month m */
};

struct tz_change { /* when a change happens, in the local time that holds until then */
    enum tz_day_kind kind;
    int month, week, day;
    int32_t time; /* seconds after the day's midnight; may be negative or beyond the day */
};

struct tz_rule {
    int32_t std_offset, dst_offset; /* seconds east of UTC */
    bool has_dst;
    struct tz_change begin, end; /* of daylight saving; only with has_dst */
};

/*
 * Reads all of text[0..len). extended allows what only version 3 of the file format has: hours
 * below 0 or above 24. Daylight saving without dates ("EST5EDT") is refused: its dates would be a
 * guess. Returns 0, or -1 with ZL_ERR_INVALID.
 */
int tz_rule_parse(const char *text, size_t len, bool extended, struct tz_rule *ret,
                  struct zl_error *err);

/* UTC seconds at which daylight saving begins and ends in a year; has_dst only. Either may be
 * first. */
void tz_rule_year(const struct tz_rule *r, int64_t year, int64_t *ret_begin, int64_t *ret_end);

/* Seconds east of UTC that the rule gives for an instant (|utc| up to 2^59). */
int32_t tz_rule_offset_at(const struct tz_rule *r, int64_t utc);

#endif
