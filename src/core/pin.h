// SPDX-License-Identifier: Apache-2.0
/*
 * What the name of a service's image means: settled by the first pull of a version, kept for all
 * of its replicas, and settled anew by deploys (struct row_service says when). The same for the
 * executions of a job; but with the policies `always` and `newer` each of them asks again.
 */
#ifndef ZL_CORE_PIN_H
#define ZL_CORE_PIN_H

#include "core/core.h"

struct service;
struct version;

/* Whether this new document of s replaces the replicas that there are. */
bool pin_is_renewed_by(const struct service *s, const struct spec_service *service);
/* It is taken: sets s->target. */
void pin_retarget(struct service *s, const struct spec *spec, const struct spec_service *service);
/* The same version, and other replicas of it: to be stored. */
void pin_restart(struct service *s);
/* The image has changed: digest is what is settled from now on, for other replicas. */
void pin_settle_anew(struct service *s, const char *digest);
/* The image of v was pulled for a replica of s; v becomes what is settled. */
void pin_pulled(struct service *s, struct version *v);

/* What an execution of job that begins now is to be made of; v is its version. */
void pin_execution(const struct service *job, struct version *v);
/* The image of v was pulled for an execution of job; v becomes what is settled. */
void pin_execution_pulled(struct service *job, struct version *v);

/* A replica of version v exists: what is not settled yet is what it was made from. */
void pin_known(struct service *s, const struct version *v);

void pin_recall(struct service *s, const struct row_service *row);
void pin_row(const struct service *s, struct row_service *ret); /* borrows from s */

#endif
