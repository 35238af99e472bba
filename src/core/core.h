// SPDX-License-Identifier: Apache-2.0
/*
 * The decisions of the agent: what to start, stop and restart, when, and in which order. Sans-I/O:
 * an event goes in, state changes, effects come out. No system call, no clock, no thread; time and
 * randomness come with the event. The same events give the same effects, so that the simulation of
 * tests/sim replays any history.
 *
 * Stored are desired state, executions and standalone containers. What runs is never read from the
 * store: it is found (EV_FOUND).
 */
#ifndef ZL_CORE_CORE_H
#define ZL_CORE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "spec/spec.h"

struct core_now {
    uint64_t mono_ms; /* CLOCK_BOOTTIME */
    int64_t wall_ms;  /* UTC */
};

/* One incarnation of a container. 0 is "none". */
struct inst_id {
    uint64_t v;
};

enum owner_kind { OWNER_REPLICA, OWNER_EXECUTION, OWNER_STANDALONE };

/* Who a container is, as it is written into its record and found again. All strings borrowed. */
struct inst_label {
    enum owner_kind owner;
    const char *deployment; /* "-" for standalone ones */
    const char *service;    /* service or job; the name of a standalone container */
    const char *role;       /* "default" */
    uint32_t index;         /* 1-based slot; 0 unless a replica */
    uint64_t execution;     /* of an execution, else 0 */
    uint64_t spec_hash;     /* of the service it was made from: container_hash; of a replica
                             * core_replica_hash() */
};

enum exit_why { /* what code and signal do not tell */
                EXIT_UNSAID,
                EXIT_TIMEOUT, /* it ran longer than it may */
                EXIT_TRAP,    /* a WebAssembly guest broke a rule */
                EXIT_BROKEN,  /* a WebAssembly guest could not be entered */
};

struct inst_exit {
    int code;   /* 0-255, or 128 + signal */
    int signal; /* 0: it exited by itself */
    bool oom;
    bool lost; /* the monitor died; the code is not known (255) */
    enum exit_why why;
    int64_t wall_ms; /* when */
};
/* " (out of memory)" and the like, for messages; "" when there is nothing to say. */
const char *inst_exit_note(const struct inst_exit *e);

/* ---- events ------------------------------------------------------------------------------- */

enum event_kind {
    EV_TIME,        /* a deadline of core_next_deadline() may have passed */
    EV_DEPLOY,      /* a user deployed a document */
    EV_DOWN,        /* remove a deployment */
    EV_STOP,        /* stop a service, or all (service NULL), until the next deploy */
    EV_RESTART,     /* replace replicas by new ones of the same version */
    EV_JOB_RUN,     /* trigger a job */
    EV_CRON_SET,    /* enable or disable a cron */
    EV_RUN,         /* a standalone container */
    EV_INST_STOP,   /* stop a standalone container or cancel an execution (graceful) */
    EV_INST_REMOVE, /* remove a standalone container; force stops it first */
    EV_ANSWER,      /* of a runtime effect: op says which */
    EV_EXIT,        /* a container's first process ended */
    EV_PROBE,       /* result of EFF_PROBE: op says which */
    EV_FOUND,       /* after a restore: one container that exists */
    EV_FOUND_END,   /* no more of them */
    EV_KINDS
};

struct event {
    enum event_kind kind;
    uint64_t seed; /* fresh random bits, for ids and jitter */
    union {
        struct {
            struct spec *spec;    /* core takes its own reference */
            const char *base_dir; /* kept with the spec; may be NULL */
        } deploy;
        struct {
            const char *deployment, *service;
            uint64_t grace_ms; /* 0: the spec's */
            bool force;
        } down, stop;
        struct {
            const char *deployment;
            const char *service; /* NULL: all that are no jobs */
            uint32_t index; /* of the one replica that is stopped and made anew; 0: all, as by a
                             * deploy that changes them */
        } restart;
        struct {
            const char *deployment, *job;
        } job_run; /* deployment NULL: the only one that has it */
        struct {
            const char *deployment, *cron; /* likewise */
            bool enabled;
        } cron_set;
        struct {
            struct spec *spec; /* of spec_parse_service */
            const char *text;
            bool hold; /* EFF_CREATE says so: start waits for the first attach client */
        } run;
        struct {
            struct inst_id id; /* of a container, or of an execution */
            uint64_t grace_ms;
            bool force;
        } inst;
        struct {
            uint64_t op;
            struct zl_error *failed;  /* NULL: success */
            const char *image_digest; /* of EFF_PULL */
            int64_t pid;              /* of EFF_START */
        } answer;
        struct {
            struct inst_id id;
            struct inst_exit exit;
        } exit;
        struct {
            uint64_t op;
            bool passed;
            const char *reason;
            bool postponed; /* neither: it is paused, and asked again later */
        } probe;
        struct {
            struct inst_id id;
            struct inst_label label;
            const char *image_digest; /* that it was made from; NULL: not known */
            enum found_state { FOUND_CREATED, FOUND_RUNNING, FOUND_EXITED, FOUND_DEBRIS } state;
            int64_t pid, created_wall_ms, started_wall_ms; /* 0: none, not known */
            struct inst_exit exit;                         /* of FOUND_EXITED */
        } found; /* FOUND_DEBRIS: a record without a living monitor or a known end */
        struct {
            bool rebooted; /* the host has, since the rows were stored */
        } found_end;
    };
};

/* ---- effects ------------------------------------------------------------------------------ */

enum effect_kind {
    /* changes of the store: v[0..commit), one transaction */
    EFF_PUT_DEPLOYMENT,
    EFF_DEL_DEPLOYMENT,
    EFF_PUT_EXECUTION,
    EFF_DEL_EXECUTION,
    EFF_PUT_CRON,
    EFF_DEL_CRON,
    EFF_PUT_STANDALONE,
    EFF_DEL_STANDALONE,
    EFF_EVENT, /* a line of `zlayer events` */
    /* requests to the runtime: v[commit..n), begun when the transaction is durable, but for those
     * that are early; answered by EV_ANSWER with the same op, once, late, doubled or never */
    EFF_PULL,
    EFF_CREATE,
    EFF_START,
    EFF_STOP,
    EFF_KILL,
    EFF_REMOVE,       /* EFF_REMOVE ends whatever else
                       * is under way for that container: nothing of it may take effect later */
    EFF_PROBE,        /* answered by EV_PROBE */
    EFF_PROBE_CANCEL, /* nobody waits for op any more */
    EFF_KINDS
};

enum deployment_status { DEP_DEPLOYING, DEP_RUNNING, DEP_FAILED, DEP_STOPPING };
enum execution_status { EXEC_PENDING, EXEC_RUNNING, EXEC_COMPLETED, EXEC_FAILED, EXEC_CANCELLED };
enum execution_cause { CAUSE_USER, CAUSE_SCHEDULE, CAUSE_DEPENDENT, CAUSES };

/*
 * What the name of an image meant is settled by the first pull of a version, and stays: replicas
 * that are made later, by a restart, by scaling or after a boot, are of the same image, and so are
 * the executions of a job. A deploy that changes the service settles it anew; one that changes
 * nothing does so by the pull policy: `always` at once, `newer` when the registry is found to have
 * another one. Of a job, such a policy asks for each execution, and what it finds is settled.
 */
struct row_attempts { /* restarts of a slot that max_attempts counts */
    uint32_t index, attempts;
    struct inst_id counted; /* whose end was the last that counted */
};

struct row_service { /* what a document does not say of its service */
    const char *name;
    int64_t created_ms;          /* 0: not known */
    bool stopped;                /* by `stop` */
    const char *digest;          /* of its image, as settled; "" or NULL: not yet */
    const char *previous_digest; /* of the version before; likewise */
    uint64_t renewals;           /* how often it was settled anew for the same document */
    bool renew; /* a deploy wants the registry to be asked, and it has not answered yet */
    const struct row_attempts *attempts; /* of the slots that have any, in any order */
    size_t n_attempts;
};
enum { CORE_DIGEST_MAX = 80 }; /* with the terminating NUL; "sha256:…" takes 72 */

/* What the label of a replica has as its spec_hash. */
uint64_t core_replica_hash(const struct spec_service *s, uint64_t renewals);

struct row_deployment {
    const char *name;
    uint64_t revision; /* 1, 2, … */
    struct spec
        *spec; /* borrowed in an effect; text is what the store keeps; never NULL in stored_rows */
    const char *base_dir;
    bool removing;                      /* `down` has begun: finish it after a restart */
    const struct row_service *services; /* those of spec, in any order */
    size_t n_services;
    int64_t created_ms, updated_ms;
};

struct row_execution {
    uint64_t id;
    const char *deployment, *job;
    uint64_t revision;
    enum execution_status status;
    const char *reason;                          /* of a failure, else "" */
    const char *digest;                          /* of its image; "" or NULL: not pulled yet */
    int exit_code;                               /* -1: none yet */
    int64_t created_ms, started_ms, finished_ms; /* 0: not yet */
    enum execution_cause cause;
    int64_t due_ms; /* of CAUSE_SCHEDULE: the time that the schedule names; else 0 */
};

/*
 * How far a schedule has come. It is stored in one transaction with the executions that follow from
 * it, so that a due time is decided once, whenever the agent is killed.
 */
struct row_cron {
    const char *deployment, *cron;
    bool disabled;
    int64_t cursor_s; /* UTC: due times up to it have been decided */
    int64_t high_s;   /* the highest cursor ever: above cursor_s once the clock was set far back */
    uint64_t jitter_seed;
    int64_t last_run_ms; /* when the last execution was made, of whatever cause; 0: none yet */
    uint64_t last_execution;
    uint64_t runs, missed, skipped; /* due times, ever: run, let go by catch_up, by overlap */
};

struct row_standalone {
    struct inst_id id;       /* of its incarnation */
    const char *name, *text; /* the service mapping as it was sent */
    struct spec *spec;       /* borrowed in an effect; of text in stored_rows */
    bool remove_wanted, stop_wanted;
    bool exited;
    struct inst_exit
        exit;          /* of one that could not start: code 127, 126 or 125, as error says why */
    const char *error; /* why it could not start, else "" */
    int64_t created_ms, started_ms;
};

struct effect {
    enum effect_kind kind;
    bool early; /* of runtime requests: may begin before the store is written; what a kill leaves of
                 * it is found and cleared away, or does not matter */
    bool soon;  /* of runtime requests: may begin when the store is written, before a disk has it:
                 * nothing that it does outlives the host, and nobody was told */
    uint64_t op;          /* of runtime requests: unique for the life of a core, never 0 */
    uint64_t logs_kept_s; /* EFF_DEL_DEPLOYMENT, EFF_DEL_STANDALONE: for how long what its
                           * containers wrote can still be read; 0: it goes with them */
    struct inst_id inst;
    union {
        struct row_deployment deployment;
        struct row_execution execution;
        struct row_cron cron;
        struct row_standalone standalone;
        struct {
            const char *type, *deployment, *service, *text;
            struct inst_id inst;
        } event;
        struct {
            const char *image;
            const char *digest; /* what it means; NULL: whatever the policy finds */
            enum spec_pull policy;
        } pull;
        /* spec: the one that service is of, so that who carries the effect out later can keep it */
        struct {
            struct inst_label label;
            const struct spec_service *service;
            const char *image_digest; /* as the pull answered; NULL: by its name */
            bool hold;
            const struct spec *spec;
        } create;
        struct {
            int signal;
            uint64_t grace_ms;
        } stop; /* signal 0: the image's; grace_ms as it is
                 * to be used, 0: SIGKILL at once. EFF_KILL: signal, to all processes */
        struct {
            const struct spec_service *service;
            struct inst_label label;
            const struct spec *spec;
        } probe;
    };
};

/* Pointers in effects are valid until the next call on the same core. */
struct effects {
    struct effect *v;
    size_t n, commit, cap;
    /* What the asker of EV_DEPLOY … EV_INST_REMOVE is told: an error, or the id that was given to
     * the execution or container. */
    struct zl_error refused; /* kind ZL_OK: accepted */
    uint64_t given_id;
};

/* ---- the machine -------------------------------------------------------------------------- */

struct core;

struct stored_rows {
    const struct row_deployment *deployments;
    const struct row_execution *executions;
    const struct row_standalone *standalones;
    size_t n_deployments, n_executions, n_standalones;
    const struct row_cron *crons;
    size_t n_crons;
};

struct core_limits {                /* 0: the default that stands behind it */
    uint32_t max_concurrent_starts; /* 10 */
    uint64_t stabilize_timeout_ms;  /* 30 s, longer when health checks need it */
    uint32_t executions_kept;       /* 10 per job */
    uint64_t executions_kept_ms;    /* 1 h */
};

struct core *core_new(const struct core_limits *limits); /* NULL: no memory */
void core_free(struct core *c);
/* Loads what was stored, before the first step; then EV_FOUND for each container and EV_FOUND_END.
 * Until EV_FOUND_END nothing is started or removed, and users are refused. Without a restore a core
 * begins empty and at once. -1: no memory; the core may only be freed. */
int core_restore(struct core *c, const struct stored_rows *rows, struct core_now now,
                 struct zl_error *err);
/* out is reset first (zeroed before its first use); effects_done frees it at last. */
void core_step(struct core *c, struct core_now now, const struct event *ev, struct effects *out);
/* When EV_TIME is due, in mono_ms; UINT64_MAX: never. */
uint64_t core_next_deadline(const struct core *c);
/* When it is due by the wall clock, in wall_ms; INT64_MAX: never. It is due as well whenever that
 * clock is set. */
int64_t core_next_wall(const struct core *c);
void effects_done(struct effects *out);

const char *effect_kind_name(enum effect_kind k);
const char *event_kind_name(enum event_kind k);

#endif
