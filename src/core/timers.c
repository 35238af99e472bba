// SPDX-License-Identifier: Apache-2.0
#include "core/timers.h"

#include <stdlib.h>

static void place(struct timers *t, struct timer *x, size_t pos)
{
    t->v[pos - 1] = x;
    x->pos = pos;
}

static void sift_up(struct timers *t, struct timer *x)
{
    size_t pos = x->pos;
    for (; pos > 1 && t->v[pos / 2 - 1]->at > x->at; pos /= 2)
        place(t, t->v[pos / 2 - 1], pos);
    place(t, x, pos);
}

static void sift_down(struct timers *t, struct timer *x)
{
    size_t pos = x->pos;
    for (size_t child; (child = 2 * pos) <= t->n; pos = child) {
        if (child < t->n && t->v[child]->at < t->v[child - 1]->at)
            child++;
        if (t->v[child - 1]->at >= x->at)
            break;
        place(t, t->v[child - 1], pos);
    }
    place(t, x, pos);
}

static void take_out(struct timers *t, struct timer *x)
{
    struct timer *last = t->v[--t->n];
    size_t pos = x->pos;
    x->pos = 0;
    if (last == x)
        return;
    place(t, last, pos);
    sift_up(t, last);
    sift_down(t, last);
}

static bool add(struct timers *t, struct timer *x)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 32;
        struct timer **v = realloc(t->v, cap * sizeof(struct timer *));
        if (!v)
            return false;
        t->v = v;
        t->cap = cap;
    }
    place(t, x, ++t->n);
    sift_up(t, x);
    return true;
}

bool timers_set(struct timers *t, struct timer *x, uint64_t at)
{
    if (x->pos && x->at == at)
        return true;
    if (x->pos)
        take_out(t, x);
    x->at = at;
    return at == NEVER || add(t, x);
}

struct timer *timers_first(const struct timers *t)
{
    return t->n ? t->v[0] : NULL;
}

void timers_done(struct timers *t)
{
    free(t->v);
    *t = (struct timers){ 0 };
}
