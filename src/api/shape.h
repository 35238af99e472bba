// SPDX-License-Identifier: Apache-2.0
/*
 * The JSON shapes of docs/api.md, made from views of core. All return a new reference, NULL when
 * there is no memory. Times are RFC 3339 in UTC with milliseconds, or null.
 */
#ifndef ZL_API_SHAPE_H
#define ZL_API_SHAPE_H

#include <jansson.h>

#include "core/view.h"
#include "image/store.h"

json_t *shape_time(int64_t wall_ms); /* 0: null */
json_t *shape_id(uint64_t id);       /* 0: null */
/* How a container ended: {id, exit, reason, why}. */
json_t *shape_end(const struct view_container *v);
/* log: path of its log file, or NULL */
json_t *shape_container(const struct view_container *v, const char *log);
json_t *shape_service(const struct view_service *v);
/* With its services. */
json_t *shape_deployment(const struct core *core, const struct view_deployment *v);
json_t *shape_execution(const struct row_execution *v, const char *log); /* log as above */
json_t *shape_cron(const struct view_cron *v, const char *log);          /* of its last execution */
json_t *shape_image(const struct core *core, const struct image *i);
/* The services whose image was settled to this digest, now or in the version before. */
json_t *shape_image_users(const struct core *core, const char *digest);

#endif
