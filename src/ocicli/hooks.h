// SPDX-License-Identifier: Apache-2.0
/* Hooks (runtime-spec, config.md, "POSIX-platform Hooks") at their stages (runtime.md,
 * "Lifecycle"). */
#ifndef ZL_OCICLI_HOOKS_H
#define ZL_OCICLI_HOOKS_H

#include "ocicli/container.h"

/* Who a stage's hooks are for, and with what. */
struct hooking {
    struct cli *cli;
    struct container *container;
    const struct oci_config *config;
    const struct oci_state *state;
    int init; /* pidfd of the first process, -1 where a stage does not need it */
};

/* INVALID for a timeout that is not positive. */
int hooks_check(const struct oci_config *config, struct zl_error *err);

/* prestart and createRuntime in our namespaces, createContainer in the container's, with programs
 * of the host. The first that fails ends the row. */
int hooks_while_creating(const struct hooking *h, struct zl_error *err);
/* startContainer: programs of the container, executed as its process would be. */
int hooks_before_start(const struct hooking *h, struct zl_error *err);
/* One that fails is warned of, the others go on. */
void hooks_after_start(const struct hooking *h);
void hooks_after_stop(const struct hooking *h);

#endif
