// SPDX-License-Identifier: Apache-2.0
/* One service, job or cron of a deployment: service.h, job.h, schedule.h. */
#ifndef ZL_CORE_MODEL_SERVICE_H
#define ZL_CORE_MODEL_SERVICE_H

#include <sys/queue.h>

#include "core/core.h"
#include "core/model/grave.h"
#include "core/model/instance.h"
#include "core/model/version.h"
#include "core/text/why.h"

struct deployment;
struct execution;
struct schedule;
struct slot;
TAILQ_HEAD(execution_list, execution); /* oldest first */
TAILQ_HEAD(slot_list, slot);           /* by index */

struct service {
    struct grave grave;
    TAILQ_ENTRY(service) link;
    struct schedule *schedule; /* of a cron, else NULL */
    struct deployment *deployment;
    char *name;
    struct version target;
    uint32_t desired;
    struct slot_list slots;
    struct execution_list runs; /* of a job; by job_link */
    bool depended_on;           /* by others of the present document */
    bool absent;                /* of an older document: goes when the others are settled */
    bool stopped;               /* by a user, until the next deploy */
    bool shutdown;              /* on_panic: shutdown */
    struct stop_how stop_how;
    bool pulled;                           /* the image of target was pulled: restarts need not */
    char previous_digest[CORE_DIGEST_MAX]; /* of the version before target; "": not known */
    uint64_t renewals;
    struct { /* asking whether the registry has another image than target.digest */
        bool wanted;
        uint64_t op, deadline; /* mono; op 0: not asked yet */
    } renew;
    /* dependencies: looked at until released or given up, once per version */
    bool released, gave_up;
    uint64_t wait_since;    /* mono */
    uint64_t settled_at;    /* mono, when released or given up; 0: not yet */
    uint64_t wait_deadline; /* mono, of the next time-out */
    bool *waived;           /* per dependency: timed out, but not fatal */
    bool rollout_failed;
    struct row_attempts *attempts; /* attempts.h */
    size_t n_attempts;
    int64_t created_ms;
    char why[WHY_MAX]; /* of gave_up, rollout_failed, shutdown, or what it waits for */
};

/* The one of the present document, else one that is on its way out; or NULL. */
struct service *service_find(const struct deployment *d, const char *name);
bool service_is_job(const struct service *s);
/* A user's will is that it is not there (any more). */
bool service_is_dismissed(const struct service *s);
/* It is to have no replicas (any more). */
bool service_unwanted(const struct service *s);
bool service_failed(const struct service *s); /* why says it */
/* The first slot within the asked number that is not made from the present version; or NULL. */
struct slot *service_first_outdated(const struct service *s);

#endif
