// SPDX-License-Identifier: Apache-2.0
#ifndef ZL_AGENT_IMAGES_H
#define ZL_AGENT_IMAGES_H

#include "base/json.h"

struct agent;

/* Removes images that nobody needs (image_prune()), or only says which; *ret says what went, as the
 * API does. */
int images_prune(struct agent *a, bool all, bool plan, json_t **ret, struct zl_error *err);

#endif
