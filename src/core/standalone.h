// SPDX-License-Identifier: Apache-2.0
/*
 * Containers of `zlayer run`: begun once, never restarted; what is left of them stays until it is
 * removed, or goes at once with delete_on_exit.
 */
#ifndef ZL_CORE_STANDALONE_H
#define ZL_CORE_STANDALONE_H

#include "core/core.h"

struct instance;
struct standalone;
struct stop_how;

struct standalone *standalone_find(const struct core *c, struct inst_id id); /* or NULL */
/* A new one, of the only service of spec; *ret_id is its id. -1: the name is taken, no memory. */
int standalone_run(struct core *c, struct spec *spec, const char *text, bool hold,
                   struct inst_id *ret_id, struct zl_error *err);
struct standalone *standalone_load(struct core *c, const struct row_standalone *row);
void standalone_stop(struct core *c, struct standalone *a, const struct stop_how *how);
/* -1: it runs, and force was not asked for. */
int standalone_remove(struct core *c, struct standalone *a, const struct stop_how *how,
                      struct zl_error *err);
void standalone_adopt(struct core *c, struct standalone *a, struct instance *i);
/* After a restore: what ran and left no trace has ended. */
void standalone_settle_restored(struct core *c, struct standalone *a);
void standalone_reconcile(struct core *c, struct standalone *a);
void standalone_row(const struct standalone *a, struct row_standalone *ret); /* borrows from a */
void standalone_free_all(struct core *c);

#endif
