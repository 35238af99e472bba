// SPDX-License-Identifier: Apache-2.0
/* The two clocks: one that never jumps and counts suspended time, and UTC. */
#ifndef ZL_BASE_CLOCK_H
#define ZL_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

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

#endif
