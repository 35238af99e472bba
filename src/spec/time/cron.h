// SPDX-License-Identifier: Apache-2.0
/*
 * Cron expressions of six or seven fields, and when they fire. Text and times in, times out: no
 * clock is read, no file opened, and nothing kept between calls.
 *
 *   second minute hour day-of-month month day-of-week [year]      "0 30 2 * * MON-FRI"
 *
 * Grammar and meaning: docs/spec.md, "Cron expression". All fields must match, both day fields too.
 * Sunday is 1 and Saturday 7; years reach from 1970 to 2100. Resolution: one second.
 *
 * What a change of the clock does
 * ------------------------------
 * An expression names local times. Each one that it names fires exactly once, at the first instant
 * at which the zone's clock shows that time or a later one. So in Europe/Berlin
 *
 *   0 30 2 * * *    on 29 March 2026, when 02:00 becomes 03:00, fires at 03:00 (01:00Z);
 *                   on 25 October 2026, when 03:00 becomes 02:00, at the first 02:30 (00:30Z) only;
 *   0 0/10 2 * * *  on 29 March fires once, at 03:00: the six skipped times are one instant;
 *   0 0 3 * * *     on 29 March fires once, at 03:00, which is its own time as well.
 *
 * An expression that allows all 24 hours ("*", "0-23") does not wait for an hour of the day; it
 * asks for a rhythm, and a rhythm must not pause for an hour because a clock is set back. Such an
 * expression fires in the repeated hour again, at each instant whose local time it names:
 *
 *   0 * * * * *     fires at every real minute, through both changes;
 *   0 30 * * * *    on 25 October fires at 02:30 (00:30Z) and at 02:30 (01:30Z);
 *                   on 29 March at 01:30, 03:00 (for the skipped 02:30), 03:30.
 *
 * The reason: docs/decisions/0004-cron-and-clock-changes.md.
 */
#ifndef ZL_SPEC_TIME_CRON_H
#define ZL_SPEC_TIME_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/time/tzif.h"

enum cron_field_id {
    CRON_SECOND,
    CRON_MINUTE,
    CRON_HOUR,
    CRON_DAY,
    CRON_MONTH,
    CRON_WEEKDAY,
    CRON_YEAR,
    CRON_FIELDS
};
enum { CRON_YEAR_MIN = 1970, CRON_YEAR_MAX = 2100 };

/* A compiled expression: bit v of a set stands for value v, bit 0 of the years for 1970. A plain
 * value, to be copied and compared freely. */
struct cron {
    uint64_t set[CRON_YEAR]; /* of the six fields before the year */
    uint64_t years[3];
};

/* Why an expression is refused. */
struct cron_flaw {
    int field;              /* 1 to 7; 0: it is about the expression as a whole */
    const char *field_name; /* "day of month"; "" with field 0; static storage */
    size_t at;              /* byte offset in the text; all before it is ASCII but for 0 fields */
    char why[256];          /* "32 is not in 1-31"; one line of printable text */
};

/* 0, or -1 with *flaw filled and *ret untouched. */
int cron_parse(const char *text, struct cron *ret, struct cron_flaw *flaw);

/* The flaw as one sentence: "field 4 (day of month), column 7: 32 is not in 1-31". Returns the
 * length, cut to size - 1; 320 bytes are enough. */
size_t cron_flaw_format(const struct cron_flaw *flaw, char *out, size_t size);

/*
 * The first firing strictly after `after` (UTC seconds) in a zone (NULL: UTC). False: there is
 * none, now or ever (W-CRON-NEVER). Takes microseconds, at most a few milliseconds.
 */
bool cron_next(const struct cron *c, const struct tz *tz, int64_t after, int64_t *ret);
/* The last firing in (after, until]. False: there is none. Some thirty times cron_next. */
bool cron_last(const struct cron *c, const struct tz *tz, int64_t after, int64_t until,
               int64_t *ret);
/* Whether it allows all 24 hours: it asks for a rhythm, and for no hour of the day. */
bool cron_is_rhythm(const struct cron *c);

#endif
