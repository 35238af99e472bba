// SPDX-License-Identifier: Apache-2.0
/*
 * A deployment: the services of one document, what of the last one is still there, and whether all
 * is as asked for.
 */
#ifndef ZL_CORE_DEPLOYMENT_H
#define ZL_CORE_DEPLOYMENT_H

#include "core/core.h"

struct deployment;
struct outcome;
struct stop_how;

/* The first deploy or a later one. Refused (-1) while it is being removed, or without memory. */
int deployment_deploy(struct core *c, struct spec *spec, const char *base_dir,
                      struct zl_error *err);
/* Tells the services that wait for op. */
void deployments_answer(struct core *c, uint64_t op, const struct outcome *o);
struct deployment *deployment_load(struct core *c, const struct row_deployment *row);
void deployment_remove(struct core *c, struct deployment *d, const struct stop_how *how);
/* Frees all at once, with everything in it; for core_free. */
void deployment_free_all(struct core *c);

void deployment_reconcile(struct core *c, struct deployment *d);
uint64_t deployment_deadline(const struct core *c, const struct deployment *d);
/* The row as it is to be stored and shown; borrows from d until the next change. */
const struct row_deployment *deployment_row(struct deployment *d);

#endif
