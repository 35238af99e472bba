// SPDX-License-Identifier: Apache-2.0
/*
 * What must survive: desired state, executions, how far schedules are, standalone containers,
 * recent events, in one SQLite database (WAL). Read once, at start. Written by one thread of its
 * own, which takes whatever has queued up as one SQLite transaction (one fdatasync for all of it),
 * so that the loop never waits for a disk. A write that fails (full disk) is logged and tried again
 * every second: what core decided is not lost, and nothing that builds on it is begun meanwhile.
 *
 * A transaction is first *written*: the kernel has it, and no kill of this process takes it away.
 * Then it is *durable*: the disk has it, and no power cut does.
 *
 * All calls on the loop's thread.
 */
#ifndef ZL_AGENT_STORE_H
#define ZL_AGENT_STORE_H

#include "core/core.h"

struct store;

#define STORE_FILE "state.db"
/* Of events, at least; up to STORE_TRIM_EVERY more. */
enum { STORE_EVENTS_KEPT = 1000, STORE_TRIM_EVERY = 64 };

/*
 * Opens or makes <root_dir>/state.db and starts the writer. INVALID: the file is damaged or no
 * database; UNSUPPORTED: a newer zlayer wrote it. Neither is ever touched.
 */
int store_open(const char *root_dir, struct store **ret, struct zl_error *err);
/* Writes what is queued, as far as the disk lets it, and ends. done callbacks are not called. */
void store_free(struct store *s);
ZL_DEFINE_CLEANUP(struct store *, store_free)
#define autostore ZL_CLEANUP(store_freep)

/* What was stored. Rows point into it. */
struct stored {
    struct row_deployment *deployments; /* spec is NULL: to be parsed from texts[i] */
    struct row_execution *executions;
    struct row_cron *crons;
    struct row_standalone *standalones; /* spec is NULL: to be parsed from text */
    const char **texts;                 /* of the deployments */
    size_t n_deployments, n_executions, n_crons, n_standalones;
    char boot_id[40]; /* of the host when something was last stored; "" at first */
    struct zl_arena *memory;
};

/* To be called before anything is queued. */
int store_load(struct store *s, struct stored **ret, struct zl_error *err);
void stored_free(struct stored *st); /* the specs in it are the caller's to unref before */
ZL_DEFINE_CLEANUP(struct stored *, stored_free)
#define autostored ZL_CLEANUP(stored_freep)

typedef void (*store_done_fn)(void *arg);
/*
 * Queues the changes v[0..n) (effects before `commit`) as one transaction; all is copied. done is
 * called by store_reap() when it is durable; transactions are written, and become durable, in the
 * order of the calls. The writer need not begin on it before store_flush().
 * Fails only for lack of memory.
 */
int store_queue(struct store *s, const struct effect *v, size_t n, int64_t wall_ms,
                store_done_fn done, void *arg, struct zl_error *err);
void store_flush(struct store *s);

/* How many transactions were queued so far. */
uint64_t store_queued(const struct store *s);
/* How many of them are written: the oldest. */
uint64_t store_written(struct store *s);
/* Whether the first n are. If not, store_fd() becomes readable when they are. */
bool store_await_written(struct store *s, uint64_t n);
/* Remembers the boot. Queued like a transaction; does nothing when it is remembered already. */
int store_put_boot_id(struct store *s, const char *boot_id, struct zl_error *err);

int store_fd(const struct store *s); /* borrowed; readable: call store_reap */
void store_reap(struct store *s);

#endif
