// SPDX-License-Identifier: Apache-2.0
/*
 * A decoded document written out again: what it says, and what its defaults say. Read back, the
 * text gives the same dump. Values that are never shown appear as "(not shown)".
 */
#ifndef ZL_SPEC_DUMP_DUMP_H
#define ZL_SPEC_DUMP_DUMP_H

#include <jansson.h>

#include "base/buf.h"
#include "spec/spec.h"

/* Owned by the caller; NULL when there is no memory. Members are in the order of the tables. */
json_t *spec_dump(const struct spec *s);
json_t *spec_dump_service(const struct spec_service *s);

/*
 * YAML in block style. A text is quoted exactly where it would otherwise be read as something else,
 * by YAML 1.2 or by the readers of 1.1 (yes, 012, 1:30, 2026-01-01).
 */
void spec_dump_yaml(const json_t *v, struct zl_buf *out);
void spec_dump_json(const json_t *v, struct zl_buf *out);

#endif
