// SPDX-License-Identifier: Apache-2.0
/* The two clocks: one that never jumps and counts suspended time, and UTC. */
#ifndef ZL_BASE_CLOCK_H
#define ZL_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

uint64_t zl_mono_ms(void); /* CLOCK_BOOTTIME, milliseconds */
uint64_t zl_mono_ns(void); /* CLOCK_BOOTTIME, nanoseconds */
int64_t zl_wall_ns(void);  /* CLOCK_REALTIME: nanoseconds since 1970-01-01 UTC */
int64_t zl_wall_ms(void);

enum { ZL_RFC3339_SIZE = 36 }; /* "2026-11-23T18:28:01.123456789Z" and the NUL, with room */

/*
 * UTC as RFC 3339 with `digits` (0 to 9) digits of a second, into out[ZL_RFC3339_SIZE]. Years 0 to
 * 9999; others are clamped. Needs no time zone data. Returns the length.
 */
size_t zl_format_rfc3339(int64_t wall_ns, int digits, char *out);
/*
 * The other way, of any offset: "2026-11-23T19:28:01.5+01:00" (RFC 3339, section 5.6; 'T' and 'Z'
 * also in lower case, a space instead of 'T' is refused). What is finer than a nanosecond is cut
 * off, a leap second counts as the second after it. Returns 0, or -1 with ZL_ERR_INVALID.
 */
int zl_parse_rfc3339(const char *text, int64_t *ret_wall_ns, struct zl_error *err);

/*
 * The proleptic Gregorian calendar: days since 1970-01-01 to and from a date; month 1 to 12, day
 * from 1. zl_days_from_civil takes any day number and counts on from the first of the month. Years
 * of either sign, up to 2^55.
 */
void zl_civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day);
int64_t zl_days_from_civil(int64_t year, int month, int day);
int zl_days_in_month(int64_t year, int month);

#endif
