// SPDX-License-Identifier: Apache-2.0
/*
 * Read-only looks at a core, for the API: flat rows in a stable order, valid until the next
 * core_step. A callback that returns false ends the walk.
 */
#ifndef ZL_CORE_VIEW_H
#define ZL_CORE_VIEW_H

#include "core/core.h"

enum inst_state {
    INST_WAITING, /* for dependencies, a free start permit or the end of a back-off */
    INST_PULLING,
    INST_CREATING,
    INST_STARTING,
    INST_UP,
    INST_STOPPING,
    INST_REMOVING,
    INST_EXITED, /* standalone containers and finished executions that are kept; isolated replicas
                  */
    INST_STATES
};
const char *inst_state_name(enum inst_state s); /* "waiting", "pulling", … */

enum health_state { HEALTH_UNKNOWN, HEALTH_CHECKING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };
const char *health_state_name(enum health_state s);

struct view_container {
    struct inst_id id; /* 0 while a slot waits for its next incarnation */
    struct inst_label label;
    const char *name; /* "web-rep-1"; of executions "<job>-<execution id>" */
    const struct spec_service *service;
    enum inst_state state;
    enum health_state health;
    const char *health_reason; /* of the last failed probe, else "" */
    const char *why;           /* what it waits for or why it failed, in words; "" otherwise */
    int64_t pid;               /* 0: none */
    int64_t created_ms, started_ms;
    uint32_t restarts; /* of the slot since the deploy */
    bool crash_loop;
    bool ended;    /* of a replica: completed, failed or isolated until the next deploy */
    bool has_exit; /* exit is that of this or of the previous incarnation */
    struct inst_exit exit;
};

struct view_service {
    const char *deployment;
    const struct spec_service *service;
    uint32_t desired, running, healthy; /* replicas */
    bool stopped;                       /* by `stop` */
    const char
        *status;     /* "running", "pending", "scaling", "stopped", "failed", jobs: "registered" */
    const char *why; /* "" or the reason of failed and pending */
    int64_t created_ms;
    const char *digest, *previous_digest; /* of its image, of the version before; "": not known */
};

struct view_deployment {
    const struct row_deployment *row;
    enum deployment_status status;
    const char *message; /* of DEP_FAILED, else "" */
    bool ready;          /* every service has what it wants, healthy; jobs are registered */
};

struct view_cron {
    const struct row_cron *row;
    const struct spec_service *service;
    const char *time_zone;
    int64_t next_ms;  /* wall; INT64_MAX: it does not run by itself */
    const char *why;  /* of that; else "" */
    uint32_t running; /* executions that have not ended, waiting ones as well */
    bool has_last;    /* last is row->last_execution, which is kept */
    struct row_execution last;
};

/* The name of an image as a spec has it, or a digest. */
typedef bool (*view_image_fn)(void *arg, const char *image);
typedef bool (*view_container_fn)(void *arg, const struct view_container *v);
typedef bool (*view_service_fn)(void *arg, const struct view_service *v);
typedef bool (*view_deployment_fn)(void *arg, const struct view_deployment *v);
typedef bool (*view_cron_fn)(void *arg, const struct view_cron *v);
typedef bool (*view_execution_fn)(void *arg, const struct row_execution *v);

/* deployment NULL: all. Standalone containers belong to "-". */
void core_each_deployment(const struct core *c, view_deployment_fn fn, void *arg);
void core_each_service(const struct core *c, const char *deployment, view_service_fn fn, void *arg);
void core_each_container(const struct core *c, const char *deployment, view_container_fn fn,
                         void *arg);
/* The one with this id, which is not 0; false: there is none. */
bool core_find_container(const struct core *c, struct inst_id id, struct view_container *ret);
void core_each_execution(const struct core *c, const char *deployment, const char *job,
                         view_execution_fn fn, void *arg); /* newest first */
void core_each_cron(const struct core *c, const char *deployment, view_cron_fn fn, void *arg);
/* Every image that something is made from, or may be made from again: by services and their replica
 * groups, what a replacement may return to, executions, and containers that are left. Names repeat.
 * What a service's image was settled to, now and for the version before, comes as a digest.
 */
void core_each_image(const struct core *c, view_image_fn fn, void *arg);
const char *deployment_status_name(enum deployment_status s);
const char *execution_status_name(enum execution_status s);
const char *execution_cause_name(enum execution_cause cause); /* "cli", "scheduler", … */

#endif
