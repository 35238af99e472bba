// SPDX-License-Identifier: Apache-2.0
/* The services of one document: deployment.h. */
#ifndef ZL_CORE_MODEL_DEPLOYMENT_H
#define ZL_CORE_MODEL_DEPLOYMENT_H

#include <sys/queue.h>

#include "core/model/grave.h"
#include "core/model/instance.h"
#include "core/model/service.h"
#include "core/text/why.h"
#include "core/timers.h"

TAILQ_HEAD(service_list, service);

struct deployment {
    struct grave grave;
    TAILQ_ENTRY(deployment) link, touched_link;
    struct timer timer;
    bool touched;
    char *name, *base_dir;
    struct spec *spec;
    uint64_t revision;
    bool removing;
    struct stop_how remove_how;
    struct service_list services;
    struct execution_list executions;
    struct execution_list dirty_executions; /* by dirty_link, in the order in which they changed */
    bool orphans; /* there are executions without a job: on their way out */
    enum deployment_status status;
    char message[WHY_MAX];
    bool settled;          /* since the last deploy it was DEP_RUNNING, or was not in time */
    uint64_t steady_since; /* mono, NEVER: is not */
    uint64_t progress_at;  /* mono: from here the stabilization time-out counts */
    bool progressing;      /* something was on its way when it was looked at last */
    int64_t created_ms, updated_ms;
    struct row_service *service_rows; /* room for one per service of spec */
    struct row_deployment row;
    bool dirty;
};

#endif
