// SPDX-License-Identifier: Apache-2.0
/* Deadlines of many objects and which comes first: a binary heap of links within them. */
#ifndef ZL_CORE_TIMERS_H
#define ZL_CORE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEVER UINT64_MAX

/* min, as deadlines are gathered */
static inline void earlier(uint64_t *deadline, uint64_t at)
{
    if (at < *deadline)
        *deadline = at;
}

struct timer {
    uint64_t at; /* mono; NEVER: in no heap */
    size_t pos;  /* in the heap, from 1; 0: in none */
};

/* All zeros is an empty one. */
struct timers {
    struct timer **v;
    size_t n, cap;
};

/* Moves x to its place; NEVER takes it out. False: no memory, it is in no heap. */
bool timers_set(struct timers *t, struct timer *x, uint64_t at);
/* The earliest, which stays; NULL: there is none. */
struct timer *timers_first(const struct timers *t);
void timers_done(struct timers *t); /* what is in it is not touched */

#endif
