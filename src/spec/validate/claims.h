// SPDX-License-Identifier: Apache-2.0
/*
 * Finding what is claimed twice: endpoint names, mount targets, ports. Claims are gathered, sorted
 * by what they claim, and neighbours compared, so a long list costs no more than sorting it.
 */
#ifndef ZL_SPEC_VALIDATE_CLAIMS_H
#define ZL_SPEC_VALIDATE_CLAIMS_H

#include <stddef.h>

#include "base/doc.h"

struct claim {
    const char *what;            /* compared; borrowed */
    size_t owner, index;         /* of the service, of the element in it */
    const struct doc_node *node; /* where it is written */
};

struct claims {
    struct zl_arena *arena;
    struct claim *v;
    size_t n, cap;
};

void claims_add(struct claims *c, const char *what, size_t owner, size_t index,
                const struct doc_node *node);
/* Calls clash for each claim that an earlier one (in the order of adding) made before. */
typedef void (*claim_fn)(void *arg, const struct claim *first, const struct claim *again);
void claims_check(struct claims *c, claim_fn clash, void *arg);

#endif
