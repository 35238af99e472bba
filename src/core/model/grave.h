// SPDX-License-Identifier: Apache-2.0
/*
 * Memory that an effect may point to is never freed within a step: objects are buried, and the
 * graves are emptied at the beginning of the next step.
 */
#ifndef ZL_CORE_MODEL_GRAVE_H
#define ZL_CORE_MODEL_GRAVE_H

struct core;

struct grave {
    struct grave *next;
    void (*free)(struct grave *g); /* g is the first member of its object */
};

/* Frees g at the beginning of the next step. */
void core_bury(struct core *c, struct grave *g);
void core_empty_graves(struct core *c);

#endif
