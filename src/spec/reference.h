// SPDX-License-Identifier: Apache-2.0
/* The fields of a document for readers, made from the tables that it is read by. */
#ifndef ZL_SPEC_REFERENCE_H
#define ZL_SPEC_REFERENCE_H

#include "base/buf.h"

/*
 * Appends Markdown: a section for each mapping, a table of its fields with what may stand there,
 * the default and the meaning. It is the second half of docs/spec.md. out fails without memory.
 */
void spec_reference(struct zl_buf *out);

#endif
