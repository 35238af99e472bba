// SPDX-License-Identifier: Apache-2.0
/*
 * The JSON Schema (2020-12) of the document, made from the tables that it is read by. It says what
 * a reader of YAML or JSON may hand over: where the document wants text, plain numbers and booleans
 * are text too. Rules between fields are not in it; `zlayer validate` knows them.
 */
#ifndef ZL_SPEC_FIELDS_SCHEMA_H
#define ZL_SPEC_FIELDS_SCHEMA_H

#include <jansson.h>

#include "spec/fields/walk.h"

json_t *spec_schema(void); /* owned by the caller; NULL when there is no memory */

#define SCHEMA(name) json_t *name(const struct walk_field *f)

SCHEMA(schema_text);
SCHEMA(schema_checked);
SCHEMA(schema_bool);
SCHEMA(schema_integer);
SCHEMA(schema_weight); /* an integer, or 0 */
SCHEMA(schema_enum);
SCHEMA(schema_cpu);
SCHEMA(schema_size);
SCHEMA(schema_swap);
SCHEMA(schema_duration);
SCHEMA(schema_limit); /* a duration or "none" */
SCHEMA(schema_texts);
SCHEMA(schema_pairs);
SCHEMA(schema_image);
SCHEMA(schema_signal);
SCHEMA(schema_tmpfs_mode);
SCHEMA(schema_network);
SCHEMA(schema_affinity);
SCHEMA(schema_struct);
SCHEMA(schema_variant);
SCHEMA(schema_list);
SCHEMA(schema_optional);
SCHEMA(schema_map);
SCHEMA(schema_init_with);

#endif
