// SPDX-License-Identifier: Apache-2.0
/*
 * The world that core/ is let loose on: a store, a runtime with containers that behave like real
 * ones, clocks, and faults. Everything comes from one seed, so a history can be played again.
 *
 * The world knows nothing of core's memory. What core wants arrives as effects; what happens is
 * told to it as events; whether it did right is judged by check.c from what the world itself knows.
 */
#ifndef ZL_TESTS_SIM_WORLD_H
#define ZL_TESTS_SIM_WORLD_H

#include "core/core.h"
#include "core/view.h"

enum {
    CONTAINERS_MAX = 192,
    ITEMS_MAX = 768,
    ROWS_MAX = 512,
    CRONS_MAX = 16,
    NAMES_MAX = 64,
    WORDS_MAX = 32,
    IMAGES_MAX = 16,
};

/* ---- images: how their containers behave -------------------------------------------------- */

struct image {
    const char *name;
    bool good; /* a service of it can run healthily for ever; a job of it completes */
    bool pulls, starts;
    uint64_t life_ms; /* it ends by itself after that; 0: never */
    int code;         /* then */
    bool healthy;
    uint64_t warm_up_ms; /* until probes pass */
    bool stubborn;       /* ignores the stop signal */
};
extern const struct image images[];
extern const size_t n_images;
const struct image *image_named(const char *name);

/* What tags mean, as the how-manieth push: at the registry, and in the local store (0: nothing). */
struct tags {
    uint32_t published[IMAGES_MAX], local[IMAGES_MAX];
};

/* ---- what exists -------------------------------------------------------------------------- */

enum container_state { C_CREATED, C_RUNNING, C_EXITED, C_DEBRIS };

struct container {
    struct inst_id id;
    enum owner_kind owner;
    char deployment[WORDS_MAX], service[WORDS_MAX];
    uint32_t index;
    uint64_t execution, spec_hash;
    const struct image *image;
    char digest[WORDS_MAX]; /* what it was made from: "ok-1 as of 3"; "" by its name */
    uint64_t interval_ms;
    bool checked;
    enum container_state state;
    struct inst_exit exit;
    uint64_t started_at; /* mono */
    int64_t started_wall_ms;
    bool stray;    /* put there by the world, not by core */
    bool unwanted; /* core asked to stop, kill or remove it */
    bool known_up; /* core was told that it runs, and not that it ended */
    bool told_end; /* core was told that it ended */
    bool healthy;  /* by the results that core was told */
    uint32_t retries, failures;
    uint64_t probe_op;
    size_t condemned_in; /* step in which core asked to stop it, begun or not */
};

/* ---- what is stored ----------------------------------------------------------------------- */

struct stored_deployment {
    bool used;
    struct row_deployment row;
    char name[WORDS_MAX];
    char service_names[8][WORDS_MAX];
    char digests[8][2][WORDS_MAX];
    struct row_attempts attempts[8][16];
    struct row_service services[8];
};
struct stored_execution {
    bool used;
    struct row_execution row;
    char deployment[WORDS_MAX], job[WORDS_MAX], reason[256], digest[WORDS_MAX];
};
struct stored_cron {
    bool used;
    struct row_cron row;
    char deployment[WORDS_MAX], cron[WORDS_MAX];
};
struct stored_standalone {
    bool used;
    struct row_standalone row;
    char name[WORDS_MAX], error[256];
};
struct store {
    struct stored_deployment deployments[8];
    struct stored_execution executions[ROWS_MAX];
    struct stored_cron crons[CRONS_MAX];
    struct stored_standalone standalones[16];
};
void store_apply(struct store *s, const struct effect *e);
void store_clear(struct store *s);
struct stored_deployment *store_deployment(struct store *s, const char *name); /* or NULL */
struct stored_execution *store_execution(struct store *s, uint64_t id);
struct stored_cron *store_cron(struct store *s, const char *deployment, const char *cron);
struct stored_standalone *store_standalone(struct store *s, struct inst_id id);

/* ---- what is going to happen -------------------------------------------------------------- */

enum item_kind { ITEM_EFFECT, ITEM_ANSWER, ITEM_PROBE, ITEM_END, ITEM_EXIT, ITEM_KINDS };
enum answer_how { ANSWER_ONCE, ANSWER_NEVER, ANSWER_TWICE };

struct item {
    uint64_t at, order;
    enum item_kind kind;
    uint64_t generation; /* of the agent that waits for it; 0: of the container itself */
    enum effect_kind request;
    uint64_t op;
    struct inst_id id;
    enum answer_how how;
    bool fails; /* ITEM_EFFECT: by a fault */
    bool ok;    /* ITEM_ANSWER, ITEM_PROBE */
    enum zl_err_kind err;
    const char *text;
    char digest[WORDS_MAX]; /* EFF_PULL: what is wanted; its ITEM_ANSWER: what was found */
    enum spec_pull policy;
    uint64_t grace_ms;
    int signal;
    struct inst_exit exit;
    struct container wanted; /* of EFF_CREATE */
};

/* ---- the world ---------------------------------------------------------------------------- */

struct rng {
    uint64_t state;
};
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n);
bool rng_one_in(struct rng *r, uint64_t n); /* false for n 0 */

struct checks; /* check.h */

struct world {
    struct rng rng;
    uint64_t seed;
    bool faults, verbose;
    uint64_t mono_ms;
    int64_t wall_offset_ms;
    struct core *core;   /* NULL: the agent is dead */
    uint64_t generation; /* of the agent, from 1 */
    bool rebooted;       /* since the agent died */
    struct effects out;
    struct container containers[CONTAINERS_MAX]; /* the first n_containers */
    size_t n_containers;
    struct item items[ITEMS_MAX];
    size_t n_items;
    uint64_t orders;
    struct store store;
    struct tags tags;
    struct checks *checks;
    size_t steps;
    uint64_t last_op_seen;
    uint64_t digest; /* of all that core has said: digest.h */
};

void world_init(struct world *w, uint64_t seed, struct checks *checks, bool verbose);
void world_done(struct world *w);
struct core_now world_now(const struct world *w);

struct container *world_container(struct world *w, struct inst_id id); /* or NULL */
struct container *world_add(struct world *w, const struct container *like);
void world_drop(struct world *w, struct container *c); /* the last one moves to its place */
/* Gives the event to core and carries the effects out; under faults the agent may be killed after
 * any prefix of them. */
void world_step(struct world *w, struct event *ev);
/* The next thing that happens, or the next deadline of core; moves the clock. False: nothing is
 * left. */
bool world_advance(struct world *w);
/* The wall clock is set; core is told, if there is one. */
void world_set_clock(struct world *w, int64_t by_ms);
void world_kill_agent(struct world *w);
void world_start_agent(struct world *w);
void world_reboot(struct world *w); /* the agent has to be dead */
/* A container that core has not made, as a torn transaction or another agent might leave it. */
void world_put_stray(struct world *w);
/* Somebody pushes another image by a name. */
void world_move_tag(struct world *w);
/* Somebody removes a container by hand, while the agent is dead. */
void world_lose_one(struct world *w);
bool world_has_requests(const struct world *w); /* other than probes */

void world_log(const struct world *w, const char *fmt, ...) ZL_PRINTF(2, 3);

#endif
