// SPDX-License-Identifier: Apache-2.0
/* The database itself: its schema and versions, every statement that is ever run on it. */
#ifndef ZL_AGENT_STORE_SCHEMA_H
#define ZL_AGENT_STORE_SCHEMA_H

#include <sqlite3.h>

#include <stdbool.h>

#include "base/error.h"

enum { STORE_VERSION = 4 }; /* PRAGMA user_version */

enum store_stmt {
    STORE_PUT_DEPLOYMENT,
    STORE_DEL_DEPLOYMENT,
    STORE_PUT_EXECUTION,
    STORE_DEL_EXECUTION,
    STORE_PUT_CRON,
    STORE_DEL_CRON,
    STORE_PUT_STANDALONE,
    STORE_DEL_STANDALONE,
    STORE_PUT_EVENT,
    STORE_TRIM_EVENTS,
    STORE_PUT_META,
    STORE_BEGIN,
    STORE_COMMIT,
    STORE_ROLLBACK,
    STORE_ALL_DEPLOYMENTS,
    STORE_ALL_EXECUTIONS,
    STORE_ALL_CRONS,
    STORE_ALL_STANDALONES,
    STORE_ALL_META,
    STORE_STMTS
};

struct store_db {
    sqlite3 *db;
    sqlite3_stmt *stmt[STORE_STMTS];
    const char *path;   /* borrowed; for messages */
    unsigned untrimmed; /* events written since old ones were deleted */
    int log_pages;      /* in the log, as of the last commit; 0: it was looked after since */
    bool syncs_late;    /* what is committed is not on the disk before store_db_sync() */
    bool sync_failed;   /* the disk may have lost what the log has since */
};

/* Opens, checks, brings the schema up to STORE_VERSION and prepares every statement. *ret stays
 * where it is until store_db_close(). */
int store_db_open(const char *path, struct store_db *ret, struct zl_error *err);
void store_db_close(struct store_db *d);
/* "<what>: <SQLite's message>"; INVALID for damage, else SYSTEM. -1. */
int store_db_fail(const struct store_db *d, const char *what, struct zl_error *err);
/* What is committed is on the disk afterwards. May be tried again. */
int store_db_sync(struct store_db *d, struct zl_error *err);
/* Runs a statement without rows, whose parameters are bound, and resets it. */
int store_db_run(struct store_db *d, enum store_stmt which, struct zl_error *err);

#endif
