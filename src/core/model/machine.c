// SPDX-License-Identifier: Apache-2.0
#include "core/model/machine.h"

#include <string.h>

#include "core/model/deployment.h"
#include "core/model/grave.h"

uint64_t core_random(struct core *c)
{
    uint64_t z;
    do {
        z = c->random += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
    } while (z == 0);
    return z;
}

void core_bury(struct core *c, struct grave *g)
{
    g->next = c->graves;
    c->graves = g;
}

void core_empty_graves(struct core *c)
{
    while (c->graves) {
        struct grave *g = c->graves;
        c->graves = g->next;
        g->free(g);
    }
}

struct deployment *deployment_find(const struct core *c, const char *name)
{
    struct deployment *d;
    TAILQ_FOREACH (d, &c->deployments, link)
        if (strcmp(d->name, name) == 0)
            return d;
    return NULL;
}
