// SPDX-License-Identifier: Apache-2.0
/*
 * What no single field can know: rules that tie fields, services and the whole document together.
 * They look at decoded values and report at the nodes these came from. They also run when other
 * findings exist, so that one run shows all; a value that could not be decoded is passed over.
 */
#ifndef ZL_SPEC_VALIDATE_H
#define ZL_SPEC_VALIDATE_H

#include "spec/spec.h"
#include "spec/walk.h"

/* One service and where it stands. Its depends[i], endpoints[i], storage[i] are those of the lists.
 */
struct spec_source {
    struct spec_service *service;
    const struct doc_node *key; /* its name; NULL for a service on its own */
    const struct doc_node *node;
};

/* Rules within one service; w->path is the service's. */
void spec_validate_service(struct walk *w, const struct spec_source *s);

/*
 * Rules between services: names of dependencies (fills their index), cycles, shared ports. services
 * is the mapping they come from, in the same order. Returns the order to start them in, n indices
 * in the arena, or NULL when there is none.
 */
const size_t *spec_validate_services(struct walk *w, const struct doc_node *services,
                                     const struct spec_source *sources, size_t n);

#endif
