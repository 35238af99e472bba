// SPDX-License-Identifier: Apache-2.0
/*
 * A time zone as an immutable table: the bytes of a TZif file (RFC 9636, versions 1 to 4) go in,
 * answers about local time come out. No file is opened and no clock read here; whoever loads zones
 * checks the name with tz_name_valid() first and reads /usr/share/zoneinfo/<name>.
 *
 * "Local time" is what a clock on the wall shows, as seconds since 1970-01-01 00:00:00 of that
 * clock: the calendar without the zone. Local times are not unique (a clock that is set back shows
 * some twice) and not all exist (one that is set forward jumps over some).
 *
 * A struct tz NULL stands for UTC everywhere. Nothing is changed after tz_parse, so threads may
 * share a zone. Times beyond 2^58 seconds of either sign are taken as those.
 */
#ifndef ZL_SPEC_TIME_TZIF_H
#define ZL_SPEC_TIME_TZIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct tz;

enum { TZ_FILE_MAX = 65536 }; /* bytes of a zone file; real ones have less than 4 KiB */

/*
 * Reads a whole file strictly: counts, order, indices, offsets and the footer are checked, nothing
 * may follow. Zones that count leap seconds ("right/...") are refused as ZL_ERR_UNSUPPORTED, since
 * the system's clock does not; everything else that is wrong is ZL_ERR_INVALID. The footer's rule
 * holds after the last transition, but not before 1900. Returns 0 and a zone of the caller's.
 */
int tz_parse(const void *bytes, size_t len, struct tz **ret, struct zl_error *err);
void tz_free(struct tz *tz); /* NULL is fine */
ZL_DEFINE_CLEANUP(struct tz *, tz_free)
#define autotz ZL_CLEANUP(tz_freep)

/* A name as the IANA database has them, "Area/City": no dot, no empty part, no leading '/', so it
 * cannot lead out of the directory of zone files. "UTC" is one; it needs no file. */
bool tz_name_valid(const char *name);
bool tz_name_is_utc(const char *name);

int32_t tz_offset_at(const struct tz *tz, int64_t utc); /* seconds east of UTC */

enum tz_local_kind {
    TZ_LOCAL_ONCE, /* the clock shows it at first */
    TZ_LOCAL_GAP,  /* it is jumped over, at first */
    TZ_LOCAL_FOLD, /* it is shown at first, and again at second */
};
struct tz_local {
    enum tz_local_kind kind;
    int64_t first, second; /* UTC; equal but in a fold */
};
struct tz_local tz_local_to_utc(const struct tz *tz, int64_t local);

/*
 * The view that schedules need: the highest local time that the clock has shown so far never goes
 * back. tz_first_reach() is the first instant at which the clock shows `local` or a later time: for
 * a time that is skipped the instant of the jump, for one that is shown twice the first showing.
 * tz_high_water() is the latest local time that was shown, or jumped to, by an instant.
 */
int64_t tz_first_reach(const struct tz *tz, int64_t local);
int64_t tz_high_water(const struct tz *tz, int64_t utc);

/* A stretch of time in which the clock shows again what it has shown before. */
struct tz_repeat {
    int64_t begin, end; /* UTC; end is not part of it */
    int32_t offset;     /* that holds in it */
};
/* The first such stretch in [from, until), cut to it; false: there is none. from and until lie in
 * the years 1902 to 2299. */
bool tz_next_repeat(const struct tz *tz, int64_t from, int64_t until, struct tz_repeat *ret);

#endif
