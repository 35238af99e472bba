// SPDX-License-Identifier: Apache-2.0
/*
 * The test double: a runtime that works, but in memory only. Every request is answered on the next
 * turn of the loop, as a real one would at best; a script makes single ones fail or hang. For tests
 * of whatever stands above a runtime.
 */
#ifndef ZL_RUNTIME_DOUBLE_H
#define ZL_RUNTIME_DOUBLE_H

#include "runtime/runtime.h"

int double_new(struct event_base *base, struct runtime **ret, struct zl_error *err);

/* The next request of this kind fails so; several queue up. */
void double_fail_next(struct runtime *rt, enum rt_kind kind, enum zl_err_kind why,
                      const char *text);
/* The next request of this kind is never answered (but can be cancelled). */
void double_hang_next(struct runtime *rt, enum rt_kind kind);

/* Containers that exist before it is watched. The label's strings are copied. */
void double_add(struct runtime *rt, struct inst_id id, const struct inst_label *label,
                enum found_state state, int64_t pid);
/* The first process of this container ends. */
void double_exit(struct runtime *rt, struct inst_id id, int code);

struct double_container {
    struct inst_id id;
    struct inst_label label;
    enum found_state state;
    int64_t pid; /* 0: not started */
};
/* What exists now; false ends the walk. */
typedef bool (*double_fn)(void *arg, const struct double_container *c);
void double_each(struct runtime *rt, double_fn fn, void *arg);
/* How many requests of this kind were made. */
unsigned double_count(const struct runtime *rt, enum rt_kind kind);

#endif
