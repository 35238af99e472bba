// SPDX-License-Identifier: Apache-2.0
/* From members of structs back to values of a document, one function per type of decode.h. */
#ifndef ZL_SPEC_DUMP_DUMP_VALUE_H
#define ZL_SPEC_DUMP_DUMP_VALUE_H

#include <jansson.h>

#include "spec/fields/walk.h"

/* The member of the owner that a row is about. */
#define VALUE_MEMBER(type, f, owner)                                                               \
    ((type const *)(const void *)((const char *)(owner) + (f)->offset))
#define VALUE(name) json_t *name(const struct walk_field *f, const void *owner)

VALUE(value_text);
VALUE(value_bool);
VALUE(value_integer);
VALUE(value_nonzero); /* an integer whose 0 was not said */
VALUE(value_enum);
VALUE(value_cpu);
VALUE(value_size);
VALUE(value_swap);
VALUE(value_duration);
VALUE(value_positive); /* 0 ms was not said */
VALUE(value_texts);
VALUE(value_pairs);
VALUE(value_signal);
VALUE(value_tmpfs_mode);
VALUE(value_network);
VALUE(value_said);
VALUE(value_affinity);
VALUE(value_struct);
VALUE(value_here);
VALUE(value_variant);
VALUE(value_list);
VALUE(value_optional);
VALUE(value_map);
VALUE(value_init_with);

/* False where the row has a bool for that, and it is not set; else its value tells. */
bool value_is_said(const struct walk_field *f, const void *owner);
/* A row as a document says it; NULL: not said. */
VALUE(value_of);
/* The rows of a mapping in place, which mean something each on its own; *a and *b, structs with the
 * row, are moved to where they are. NULL: the row is one value. */
const struct walk_shape *value_inside(const struct walk_field *f, const void **a, const void **b);
/* How many elements owner has of the list. */
size_t value_count(const struct walk_list *list, const void *owner);
/*
 * Adds what the rows of a shape say to `into`. False: a required field was not said, so the whole
 * was not.
 */
bool value_add_fields(const struct walk_shape *shape, const void *owner, json_t *into);

#endif
