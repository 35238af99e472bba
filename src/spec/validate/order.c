// SPDX-License-Identifier: Apache-2.0
/*
 * Kahn's algorithm with a heap of those that are ready, so the lowest index goes first. What is
 * left over in the end has an unmet dependency that is left over too; following these must come
 * round.
 */
#include "spec/validate/order.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"

struct graph {
    const struct order_edge *edges;
    size_t n;
    size_t *first;      /* [n + 1]: edges of i are edges[first[i]] to edges[first[i + 1]] */
    size_t *users;      /* who depends on i: users[first_user[i]] to users[first_user[i + 1]] */
    size_t *first_user; /* [n + 2] */
    size_t *waits;      /* [n]: dependencies that are not in the order yet */
    size_t *heap;       /* [n]; also the trail of find_cycles */
    size_t n_heap;
};

static void heap_push(struct graph *g, size_t x)
{
    size_t i = g->n_heap++;
    for (; i > 0 && g->heap[(i - 1) / 2] > x; i = (i - 1) / 2)
        g->heap[i] = g->heap[(i - 1) / 2];
    g->heap[i] = x;
}

static size_t heap_pop(struct graph *g)
{
    size_t top = g->heap[0], last = g->heap[--g->n_heap], i = 0;
    for (size_t child = 1; child < g->n_heap; child = 2 * i + 1) {
        if (child + 1 < g->n_heap && g->heap[child + 1] < g->heap[child])
            child++;
        if (g->heap[child] >= last)
            break;
        g->heap[i] = g->heap[child];
        i = child;
    }
    g->heap[i] = last;
    return top;
}

static void index_edges(struct graph *g, size_t n_edges)
{
    for (size_t e = 0; e < n_edges; e++) {
        g->first[g->edges[e].from + 1]++;
        g->first_user[g->edges[e].to + 2]++;
    }
    for (size_t i = 0; i < g->n; i++) {
        g->waits[i] = g->first[i + 1];
        g->first[i + 1] += g->first[i];
        g->first_user[i + 2] += g->first_user[i + 1];
    }
    for (size_t e = 0; e < n_edges; e++) /* advances each start to where the next one's is */
        g->users[g->first_user[g->edges[e].to + 1]++] = g->edges[e].from;
}

static size_t sort_graph(struct graph *g, size_t *order)
{
    size_t done = 0;
    for (size_t i = 0; i < g->n; i++) {
        if (!g->waits[i])
            heap_push(g, i);
    }
    while (g->n_heap) {
        size_t i = heap_pop(g);
        order[done++] = i;
        for (size_t u = g->first_user[i]; u < g->first_user[i + 1]; u++) {
            if (--g->waits[g->users[u]] == 0)
                heap_push(g, g->users[u]);
        }
    }
    return done;
}

/* The cycle trail[0..n), turned so that its lowest index is first. out has room for n. */
static void turn_cycle(const size_t *trail, size_t n, size_t *out)
{
    size_t low = 0;
    for (size_t i = 1; i < n; i++)
        low = trail[i] < trail[low] ? i : low;
    memcpy(out, trail + low, (n - low) * sizeof *out);
    memcpy(out + (n - low), trail, low * sizeof *out);
}

static size_t unmet_dependency(const struct graph *g, size_t i)
{
    size_t e = g->first[i];
    while (!g->waits[g->edges[e].to])
        e++;
    return g->edges[e].to;
}

static void find_cycles(struct graph *g, order_cycle_fn on_cycle, void *arg)
{
    size_t *trail = g->heap;  /* nobody is ready any more */
    size_t *cycle = g->users; /* nor are users asked for */
    size_t *seen = g->first_user;
    memset(seen, 0, g->n * sizeof *seen);
    for (size_t start = 0; start < g->n; start++) {
        size_t n = 0, i = start;
        for (; g->waits[i] && !seen[i]; i = unmet_dependency(g, i)) {
            seen[i] = start + 1;
            trail[n++] = i;
        }
        if (!n || seen[i] != start + 1)
            continue; /* done, or the trail ran into one that was followed before */
        size_t entry = 0;
        while (trail[entry] != i)
            entry++;
        turn_cycle(trail + entry, n - entry, cycle);
        on_cycle(arg, cycle, n - entry);
    }
}

enum order_result order_compute(const struct order_edge *edges, size_t n_edges, size_t n,
                                size_t *order, order_cycle_fn on_cycle, void *arg)
{
    struct graph g = { .edges = edges, .n = n };
    size_t words = (n + 1) + (n_edges + n) + (n + 2) + n + n;
    zl_autofree size_t *memory = calloc(words, sizeof *memory);
    if (!memory)
        return ORDER_NO_MEMORY;
    g.first = memory;
    g.users = g.first + n + 1; /* n more than edges: room for a cycle */
    g.first_user = g.users + n_edges + n;
    g.waits = g.first_user + n + 2;
    g.heap = g.waits + n;

    index_edges(&g, n_edges);
    if (sort_graph(&g, order) == n)
        return ORDER_OK;
    find_cycles(&g, on_cycle, arg);
    return ORDER_CYCLES;
}
