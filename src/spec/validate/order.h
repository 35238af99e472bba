// SPDX-License-Identifier: Apache-2.0
/* Start order: dependencies first, ties as in the file. Plain indices; knows nothing of documents.
 */
#ifndef ZL_SPEC_VALIDATE_ORDER_H
#define ZL_SPEC_VALIDATE_ORDER_H

#include <stddef.h>

struct order_edge {
    size_t from, to; /* from depends on to; from != to */
};

/* A cycle: each member depends on the next, the last on the first; the lowest index is first. */
typedef void (*order_cycle_fn)(void *arg, const size_t *members, size_t n);

enum order_result { ORDER_OK, ORDER_CYCLES, ORDER_NO_MEMORY };
/*
 * Fills order[n]. edges are sorted by from. With cycles, order is incomplete and on_cycle was
 * called for each one that was found, at least once.
 */
enum order_result order_compute(const struct order_edge *edges, size_t n_edges, size_t n,
                                size_t *order, order_cycle_fn on_cycle, void *arg);

#endif
