// SPDX-License-Identifier: Apache-2.0
/*
 * What users ask: EV_DEPLOY … EV_INST_REMOVE. Each finds what is named, notes the wish there or
 * fills out->refused; what follows from the wish is found in the walk.
 */
#ifndef ZL_CORE_REQUEST_H
#define ZL_CORE_REQUEST_H

#include "core/core.h"

void request_deploy(struct core *c, const struct event *ev, struct effects *out);
void request_down(struct core *c, const struct event *ev, struct effects *out);
void request_stop(struct core *c, const struct event *ev, struct effects *out);
void request_restart(struct core *c, const struct event *ev, struct effects *out);
void request_job_run(struct core *c, const struct event *ev, struct effects *out);
void request_cron_set(struct core *c, const struct event *ev, struct effects *out);
void request_run(struct core *c, const struct event *ev, struct effects *out);
void request_inst_stop(struct core *c, const struct event *ev, struct effects *out);
void request_inst_remove(struct core *c, const struct event *ev, struct effects *out);

#endif
