// SPDX-License-Identifier: Apache-2.0
/*
 * What core/ keeps in memory; private to it. Three kinds of owners (slot, execution, standalone)
 * each hold at most one instance, and an instance knows its owner. Facts change when an event
 * comes in; then core.c walks all owners until nothing is left to be decided ("reconcile"), so no
 * owner has to foresee in which order the facts arrive. Only what was touched is walked (touch.h).
 *
 * Memory that an effect may point to is never freed within a step: objects are buried, and the
 * graves are emptied at the beginning of the next step.
 */
#ifndef ZL_CORE_MODEL_H
#define ZL_CORE_MODEL_H

#include <sys/queue.h>

#include "base/map.h"
#include "core/core.h"
#include "core/timers.h"
#include "core/view.h"

enum { WHY_MAX = 512, CRASHES_KEPT = 6 };
#define NEVER UINT64_MAX

struct grave {
    struct grave *next;
    void (*free)(struct grave *g); /* g is the first member of its object */
};

/* One service of one document, kept alive by its reference. hash alone: of a container that was
 * found, whose document is not known any more (spec and service are NULL). */
struct version {
    struct spec *spec;
    const struct spec_service *service;
    uint64_t hash;                /* container_hash; of a service's replicas core_replica_hash() */
    char digest[CORE_DIGEST_MAX]; /* of its image; "": not settled */
};

struct health {
    enum health_state state;
    uint32_t failures;      /* consecutive, outside the start grace */
    uint64_t op, op_end;    /* of the probe under way; op 0: none */
    uint64_t next_at;       /* mono; NEVER: no check */
    uint64_t grace_end;     /* mono */
    uint64_t pause;         /* until the next probe, ms */
    uint64_t healthy_since; /* mono; only while HEALTH_HEALTHY */
    char reason[WHY_MAX];
};

/* How hard a stop has been tried; see press_harder() */
enum pressure { PRESS_STOP, PRESS_KILL, PRESS_REMOVE };

struct instance {
    struct grave grave;
    TAILQ_ENTRY(instance) link, moving_link, touched_link;
    struct zl_map_node by_id, by_probe;
    struct timer timer;
    bool moving, touched;
    struct inst_id id;
    struct inst_label label; /* strings in names */
    char *names;
    const char *display; /* "web-rep-1"; in names too */
    struct version version;
    union { /* by label.owner; NULL: nobody's, on its way out */
        void *owner;
        struct slot *slot;
        struct execution *execution;
        struct standalone *standalone;
    };
    enum inst_state state;
    uint64_t op;       /* of the request that is under way; instances share that of a pull */
    uint64_t deadline; /* mono, of op or of a pause between two tries; NEVER: none */
    bool pulled;       /* its image is there: may be created */
    bool hold;         /* start waits for the first attach client */
    bool ended;        /* its process is known not to run */
    bool keep;         /* INST_STOPPING: stay as INST_EXITED */
    bool forced;       /* INST_STOPPING: by SIGKILL from the first */
    uint64_t start_op; /* INST_STOPPING: of a start that was under way; 0: none */
    enum zl_err_kind unstarted; /* INST_STOPPING: why that failed, see why; ZL_OK: it did not */
    enum pressure pressure;
    uint32_t removals_failed;
    int64_t pid, created_ms, started_ms;
    uint64_t up_at; /* mono */
    bool has_exit;
    struct inst_exit exit;
    struct health health;
    char why[WHY_MAX];
};
TAILQ_HEAD(instance_list, instance);

/* The history of crashes of a slot, and what follows from it */
struct supervision {
    uint64_t crashes[CRASHES_KEPT]; /* mono, a ring */
    uint32_t n_crashes;             /* ever */
    uint32_t streak;                /* restarts since it was up for long */
    uint32_t attempts;              /* those that max_attempts counts */
    bool crash_loop;
};

enum slot_state {
    SLOT_WAITING,   /* nothing runs: waits for dependencies or until restart_at */
    SLOT_LIVE,      /* its instance is on the way up, or up */
    SLOT_LEAVING,   /* its instance is on the way out; SLOT_WAITING comes after it */
    SLOT_COMPLETED, /* ended as it should; these three last until the next deploy and keep */
    SLOT_FAILED,    /* the ended container, so that they survive a restart of the agent */
    SLOT_ISOLATED,
    SLOT_STATES
};

struct slot {
    TAILQ_ENTRY(slot) link;
    struct service *service;
    uint32_t index; /* 1-based */
    char *display;  /* "web-rep-1" */
    enum slot_state state;
    struct version version;  /* what its next incarnation is made from */
    struct version previous; /* of a guarded replacement: what to return to */
    bool surge;              /* a rollout made it, to have one more */
    bool guarded;            /* a rollout waits for it: its first failure ends the rollout */
    uint64_t guard_end;      /* mono: the rollout waits no longer */
    struct instance *inst;
    struct supervision supervision;
    uint64_t restart_at; /* mono */
    uint32_t restarts;
    bool has_exit;
    struct inst_exit exit;
    char why[WHY_MAX];
};
TAILQ_HEAD(slot_list, slot);

struct stop_how {
    uint64_t grace_ms; /* 0: the spec's */
    bool force;        /* SIGKILL at once */
    bool keep;         /* the ended container stays */
};

struct schedule; /* schedule.c */

struct execution;
TAILQ_HEAD(execution_list, execution); /* oldest first */

struct service {
    struct grave grave;
    TAILQ_ENTRY(service) link;
    struct schedule *schedule; /* of a cron, else NULL */
    struct deployment *deployment;
    char *name;
    struct version target;
    uint32_t desired;
    struct slot_list slots;     /* by index */
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
TAILQ_HEAD(service_list, service);

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

struct standalone {
    struct grave grave;
    TAILQ_ENTRY(standalone) link, touched_link;
    struct zl_map_node by_id, by_name; /* the latter by a hash of it */
    bool touched;
    struct inst_id id;
    char *name, *text;
    struct spec *spec;
    struct instance *inst; /* NULL: not begun yet, or nothing is left of it */
    bool hold;
    bool stop_wanted, remove_wanted, exited;
    struct stop_how stop_how;
    struct inst_exit exit;
    int64_t created_ms, started_ms;
    bool dirty;
    char error[WHY_MAX];
};

struct effect_list {
    struct effect *v;
    size_t n, cap;
};

struct core {
    struct core_limits limits;
    TAILQ_HEAD(, deployment) deployments;
    TAILQ_HEAD(, standalone) standalones;
    struct instance_list instances; /* in order of birth */
    struct instance_list moving;    /* those that are neither up nor exited; who waits, by age */
    size_t n_objects;               /* instances, standalones, executions, services and replicas */
    struct zl_map instance_ids, standalone_ids, standalone_names, probes; /* the last by op */
    struct timers instance_timers, deployment_timers;
    struct timers schedule_timers; /* by the wall clock, ms */
    struct instance_list touched_instances;
    TAILQ_HEAD(, deployment) touched_deployments;
    TAILQ_HEAD(, standalone) touched_standalones;
    bool restoring;
    struct core_now now; /* of the step */
    uint64_t random;     /* state of core_random */
    uint64_t last_op;
    bool changed; /* something was decided: walk once more */
    bool starved; /* there was no memory for something: try again soon */
    struct effect_list store, requests;
    struct effect spare; /* written to when there is no memory, and dropped */
    struct text *texts;
    struct grave *graves;
};

/* Ids and jitter: splitmix64 over the seed of the event; never 0. */
uint64_t core_random(struct core *c);
/* Frees g at the beginning of the next step. */
void core_bury(struct core *c, struct grave *g);

/* Fills a text of WHY_MAX bytes; what is longer is cut off. What others said need not be text: it
 * is afterwards, so that it can be shown and stored. */
void why_set(char *out, const char *fmt, ...) ZL_PRINTF(2, 3);

/* digest is not settled by it. */
void version_set(struct version *v, const struct spec *spec, const struct spec_service *service);
void version_copy(struct version *to, const struct version *from);
void version_move(struct version *to, struct version *from); /* from is empty afterwards */
void version_clear(struct version *v);

/* min, as deadlines are gathered */
static inline void earlier(uint64_t *deadline, uint64_t at)
{
    if (at < *deadline)
        *deadline = at;
}

#endif
