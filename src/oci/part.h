// SPDX-License-Identifier: Apache-2.0
/*
 * How bundle.c and process.c build JSON: each part of the document is a function that answers its
 * value, NULL for a failure (told in *err), or JSON null for "leave it out". Tables say which parts
 * an object has.
 */
#ifndef ZL_OCI_PART_H
#define ZL_OCI_PART_H

#include "oci/bundle.h"

struct oci_part {
    const char *key;
    json_t *(*make)(const struct oci_bundle *b, struct zl_error *err);
};

/* An object of these parts; the table ends with an entry without key. */
json_t *oci_part_object(const struct oci_bundle *b, const struct oci_part *parts,
                        struct zl_error *err);
/* A string of the image or the spec; `what` names it when it is not UTF-8. */
json_t *oci_part_text(const char *what, const char *text, struct zl_error *err);
json_t *oci_part_strings(const char *const *v, size_t n, struct zl_error *err);
/* made, or a report of its absence. */
json_t *oci_part_checked(json_t *made, struct zl_error *err);
/* Says that memory ran out; NULL. */
json_t *oci_part_no_memory(struct zl_error *err);
/* json_object_set_new() that takes a NULL value for the failure it is. */
int oci_part_put(json_t *object, const char *key, json_t *value);

json_t *oci_process_make(const struct oci_bundle *b, struct zl_error *err);

#endif
