// SPDX-License-Identifier: Apache-2.0
/* Looking things of core up by what a client calls them. */
#ifndef ZL_API_FIND_H
#define ZL_API_FIND_H

#include "core/view.h"

/*
 * A container by id, by name, or by a unique prefix (4 characters or more) of its id. Names of
 * replicas may repeat over deployments: "deployment/name" is exact. NOT_FOUND, or CONFLICT with the
 * candidates. ret->… borrows from core until its next step.
 */
int find_container(const struct core *core, const char *what, struct view_container *ret,
                   struct zl_error *err);
int find_container_id(const struct core *core, struct inst_id id, struct view_container *ret);
int find_deployment(const struct core *core, const char *name, struct view_deployment *ret,
                    struct zl_error *err);
int find_service(const struct core *core, const char *deployment, const char *name,
                 struct view_service *ret, struct zl_error *err);
/* deployment NULL: the only one of that name; CONFLICT when there are several. */
int find_cron(const struct core *core, const char *deployment, const char *name,
              struct view_cron *ret, struct zl_error *err);
/* By id. */
int find_execution(const struct core *core, const char *id, struct row_execution *ret,
                   struct zl_error *err);

#endif
