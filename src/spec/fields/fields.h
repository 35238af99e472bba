// SPDX-License-Identifier: Apache-2.0
/*
 * The tables: what a document may contain, and what becomes of it. A row is a field, here and
 * nowhere else: reading, schema, dump, hash and diff all go by these. One file per concept.
 */
#ifndef ZL_SPEC_FIELDS_FIELDS_H
#define ZL_SPEC_FIELDS_FIELDS_H

#include "spec/fields/decode.h"
#include "spec/spec.h"

struct spec_document { /* the fields of the top level as they stand there */
    const char *version, *deployment;
    const struct doc_node *services; /* a mapping, or NULL */
    const struct spec_external *externals;
    size_t n_externals;
    const struct spec_tunnel *tunnels;
    size_t n_tunnels;
    const struct spec_api *api;
};

extern const struct walk_shape spec_document_shape;                /* into struct spec_document */
extern const struct walk_shape spec_service_shape;                 /* into struct spec_service */
extern const struct spec_service spec_service_initial;             /* what absent fields mean */
enum { SPEC_GRACE_SERVICE_MS = 30000, SPEC_GRACE_JOB_MS = 10000 }; /* of stop_grace_period */

/* resources.c */
extern const struct walk_shape spec_image_shape, spec_command_shape, spec_resources_shape;
extern const struct walk_list spec_device_list, spec_image_part, spec_command_part,
    spec_resources_part;
extern const struct decode_map spec_ulimit_map;
/* health.c */
extern const struct walk_shape spec_health_shape, spec_restart_shape, spec_errors_shape;
extern const struct walk_variants spec_scales; /* into struct spec_service */
extern const struct walk_list spec_depends_list, spec_group_list, spec_node_selector_part;
/* network.c */
extern const struct walk_list spec_endpoint_list, spec_external_endpoint_list,
    spec_port_mapping_list, spec_network_part, spec_overlay_part;
extern const struct decode_map spec_external_map, spec_tunnel_map;
/* storage.c, wasm.c, init.c, job.c */
extern const struct walk_list spec_storage_list, spec_wasm_part, spec_schedule_part, spec_job_part,
    spec_update_part, spec_platform_part, spec_logs_part, spec_api_part;
extern const struct walk_shape spec_init_shape; /* into struct spec_service */

extern const struct walk_word spec_rtype_words[], spec_protocol_words[], spec_condition_words[],
    spec_expose_words[], spec_transport_words[], spec_service_type_words[], spec_failure_words[];

extern const struct decode_integer spec_any_u32, spec_any_u64;

/* A row's place in struct x; a shape in place. */
#define AT(x, member) offsetof(struct x, member)
#define SHAPE(rows, ...) (&(const struct walk_shape){ .fields = (rows), __VA_ARGS__ })
/* A part that may be absent, of struct x. */
#define PART(x, shape_, initial_)                                                                  \
    {                                                                                              \
        .shape = (shape_), .item_size = sizeof(struct x), .initial = (initial_)                    \
    }

#endif
