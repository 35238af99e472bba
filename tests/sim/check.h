// SPDX-License-Identifier: Apache-2.0
/*
 * The invariants of docs/architecture.md ("decide / do"), judged from outside of core. The user's
 * wishes are kept as they became durable.
 */
#ifndef ZL_TESTS_SIM_CHECK_H
#define ZL_TESTS_SIM_CHECK_H

#include "doc.h"
#include "world.h"

enum {
    WISHES_MAX = 4,
    SLOTS_MAX = 8,
    EDGES_MAX = 4,
    CREATES_MAX = 7,
    RUNS_MAX = 1024,
    FIRED_MAX = 4096
};

/* When the containers of one slot were made, one version and one agent long */
struct slot_history {
    uint64_t hash;
    uint64_t creates[CREATES_MAX]; /* mono, the oldest first */
    uint32_t n_creates;            /* ever; the last CREATES_MAX are kept */
    uint32_t streak;               /* without a pause that may have been ten minutes up */
};

/* What is known of a service of a deployed document */
struct service_wish {
    bool stopped;
    bool created;         /* something of the present version was made since the deploy */
    bool held[EDGES_MAX]; /* the dependency was seen in the asked condition */
    uint64_t since;       /* mono, of the deploy that brought this version */
    uint64_t pin_hash;    /* of the version that digest is of; 0: nothing was made since */
    char digest[WORDS_MAX];
    struct slot_history slots[SLOTS_MAX];
};

struct wish { /* one deployment */
    bool used, removing;
    char name[WORDS_MAX];
    struct spec *spec;
    uint64_t revision;
    struct service_wish services[DOC_SERVICES]; /* as spec->services */
};

struct run_count {
    uint64_t execution;
    uint32_t starts;
    bool stored;
    enum execution_status status;
};

/* A due time that became an execution. */
struct fired {
    char deployment[WORDS_MAX], cron[WORDS_MAX];
    int64_t due_s;
    int64_t wall_offset_ms; /* of the world, then */
    uint64_t life;
};

struct checks {
    struct wish wishes[WISHES_MAX];
    struct run_count runs[RUNS_MAX];
    size_t n_runs;
    struct fired fired[FIRED_MAX]; /* the last n_fired, round and round */
    size_t n_fired;
    uint64_t life; /* how many crons were forgotten: others of their names begin anew */
    bool finding;
    size_t violations;
    char first[512]; /* violation */
};

void check_reset(struct checks *k);
void violation(struct world *w, const char *fmt, ...) ZL_PRINTF(2, 3);

struct wish *wish_find(struct checks *k, const char *deployment);
/* The hash of replicas that are as this document of a deployment says. */
uint64_t wish_hash(struct world *w, const char *deployment, const struct spec_service *s);
const struct spec_service *wish_service(const struct wish *d, const char *name,
                                        struct service_wish **ret);
void wish_health(struct world *w, struct container *c, bool any_version);
void wish_granted(struct world *w, const struct event *ev); /* it was accepted, and is durable */

/* Before the effects of a step are begun. */
void check_effects(struct world *w, const struct event *ev);
/* A request is begun; a change is stored; a process began. */
void check_begun(struct world *w, const struct effect *e);
void check_store(struct world *w, const struct effect *e);
void check_started(struct world *w, struct container *c);
void check_ended(struct world *w, struct container *c); /* core is about to be told of its end */
void check_found(struct world *w, const struct container *c);
void check_agent_started(struct world *w);
void check_step(struct world *w); /* after each */
/* ---- check_cron.c: schedules ---- */
/* Before the effects of a step are carried out. */
void check_schedules(struct world *w, const struct event *ev);
void check_schedule_stored(struct world *w, const struct effect *e); /* it is about to be */
void check_cron_views(struct world *w);                              /* after it */

/* All is as wished, and nothing is under way; why not, else. */
bool check_converged(struct world *w, char *why, size_t size);
bool container_is_healthy(const struct container *c);

#endif
