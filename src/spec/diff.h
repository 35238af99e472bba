// SPDX-License-Identifier: Apache-2.0
/*
 * What changes between two specs, after defaults and by meaning: the order of a mapping, another
 * spelling of a duration or of an image's name is no change. A deploy uses it to tell what it will
 * do, so each difference says whether it needs new containers or applies to those that run.
 */
#ifndef ZL_SPEC_DIFF_H
#define ZL_SPEC_DIFF_H

#include <jansson.h>

#include "spec/spec.h"

/*
 * {"same": bool, "services": {"added": […], "removed": […], "changed": [{"service", "recreate",
 * "fields": [F…]}]}, "document": [F…]}, F = {"path", "old", "new", "live"}; what was not said is
 * null. Owned by the caller; NULL when there is no memory.
 */
json_t *spec_diff(const struct spec *from, const struct spec *to);

#endif
