// SPDX-License-Identifier: Apache-2.0
/*
 * Named volumes as the API shows and removes them. In use is a volume by every container that has
 * it among its mounts, running or not, and by every service, job or cron that is deployed and names
 * it: what they left in it they will look for. Asked of the runtime and of core, never remembered.
 */
#ifndef ZL_AGENT_VOLUMES_H
#define ZL_AGENT_VOLUMES_H

#include <jansson.h>

#include "agent/agent.h"

/* A volume is what volumes_describe() says, and "used_by": [{"container","id"} or
 * {"deployment","service"}]. */
int volume_list(struct agent *a, json_t **ret, struct zl_error *err);
int volume_inspect(struct agent *a, const char *name, json_t **ret, struct zl_error *err);
/* labels: an object of texts, or NULL. */
int volume_create(struct agent *a, const char *name, const json_t *labels, struct zl_error *err);
/* CONFLICT when it is in use, or when something is in it and force is not said. */
int volume_remove(struct agent *a, const char *name, bool force, struct zl_error *err);
/* All that are not in use and, unless by force, empty. plan: only says which. *ret: {"plan",
 * "volumes": [name], "kept": [{"name","why"}]}. */
int volume_prune(struct agent *a, bool force, bool plan, json_t **ret, struct zl_error *err);

#endif
