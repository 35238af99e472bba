// SPDX-License-Identifier: Apache-2.0
/* One run of a job: execution.h. */
#ifndef ZL_CORE_MODEL_EXECUTION_H
#define ZL_CORE_MODEL_EXECUTION_H

#include <sys/queue.h>

#include "core/model/grave.h"
#include "core/model/version.h"
#include "core/text/why.h"

struct deployment;
struct instance;
struct service;

struct execution {
    struct grave grave;
    TAILQ_ENTRY(execution) link, job_link, dirty_link;
    struct deployment *deployment;
    struct service *service; /* its job; NULL: the document has no such job (any more) */
    char *job;
    char *display; /* "migrate-2k7q…" */
    uint64_t id, revision;
    struct version version;       /* what it is made from */
    char digest[CORE_DIGEST_MAX]; /* of the image that was pulled for it; "": not yet, or not known
                                   */
    struct instance *inst;
    enum execution_status status;
    enum execution_cause cause;
    int64_t due_ms;
    bool interrupted; /* failed by no fault of its own: may be run again */
    bool left_debris; /* after a restore: it was begun, and its end is not known */
    int exit_code;
    int64_t created_ms, started_ms, finished_ms;
    uint64_t expires_at; /* mono; NEVER while not terminal */
    bool dirty;
    char reason[WHY_MAX];
};

#endif
