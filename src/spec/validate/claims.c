// SPDX-License-Identifier: Apache-2.0
#include "spec/validate/claims.h"

#include <stdlib.h>
#include <string.h>

void claims_add(struct claims *c, const char *what, size_t owner, size_t index,
                const struct doc_node *node)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 2; /* most lists of a service have one or two items */
        struct claim *grown = zl_arena_array(c->arena, cap, sizeof *grown);
        if (!grown)
            return; /* the arena has noted it, and fails the document */
        if (c->n)
            memcpy(grown, c->v, c->n * sizeof *grown);
        c->v = grown;
        c->cap = cap;
    }
    c->v[c->n++] = (struct claim){ .what = what, .owner = owner, .index = index, .node = node };
}

static int compare(const void *pa, const void *pb)
{
    const struct claim *a = pa, *b = pb;
    int order = strcmp(a->what, b->what);
    if (order)
        return order;
    if (a->owner != b->owner)
        return a->owner < b->owner ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

void claims_check(struct claims *c, claim_fn clash, void *arg)
{
    if (!c->n)
        return;
    qsort(c->v, c->n, sizeof *c->v, compare);
    const struct claim *first = &c->v[0];
    for (size_t i = 1; i < c->n; i++) {
        if (strcmp(first->what, c->v[i].what) == 0)
            clash(arg, first, &c->v[i]);
        else
            first = &c->v[i];
    }
}
