// SPDX-License-Identifier: Apache-2.0
/*
 * Volumes with a name: <root>/volumes/<name> is what containers mount,
 * <root>/volumes.meta/<name>.json what is known of it, outside of what a container sees. Nothing
 * about them is held in memory, so each who has the folder may open the store. Who uses a volume is
 * the runtime's to know (runtime_ops.each_volume). Names that begin with a dot are work in
 * progress: `.trash`, and what zlayer-fetch leaves (src/fetch/files/fill.h).
 */
#ifndef ZL_RUNTIME_VOLUMES_H
#define ZL_RUNTIME_VOLUMES_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

struct event_base;
struct volumes;

/* Makes the folders when they are missing; what dead helpers left goes to the trash. root_fd: of
 * root_dir, borrowed for the call. */
int volumes_open(struct event_base *base, const char *root_dir, int root_fd, struct volumes **ret,
                 struct zl_error *err);
void volumes_free(struct volumes *v); /* NULL is fine */
/* A helper was killed: what it left beside the volumes goes as soon as nobody works on it. */
void volumes_sweep(struct volumes *v);
/* Absolute path of the folder that holds them; borrowed. */
const char *volumes_dir(const struct volumes *v);

/* The folder of the volume, opened for reading, the caller's to close: made when it is missing,
 * empty, of root, 0755. -1; INVALID: a file or a link has that name. */
int volumes_ensure(struct volumes *v, const char *name, struct zl_error *err);
/* Whether zlayer-fetch is to look at it before it is mounted: it is empty, or has not all yet of
 * what was copied for it. fd: of volumes_ensure(). */
bool volumes_is_empty(int fd);
bool volumes_is_half(const struct volumes *v, const char *name);

/* EXISTS; INVALID for a name that is none. labels: an object, borrowed; NULL: none. */
int volumes_create(struct volumes *v, const char *name, const json_t *labels, struct zl_error *err);
/* {"name","path","created_at","labels","empty"}; NOT_FOUND. The caller's. */
int volumes_describe(struct volumes *v, const char *name, json_t **ret, struct zl_error *err);
/* A list of these, by name. */
int volumes_list(struct volumes *v, json_t **ret, struct zl_error *err);
/* Durable when it returns. NOT_FOUND; CONFLICT when something is in it, unless by force. That
 * nobody uses it the caller has made sure of. */
int volumes_remove(struct volumes *v, const char *name, bool force, struct zl_error *err);

#endif
