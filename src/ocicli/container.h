// SPDX-License-Identifier: Apache-2.0
/*
 * A container as its folder ROOT/ID tells: `plan` (written before anything is made, so that
 * whatever happens can be undone), `state.json` (since it has a process), `gate` (a FIFO, there
 * until start opened it) and `report` (a FIFO: why the command could not be executed).
 */
#ifndef ZL_OCICLI_CONTAINER_H
#define ZL_OCICLI_CONTAINER_H

#include "oci/config.h"
#include "oci/state.h"
#include "ocicli/options.h"
#include "sandbox/carry/carry.h"

struct container {
    const char *id; /* borrowed */
    int root_fd, dir_fd;
    struct zl_buf plan_bytes;
    const struct plan *plan;
    struct carry *carry;
};
void container_done(struct container *c); /* lets go; touches nothing that was made */
#define autocontainer ZL_CLEANUP(container_done)

/* A new one, with its folder; EXISTS when the id is taken. */
int container_new(const struct options *o, struct container *c, struct zl_error *err);
/* One that is there; NOT_FOUND "container 'x' does not exist". */
int container_open(const struct options *o, struct container *c, struct zl_error *err);
/* Plans config and keeps the plan in the folder. */
int container_plan(struct container *c, const struct oci_config *config, const char *bundle,
                   const struct options *o, struct zl_error *err);
/* The plan that was kept, to be carried on with. */
int container_load_plan(struct container *c, struct zl_error *err);
/* Removes cgroups and folder. */
int container_remove(struct container *c, struct zl_error *err);

/* A container without state.json is one whose creation was cut off: stopped. */
int container_status(struct container *c, struct oci_state *state, enum oci_status *ret,
                     struct zl_error *err);

#endif
