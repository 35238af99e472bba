// SPDX-License-Identifier: Apache-2.0
/*
 * How the files of the bundle build JSON: each part of the document is a function that answers its
 * value, NULL for a failure (told in *err), or JSON null for "leave it out". Tables say which parts
 * an object has. What several parts are made from is looked up once, before the first of them.
 */
#ifndef ZL_OCI_PART_H
#define ZL_OCI_PART_H

#include "oci/bundle.h"
#include "oci/devices.h"
#include "oci/gpu.h"
#include "oci/security.h"

struct oci_making {
    const struct oci_bundle *b;
    struct oci_account user;
    uint64_t bounding; /* capabilities; bit n: number n */
    struct oci_security security;
    struct oci_devices devices; /* of the spec, of GPUs, with `privileged` of the host */
    struct oci_gpu_edits gpu;
};

struct oci_part {
    const char *key;
    json_t *(*make)(const struct oci_making *m, struct zl_error *err);
};

/* An object of these parts; the table ends with an entry without key. */
json_t *oci_part_object(const struct oci_making *m, const struct oci_part *parts,
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
/* Takes `value` over; -1 with *err when it is NULL or there is no memory. */
int oci_part_append(json_t *list, json_t *value, struct zl_error *err);

/* The parts with a file of their own. */
json_t *oci_process_make(const struct oci_making *m, struct zl_error *err);   /* process.c */
json_t *oci_mounts_make(const struct oci_making *m, struct zl_error *err);    /* mounts.c */
json_t *oci_linux_make(const struct oci_making *m, struct zl_error *err);     /* linux.c */
json_t *oci_resources_make(const struct oci_making *m, struct zl_error *err); /* resources.c */
/* rights.c: of the process */
int oci_bounding_find(const struct spec_service *s, const struct oci_host *host, uint64_t *ret,
                      struct zl_error *err);
json_t *oci_capabilities_make(const struct oci_making *m, struct zl_error *err);
json_t *oci_rlimits_make(const struct oci_making *m, struct zl_error *err);

/* A line for whoever asked for something that was done otherwise. */
void oci_note(const struct oci_bundle *b, const char *fmt, ...) ZL_PRINTF(2, 3);

#endif
