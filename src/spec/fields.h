// SPDX-License-Identifier: Apache-2.0
/* The tables: what a document may contain, and what becomes of it. */
#ifndef ZL_SPEC_FIELDS_H
#define ZL_SPEC_FIELDS_H

#include "spec/spec.h"
#include "spec/walk.h"

struct spec_document { /* the fields of the top level as they stand there */
    const char *version, *deployment;
    const struct doc_node *services; /* a mapping, or NULL */
};

extern const struct walk_shape spec_document_shape;                /* into struct spec_document */
extern const struct walk_shape spec_service_shape;                 /* into struct spec_service */
extern const struct spec_service spec_service_initial;             /* what absent fields mean */
enum { SPEC_GRACE_SERVICE_MS = 30000, SPEC_GRACE_JOB_MS = 10000 }; /* of stop_grace_period */

extern const struct walk_word spec_rtype_words[], spec_protocol_words[], spec_condition_words[];

#endif
