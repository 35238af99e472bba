// SPDX-License-Identifier: Apache-2.0
/*
 * The agent: the shell around core/. It turns what happens into events, lets core decide, stores
 * what core wants stored, and only then begins what core wants begun. One thread, one loop; the
 * store has its own thread.
 */
#ifndef ZL_AGENT_AGENT_H
#define ZL_AGENT_AGENT_H

#include "agent/config.h"
#include "agent/store.h"
#include "agent/withheld.h"
#include "api/server.h"
#include "core/core.h"
#include "image/store.h"
#include "runtime/runtime.h"

struct event_base;
struct steps;
struct requests;
struct waiter;
struct waiters;
struct image_tasks;
struct puller;
struct volumes;

struct agent {
    struct agent_config cfg;
    /* Chosen by who makes the agent: main, or a test. The rest of the struct is zeros before. */
    int (*make_runtime)(struct agent *a, struct runtime **ret, struct zl_error *err);
    const char *const *variables; /* what `$E:NAME` refers to: "NAME=value", NULL-terminated */
    struct event_base *base;
    int root_fd, run_fd, lock_fd, root_lock_fd;
    struct core *core;
    struct store *store;
    struct image_store *images;
    struct volumes *volumes;
    struct runtime *rt;
    struct api_server *api; /* NULL until everything was found again */
    struct steps *steps;
    struct requests *requests;
    struct waiters *waiters;
    struct image_tasks *image_tasks;
    struct puller *puller;
    struct withheld withheld;
    char boot_id[40];
    int64_t started_wall_ms;
    bool rebooted;      /* since the rows were stored */
    bool ready, failed; /* failed: the loop ended because going on would lose something */
};

/* ---- agent.c ---- */

/* Takes the lock, restores what was, finds what runs, serves. On failure agent_stop() is due, too.
 */
int agent_start(struct agent *a, struct zl_error *err);
/* Lets go of everything; containers go on. */
void agent_stop(struct agent *a);

/* ---- steps.c: events in, effects out, in order ---- */

int steps_new(struct agent *a, struct steps **ret, struct zl_error *err);
void steps_free(struct steps *d);
/*
 * Gives the event to core (its seed is set here) and queues what follows from it. done (or NULL) is
 * called on the loop when that is durable, with what core refused or with the id it gave, which is
 * also returned at once (0: none).
 */
uint64_t step_event(struct agent *a, struct event *ev, api_done_fn done, void *arg);

/* Whether all that was decided before is told: events, and clients answered. after: how many
 * transactions there were then. */
bool steps_are_told(const struct agent *a, uint64_t after);
/* The same as step_event() of what a client wishes, which is refused where withheld_check() says
 * so. */
uint64_t step_wish(struct agent *a, const struct event *ev, api_done_fn done, void *arg);

/* ---- recovery.c ---- */

/* Loads the rows, finds what runs, and lets core go on from there. */
int recover(struct agent *a, struct zl_error *err);

/* ---- apiops.c ---- */

extern const struct api_ops agent_ops;

/* ---- ask.c: what clients ask of the runtime, and what is told of it ---- */

/* As ask of struct api_ops. */
void agent_ask(struct agent *a, const struct rt_request *rq, rt_done_fn told, void *arg);
/* An event about a container, "<its name>: <text>"; nothing when core does not know it. */
void agent_tell_container(struct agent *a, struct inst_id id, const char *type, const char *text);

/* ---- waiters.c: clients of `run` that wait for their container to be created ---- */

int waiters_new(struct agent *a, struct waiters **ret, struct zl_error *err);
void waiters_free(struct waiters *w);
/* held is told where the streams of the standalone container are, once it is created. NULL: no
 * memory. */
struct waiter *waiter_new(struct agent *a, api_held_fn held, void *arg);
/* The id that core gave: requests for it may fail before it is stored. */
void waiter_expect(struct waiter *w, struct inst_id id);
/* An api_done_fn: its EV_RUN is durable, or was refused, which ends the waiter. */
void waiter_stored(void *waiter, const struct zl_error *failed, uint64_t id);
/* Something changed: some may have what they wait for. */
void waiters_look(struct agent *a);
/* A request to the runtime for this container failed. */
void waiters_failed(struct agent *a, struct inst_id id, const struct zl_error *why);

/* ---- imagetasks.c: what of api_ops takes its time with images and registries ---- */

int image_tasks_new(struct agent *a, struct image_tasks **ret, struct zl_error *err);
void image_tasks_free(struct image_tasks *i);
void import_begin(struct agent *a, const char *source, const char *reference,
                  api_progress_fn progress, api_done_fn done, void *arg);
void login_begin(struct agent *a, const char *registry, const char *login, api_done_fn done,
                 void *arg);
void image_task_begin(struct agent *a, const struct api_image_task *task, api_progress_fn progress,
                      api_done_fn done, void *arg);
void push_begin(struct agent *a, const char *reference, const char *login, api_progress_fn progress,
                api_done_fn done, void *arg);
void pull_begin(struct agent *a, const struct api_pull *pull, api_progress_fn progress,
                api_done_fn done, void *arg);

#endif
