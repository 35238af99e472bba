// SPDX-License-Identifier: Apache-2.0
/* Rows about endpoints, ports, networks, and what the document says of other nodes. */
#include "spec/fields.h"

#include "spec/name.h"
#include "spec/rules.h"

/* clang-format off */

const struct walk_word spec_protocol_words[] = {
    { "http",      SPEC_HTTP, NULL },
    { "https",     SPEC_HTTPS, NULL },
    { "tcp",       SPEC_TCP, NULL },
    { "udp",       SPEC_UDP, NULL },
    { "websocket", SPEC_WEBSOCKET, NULL },
    { 0 },
};
const struct walk_word spec_expose_words[] = {
    { "internal", SPEC_INTERNAL, NULL },
    { "public",   SPEC_PUBLIC, NULL },
    { 0 },
};
const struct walk_word spec_transport_words[] = {
    { "tcp", SPEC_TRANSPORT_TCP, NULL },
    { "udp", SPEC_TRANSPORT_UDP, NULL },
    { 0 },
};

/* ---- endpoints -------------------------------------------------------------------------------- */

static const struct decode_integer any_u16 = { 2, false, 0, UINT16_MAX, "E-RANGE" };
static const struct decode_integer endpoint_port = { 2, false, 1, UINT16_MAX, "E-PORT" };
static const struct decode_integer target_port = { 2, false, 1, UINT16_MAX, "E-TARGET-PORT" };

static const struct walk_word probe_words[] = {
    { "tcp_connect", SPEC_PROBE_TCP_CONNECT, NULL },
    { "udp_probe",   SPEC_PROBE_UDP, NULL },
    { 0 },
};
static const struct walk_field probe_tcp[] = { { 0 } };
static const struct walk_field probe_udp[] = {
    { "request", &type_text, AT(spec_stream, request), WALK_REQUIRED, NULL },
    { "expect",  &type_text, AT(spec_stream, expect), 0, NULL },
    { 0 },
};
static const struct walk_shape probe_shapes[] = {
    [SPEC_PROBE_NONE]        = { .shorthand = "health_check: {type: tcp_connect}" },
    [SPEC_PROBE_TCP_CONNECT] = { "a tcp_connect check", probe_tcp, .discriminator = "type", .drops_unknown = true },
    [SPEC_PROBE_UDP]         = { "a udp_probe check", probe_udp, .discriminator = "type", .drops_unknown = true },
};
static const struct walk_variants probes = {
    "a check", "type", probe_words, probe_shapes, AT(spec_stream, probe)
};
static const struct walk_field stream_fields[] = {
    { "tls",             &type_bool,     AT(spec_stream, tls), 0, NULL },
    { "proxy_protocol",  &type_bool,     AT(spec_stream, proxy_protocol), 0, NULL },
    { "session_timeout", &type_duration, AT(spec_stream, session_timeout_ms), WALK_UNCHECKED, NULL },
    { "health_check",    &type_variant,  0, 0, &probes },
    { 0 },
};
static const struct spec_stream stream_initial = { .session_timeout_ms = 60000 };
static const struct walk_list stream_part =
    PART(spec_stream, SHAPE(stream_fields, .noun = "stream"), &stream_initial);

static const struct walk_field access_fields[] = {
    { "enabled", &type_bool,     AT(spec_tunnel_access, enabled), 0, NULL },
    { "max_ttl", &type_delay,    AT(spec_tunnel_access, max_ttl_ms), 0, "E-TUNNEL-TTL" },
    { "audit",   &type_bool,     AT(spec_tunnel_access, audit), 0, NULL },
    { 0 },
};
static const struct walk_list access_part =
    PART(spec_tunnel_access, SHAPE(access_fields, .noun = "access"), NULL);
static const struct walk_field endpoint_tunnel_fields[] = {
    { "enabled",     &type_bool,     AT(spec_endpoint_tunnel, enabled), 0, NULL },
    { "from",        &type_text,     AT(spec_endpoint_tunnel, from), 0, NULL },
    { "to",          &type_text,     AT(spec_endpoint_tunnel, to), 0, NULL },
    { "remote_port", &type_integer,  AT(spec_endpoint_tunnel, remote_port), 0, &any_u16 },
    { "expose",      &type_enum,     AT(spec_endpoint_tunnel, expose), 0, spec_expose_words,
      AT(spec_endpoint_tunnel, has_expose) },
    { "access",      &type_optional, AT(spec_endpoint_tunnel, access), 0, &access_part },
    { 0 },
};
static const struct walk_list endpoint_tunnel_part =
    PART(spec_endpoint_tunnel, SHAPE(endpoint_tunnel_fields, .noun = "tunnel"), NULL);

static const struct decode_checked endpoint_name = {
    spec_check_endpoint_name, "E-ENDPOINT-NAME", "endpoint name"
};
static const struct decode_checked endpoint_path = {
    spec_check_endpoint_path, "E-ENDPOINT-PATH", "path"
};
static const struct decode_checked endpoint_host = {
    spec_check_endpoint_host, "E-ENDPOINT-HOST", "host pattern"
};
static const struct walk_field endpoint_fields[] = {
    { "name",        &type_checked,  AT(spec_endpoint, name), WALK_REQUIRED, &endpoint_name },
    { "protocol",    &type_enum,     AT(spec_endpoint, protocol), WALK_REQUIRED, spec_protocol_words },
    { "port",        &type_integer,  AT(spec_endpoint, port), WALK_REQUIRED, &endpoint_port },
    { "target_port", &type_integer,  AT(spec_endpoint, target_port), 0, &target_port },
    { "path",        &type_checked,  AT(spec_endpoint, path), 0, &endpoint_path },
    { "host",        &type_checked,  AT(spec_endpoint, host), 0, &endpoint_host },
    { "expose",      &type_enum,     AT(spec_endpoint, expose), 0, spec_expose_words },
    { "stream",      &type_optional, AT(spec_endpoint, stream), 0, &stream_part },
    { "target_role", &type_text,     AT(spec_endpoint, target_role), 0, NULL },
    { "tunnel",      &type_optional, AT(spec_endpoint, tunnel), 0, &endpoint_tunnel_part },
    { 0 },
};
static const struct walk_shape endpoint_shape = {
    "an endpoint", endpoint_fields, NULL, "endpoints: [{name: web, protocol: http, port: 80}]",
};
const struct walk_list spec_endpoint_list = {
    .shape = &endpoint_shape, .item_size = sizeof(struct spec_endpoint),
    .count_offset = AT(spec_service, n_endpoints),
};

static const struct decode_integer container_port = { 2, false, 1, UINT16_MAX, "E-PORT-MAPPING" };
static const struct decode_checked host_ip = { spec_check_host_ip, "E-HOST-IP", "address" };
static const struct walk_field port_mapping_fields[] = {
    { "container_port", &type_integer, AT(spec_port_mapping, container_port), WALK_REQUIRED,
      &container_port },
    { "host_port",      &type_integer, AT(spec_port_mapping, host_port), 0, &any_u16 },
    { "protocol",       &type_enum,    AT(spec_port_mapping, protocol), 0, spec_transport_words },
    { "host_ip",        &type_checked, AT(spec_port_mapping, host_ip), 0, &host_ip },
    { 0 },
};
const struct walk_list spec_port_mapping_list = {
    .shape = SHAPE(port_mapping_fields, .noun = "a port mapping", .drops_unknown = true,
                   .shorthand = "port_mappings: [{container_port: 80, host_port: 8080}]"),
    .item_size = sizeof(struct spec_port_mapping),
    .count_offset = AT(spec_service, n_port_mappings),
};

/* ---- overlays --------------------------------------------------------------------------------- */

static const struct walk_field overlay_option_fields[] = {
    { "enabled",   &type_bool, AT(spec_overlay_options, enabled), 0, NULL },
    { "encrypted", &type_bool, AT(spec_overlay_options, encrypted), 0, NULL },
    { "isolated",  &type_bool, AT(spec_overlay_options, isolated), 0, NULL },
    { 0 },
};
static const struct walk_shape overlay_option_shape = {
    .noun = "an overlay", .fields = overlay_option_fields, .shorthand = "service: {enabled: true}"
};
static const struct walk_field overlays_fields[] = {
    { "service", &type_struct, AT(spec_network, service), 0, &overlay_option_shape },
    { "global",  &type_struct, AT(spec_network, global), 0, &overlay_option_shape },
    { 0 },
};
static const struct walk_word join_mode_words[] = {
    { "open",   SPEC_JOIN_OPEN, NULL },
    { "token",  SPEC_JOIN_TOKEN, NULL },
    { "closed", SPEC_JOIN_CLOSED, NULL },
    { 0 },
};
static const struct walk_word join_scope_words[] = {
    { "service", SPEC_JOIN_SERVICE, NULL },
    { "global",  SPEC_JOIN_GLOBAL, NULL },
    { 0 },
};
static const struct walk_field join_fields[] = {
    { "mode",  &type_enum, AT(spec_network, join_mode), 0, join_mode_words },
    { "scope", &type_enum, AT(spec_network, join_scope), 0, join_scope_words },
    { 0 },
};
static const struct walk_field network_fields[] = {
    { "overlays", &type_here, 0, 0, SHAPE(overlays_fields, .noun = "overlays") },
    { "join",     &type_here, 0, 0, SHAPE(join_fields, .noun = "join") },
    { 0 },
};
static const struct spec_network network_initial = {
    .service = { true, true, true }, .global = { true, true, false },
};
const struct walk_list spec_network_part =
    PART(spec_network, SHAPE(network_fields, .noun = "network"), &network_initial);

static const struct walk_word overlay_mode_words[] = {
    { "auto",      SPEC_OVERLAY_AUTO, NULL },
    { "shared",    SPEC_OVERLAY_SHARED, NULL },
    { "dedicated", SPEC_OVERLAY_DEDICATED, NULL },
    { 0 },
};
static const struct walk_field overlay_fields[] = {
    { "mode",   &type_enum, AT(spec_overlay, mode), 0, overlay_mode_words },
    { "parent", &type_text, AT(spec_overlay, parent), 0, NULL },
    { 0 },
};
const struct walk_list spec_overlay_part =
    PART(spec_overlay, SHAPE(overlay_fields, .noun = "overlay", .drops_unknown = true), NULL);

/* ---- externals, tunnels ----------------------------------------------------------------------- */

static const struct decode_checked external_name = {
    spec_check_service_name, "E-SERVICE-NAME", "name of an external"
};
static const struct decode_checked tunnel_name = {
    spec_check_service_name, "E-SERVICE-NAME", "name of a tunnel"
};
static const struct decode_checked backend = {
    spec_check_backend, "E-EXT-BACKEND-ADDR", "backend"
};
const struct walk_list spec_external_endpoint_list = {
    .shape = &endpoint_shape, .item_size = sizeof(struct spec_endpoint),
    .count_offset = AT(spec_external, n_endpoints),
};
static const struct walk_field external_fields[] = {
    { "backends",  &type_checked_texts, AT(spec_external, backends), WALK_REQUIRED, &backend },
    { "endpoints", &type_list,   AT(spec_external, endpoints), WALK_UNCHECKED, &spec_external_endpoint_list },
    { "health",    &type_struct, AT(spec_external, health), 0, &spec_health_shape,
      AT(spec_external, health.written) },
    { 0 },
};
static const struct spec_external external_initial = {
    .health = { .expect_status = 200, .start_grace_ms = 5000, .interval_ms = 10000,
                .timeout_ms = 5000, .retries = 3 },
};
const struct decode_map spec_external_map = {
    .list = { .shape = SHAPE(external_fields, .noun = "an external",
                             .shorthand = "externals: {NAME: {backends: [HOST:PORT]}}"),
              .item_size = sizeof(struct spec_external), .initial = &external_initial,
              .count_offset = AT(spec_document, n_externals) },
    .key = &external_name,
};

static const struct decode_integer tunnel_port = { 2, false, 1, UINT16_MAX, "E-TUNNEL-PORT" };
static const struct decode_checked tunnel_node = {
    spec_check_not_empty, "E-TUNNEL-NODE", "name of a node"
};
static const struct walk_field tunnel_fields[] = {
    { "from",        &type_checked, AT(spec_tunnel, from), WALK_REQUIRED, &tunnel_node },
    { "to",          &type_checked, AT(spec_tunnel, to), WALK_REQUIRED, &tunnel_node },
    { "local_port",  &type_integer, AT(spec_tunnel, local_port), WALK_REQUIRED, &tunnel_port },
    { "remote_port", &type_integer, AT(spec_tunnel, remote_port), WALK_REQUIRED, &tunnel_port },
    { "protocol",    &type_enum,    AT(spec_tunnel, protocol), 0, spec_transport_words },
    { "expose",      &type_enum,    AT(spec_tunnel, expose), 0, spec_expose_words },
    { 0 },
};
const struct decode_map spec_tunnel_map = {
    .list = { .shape = SHAPE(tunnel_fields, .noun = "a tunnel",
                             .shorthand = "tunnels: {NAME: {from: NODE, to: NODE, local_port: 1, "
                                          "remote_port: 1}}"),
              .item_size = sizeof(struct spec_tunnel),
              .count_offset = AT(spec_document, n_tunnels) },
    .key = &tunnel_name,
};
/* clang-format on */
