// SPDX-License-Identifier: Apache-2.0
/*
 * What no single field can know: rules that tie fields, services and the whole document together.
 * They look at decoded values and report at the nodes these came from. They also run when other
 * findings exist, so that one run shows all; a value that could not be decoded is passed over.
 */
#ifndef ZL_SPEC_VALIDATE_VALIDATE_H
#define ZL_SPEC_VALIDATE_VALIDATE_H

#include "spec/fields/walk.h"
#include "spec/spec.h"

/* One service and where it stands. Its depends[i], endpoints[i], storage[i] are those of the lists.
 */
struct spec_source {
    struct spec_service *service;
    const struct doc_node *key; /* its name; NULL for a service on its own */
    const struct doc_node *node;
};

/* ---- for the rules themselves ---------------------------------------------------------------- */

/* The node of a field of a mapping, or the mapping itself; of an element of a list in it. */
const struct doc_node *validate_field(const struct doc_node *map, const char *name);
const struct doc_node *validate_item(const struct doc_node *map, const char *list, size_t i);
/* Reports at a path below the present one: list[i].field (field NULL: the element), or field. */
void validate_report_item(struct walk *w, enum spec_severity severity, const char *id,
                          const struct doc_node *at, const char *list, size_t i, const char *field,
                          const char *text);
void validate_report_field(struct walk *w, enum spec_severity severity, const char *id,
                           const struct doc_node *map, const char *field, const char *text);
/* What is written, or NULL when it is absent or null. */
const struct doc_node *validate_written(const struct doc_node *map, const char *name);

/* ---- parts of the rules ---------------------------------------------------------------------- */

/* Who has endpoints: a service, or an external (service NULL). */
struct validate_owner {
    const char *name;
    const struct doc_node *node;
    const struct spec_service *service;
    const struct spec_endpoint *endpoints;
    size_t n;
};
/* validate_endpoints.c: within one owner, whose path w->path is; then between all of them. */
void validate_endpoints(struct walk *w, const struct validate_owner *o);
void validate_shared_ports(struct walk *w, const struct validate_owner *owners, size_t n);

/* validate.c: of a service or an external, whose mapping is `owner` and whose path w->path is. */
void validate_health(struct walk *w, const struct spec_health *h, const struct doc_node *owner);

/* validate_parts.c: the rarer fields of one service; a gpu, w->path being its resources'. */
void spec_validate_parts(struct walk *w, const struct spec_source *s);
void validate_gpu(struct walk *w, const struct spec_gpu *g, const struct doc_node *n);
/* validate_wasm.c */
void spec_validate_wasm(struct walk *w, const struct spec_source *s);

/* validate_document.c: what several services claim: ports of the host, volumes. */
void spec_validate_shared(struct walk *w, const struct spec_source *sources, size_t n);

/* Rules within one service; w->path is the service's. */
void spec_validate_service(struct walk *w, const struct spec_source *s);

/*
 * Rules between services: names of dependencies (fills their index), cycles, what several claim.
 * root is the document, whose services are in the order of the sources. Returns the order to start
 * them in, n indices in the arena, or NULL when there is none.
 */
const size_t *spec_validate_services(struct walk *w, const struct doc_node *root,
                                     const struct spec_source *sources, size_t n);

/* Rules about externals and tunnels, names that they share with services, and ports that all of
 * them share. sources: the n services. */
void spec_validate_document(struct walk *w, const struct doc_node *root, const struct spec *spec,
                            const struct spec_source *sources, size_t n);

#endif
