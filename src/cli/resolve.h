// SPDX-License-Identifier: Apache-2.0
/* Which deployment, service or container an argument means. */
#ifndef ZL_CLI_RESOLVE_H
#define ZL_CLI_RESOLVE_H

#include "cli/cli.h"

/*
 * The deployment called name, or the only one there is when name is NULL, into *ret (allocated).
 * NOT_FOUND, or CONFLICT with the candidates.
 */
int resolve_deployment(struct cli *cli, const char *name, char **ret, struct zl_error *err);

/* "[DEPLOYMENT/]SERVICE" among the services of all deployments: both names, allocated. */
int resolve_service(struct cli *cli, const char *what, char **ret_deployment, char **ret_service,
                    struct zl_error *err);

/*
 * The containers of "[DEPLOYMENT/]SERVICE", or the one that has this name, id or prefix of an id,
 * as an array (a reference) of container objects in the order of their index. An array of several
 * always belongs to one service.
 */
int resolve_containers(struct cli *cli, const char *what, json_t **ret, struct zl_error *err);
/* The same on a list that is there already. */
int resolve_in_list(const json_t *containers, const char *what, json_t **ret, struct zl_error *err);

/* Of those, the replica with this index, or (0) the lowest that is up; NULL and the error: none. */
const json_t *pick_replica(const json_t *found, uint64_t replica, const char *what,
                           struct zl_error *err);

#endif
