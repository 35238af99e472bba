// SPDX-License-Identifier: Apache-2.0
/* Between core's effects and the rows of the database: what is written by which statement. */
#ifndef ZL_AGENT_STORE_ROWS_H
#define ZL_AGENT_STORE_ROWS_H

#include "agent/store.h"
#include "agent/store_schema.h"
#include "base/arena.h"

enum { STORE_PARAMS = 14 };

struct store_value {
    enum { STORE_NULL, STORE_INT, STORE_TEXT } type;
    union {
        int64_t i;
        const char *text;
    };
};

/* One statement with its parameters. */
struct store_write {
    enum store_stmt stmt;
    int n;
    struct store_value v[STORE_PARAMS];
};

/* What an effect writes, its texts copied into the arena; check arena->failed afterwards. An effect
 * that is not of the store is INTERNAL. */
int store_write_of(const struct effect *e, int64_t wall_ms, struct zl_arena *arena,
                   struct store_write *ret, struct zl_error *err);
/* Runs it. */
int store_write_run(struct store_db *d, const struct store_write *w, struct zl_error *err);
/* Every row, into memory of `ret`. */
int store_read_all(struct store_db *d, struct stored *ret, struct zl_error *err);

#endif
