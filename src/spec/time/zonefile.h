// SPDX-License-Identifier: Apache-2.0
/* Loads time zones for those who may open files: the command line and the agent, never core/. */
#ifndef ZL_SPEC_TIME_ZONEFILE_H
#define ZL_SPEC_TIME_ZONEFILE_H

#include "spec/time/tzif.h"

#define TZ_DIR "/usr/share/zoneinfo" /* of Debian's tzdata, and everywhere by custom */

/*
 * The zone `name` from the zone files in dir. *ret is the caller's, and NULL for "UTC", which needs
 * no file. -1: ZL_ERR_INVALID is a bad name or file, ZL_ERR_NOT_FOUND a zone that is not there.
 */
int tz_load(const char *dir, const char *name, struct tz **ret, struct zl_error *err);

#endif
