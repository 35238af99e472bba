// SPDX-License-Identifier: Apache-2.0
#ifndef ZL_AGENT_IMAGES_H
#define ZL_AGENT_IMAGES_H

#include "base/json.h"

struct agent;

/* As struct api_ops says: image_remove, image_inspect, image_tag. */
int images_remove(struct agent *a, const char *reference, bool force, struct zl_error *err);
int images_inspect(struct agent *a, const char *reference, json_t **ret, struct zl_error *err);
int images_tag(struct agent *a, const char *reference, const char *name, struct zl_error *err);
/* Removes images that nobody needs (image_prune()), or only says which; *ret says what went, as the
 * API does. */
int images_prune(struct agent *a, bool all, bool plan, json_t **ret, struct zl_error *err);

#endif
