// SPDX-License-Identifier: Apache-2.0
#ifndef ZL_OCICLI_STATS_H
#define ZL_OCICLI_STATS_H

#include <jansson.h>

#include "sandbox/stats.h"

/* The `data` of runc's event "stats"; the caller's. NULL: out of memory. */
json_t *stats_json(const struct cgroup_stats *s);

#endif
