// SPDX-License-Identifier: Apache-2.0
/* Zones and times for the tests: the host's zone files, and dates as people write them. */
#ifndef TEST_ZONE_H
#define TEST_ZONE_H

#include <stdint.h>

#include "spec/time/zonefile.h"

/* The zone, the caller's; NULL for "UTC". Ends the program when the host has no such zone. */
struct tz *zone_load(const char *name);
/* The bytes of its file, the caller's. NULL: there is no such file, or it is no TZif file. */
unsigned char *zone_read(const char *path, size_t *ret_len);

int64_t utc(const char *rfc3339); /* seconds; ends the program when that is no time */
/* "2026-10-25T02:30:00+01:00", the instant as the zone's clock shows it. */
const char *shown(const struct tz *tz, int64_t at, char out[48]);

#endif
