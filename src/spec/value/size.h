// SPDX-License-Identifier: Apache-2.0
/* Byte sizes of a document: "512Mi". docs/spec.md, "Byte size". */
#ifndef ZL_SPEC_VALUE_SIZE_H
#define ZL_SPEC_VALUE_SIZE_H

#include <stdint.h>

#include "spec/value/flaw.h"

/* Bytes, at least 1024. 0, or -1 with *flaw filled. */
int spec_parse_size(const char *text, uint64_t *ret, struct spec_flaw *flaw);

#endif
