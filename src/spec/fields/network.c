// SPDX-License-Identifier: Apache-2.0
/* Rows about endpoints, ports, networks, and what the document says of other nodes. */
#include "spec/fields/fields.h"

#include "spec/fields/rules.h"
#include "spec/value/name.h"

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
    { "request", &type_text, AT(spec_stream, request), WALK_REQUIRED, NULL,
      .doc = "what is sent; `\\xNN` is a byte" },
    { "expect",  &type_text, AT(spec_stream, expect), 0, NULL,
      .doc = "a regular expression that the answer matches" },
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
    { "tls",             &type_bool,     AT(spec_stream, tls), 0, NULL,
      .doc = "end TLS here; tcp only" },
    { "proxy_protocol",  &type_bool,     AT(spec_stream, proxy_protocol), 0, NULL,
      .doc = "send the PROXY header" },
    { "session_timeout", &type_duration, AT(spec_stream, session_timeout_ms), WALK_UNCHECKED, NULL,
      .doc = "of udp: a session ends after this silence" },
    { "health_check",    &type_variant,  0, 0, &probes,
      .doc = "`{type: tcp_connect}` or `{type: udp_probe, request, expect}`" },
    { 0 },
};
static const struct spec_stream stream_initial = { .session_timeout_ms = 60000 };
static const struct walk_list stream_part =
    PART(spec_stream, SHAPE(stream_fields, .noun = "stream"), &stream_initial);

static const struct walk_field access_fields[] = {
    { "enabled", &type_bool,     AT(spec_tunnel_access, enabled), 0, NULL,
      .doc = "let others in" },
    { "max_ttl", &type_delay,    AT(spec_tunnel_access, max_ttl_ms), 0, "E-TUNNEL-TTL",
      .doc = "the longest life of a token" },
    { "audit",   &type_bool,     AT(spec_tunnel_access, audit), 0, NULL,
      .doc = "write down who came in" },
    { 0 },
};
static const struct walk_list access_part =
    PART(spec_tunnel_access, SHAPE(access_fields, .noun = "access"), NULL);
static const struct walk_field endpoint_tunnel_fields[] = {
    { "enabled",     &type_bool,     AT(spec_endpoint_tunnel, enabled), 0, NULL,
      .doc = "make a tunnel" },
    { "from",        &type_text,     AT(spec_endpoint_tunnel, from), 0, NULL,
      .doc = "the node it begins at; absent is the service's" },
    { "to",          &type_text,     AT(spec_endpoint_tunnel, to), 0, NULL,
      .doc = "the node it ends at; absent is the entry's" },
    { "remote_port", &type_integer,  AT(spec_endpoint_tunnel, remote_port), 0, &any_u16,
      .doc = "0: any free one" },
    { "expose",      &type_enum,     AT(spec_endpoint_tunnel, expose), 0, spec_expose_words,
      AT(spec_endpoint_tunnel, has_expose),
      .doc = "as of an endpoint" },
    { "access",      &type_optional, AT(spec_endpoint_tunnel, access), 0, &access_part,
      .doc = "access for a while" },
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
    { "name",        &type_checked,  AT(spec_endpoint, name), WALK_REQUIRED, &endpoint_name,
      .doc = "unique in its service" },
    { "protocol",    &type_enum,     AT(spec_endpoint, protocol), WALK_REQUIRED, spec_protocol_words,
      .doc = "`http`, `https` and `websocket` are routed by host and path; `tcp` and `udp` are streams" },
    { "port",        &type_integer,  AT(spec_endpoint, port), WALK_REQUIRED, &endpoint_port,
      .doc = "listened on" },
    { "target_port", &type_integer,  AT(spec_endpoint, target_port), 0, &target_port,
      .doc = "in the container; absent is `port`" },
    { "path",        &type_checked,  AT(spec_endpoint, path), 0, &endpoint_path,
      .doc = "a prefix of whole segments; absent is `/`" },
    { "host",        &type_checked,  AT(spec_endpoint, host), 0, &endpoint_host,
      .doc = "a name, or `*.suffix`; absent is any" },
    { "expose",      &type_enum,     AT(spec_endpoint, expose), 0, spec_expose_words,
      .doc = "`public`: at 0.0.0.0; `internal`: for services" },
    { "stream",      &type_optional, AT(spec_endpoint, stream), 0, &stream_part,
      .doc = "options of a stream" },
    { "target_role", &type_text,     AT(spec_endpoint, target_role), 0, NULL,
      .doc = "only replicas of this group" },
    { "tunnel",      &type_optional, AT(spec_endpoint, tunnel), 0, &endpoint_tunnel_part,
      .doc = "a tunnel to other nodes" },
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
      &container_port,
      .doc = "in the container" },
    { "host_port",      &type_integer, AT(spec_port_mapping, host_port), 0, &any_u16,
      .doc = "of the host; absent and 0: any free one" },
    { "protocol",       &type_enum,    AT(spec_port_mapping, protocol), 0, spec_transport_words,
      .doc = "of the port" },
    { "host_ip",        &type_checked, AT(spec_port_mapping, host_ip), 0, &host_ip,
      .doc = "an address of the host" },
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
    { "enabled",   &type_bool, AT(spec_overlay_options, enabled), 0, NULL,
      .doc = "use it" },
    { "encrypted", &type_bool, AT(spec_overlay_options, encrypted), 0, NULL,
      .doc = "encrypt its traffic" },
    { "isolated",  &type_bool, AT(spec_overlay_options, isolated), 0, NULL,
      .doc = "keep it apart from others" },
    { 0 },
};
static const struct walk_shape overlay_option_shape = {
    .noun = "an overlay", .fields = overlay_option_fields, .shorthand = "service: {enabled: true}"
};
static const struct walk_field overlays_fields[] = {
    { "service", &type_struct, AT(spec_network, service), 0, &overlay_option_shape,
      .doc = "among the replicas of the service" },
    { "global",  &type_struct, AT(spec_network, global), 0, &overlay_option_shape,
      .doc = "among all services; by default not isolated" },
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
    { "mode",  &type_enum, AT(spec_network, join_mode), 0, join_mode_words,
      .doc = "who may join" },
    { "scope", &type_enum, AT(spec_network, join_scope), 0, join_scope_words,
      .doc = "what is joined" },
    { 0 },
};
static const struct walk_field network_fields[] = {
    { "overlays", &type_here, 0, 0, SHAPE(overlays_fields, .noun = "overlays"),
      .doc = "the overlays" },
    { "join",     &type_here, 0, 0, SHAPE(join_fields, .noun = "join"),
      .doc = "who may join them" },
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
    { "mode",   &type_enum, AT(spec_overlay, mode), 0, overlay_mode_words,
      .doc = "`auto` is `shared`" },
    { "parent", &type_text, AT(spec_overlay, parent), 0, NULL,
      .doc = "`cluster`, or absent" },
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
    { "backends",  &type_checked_texts, AT(spec_external, backends), WALK_REQUIRED, &backend,
      .doc = "`host:port`, taken in turn; at least one" },
    { "endpoints", &type_list,   AT(spec_external, endpoints), WALK_UNCHECKED, &spec_external_endpoint_list,
      .doc = "as of a service" },
    { "health",    &type_struct, AT(spec_external, health), 0, &spec_health_shape,
      AT(spec_external, health.written),
      .doc = "as of a service, without `command`" },
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
    { "from",        &type_checked, AT(spec_tunnel, from), WALK_REQUIRED, &tunnel_node,
      .doc = "the node it begins at" },
    { "to",          &type_checked, AT(spec_tunnel, to), WALK_REQUIRED, &tunnel_node,
      .doc = "the node it ends at" },
    { "local_port",  &type_integer, AT(spec_tunnel, local_port), WALK_REQUIRED, &tunnel_port,
      .doc = "at the beginning" },
    { "remote_port", &type_integer, AT(spec_tunnel, remote_port), WALK_REQUIRED, &tunnel_port,
      .doc = "at the end" },
    { "protocol",    &type_enum,    AT(spec_tunnel, protocol), 0, spec_transport_words,
      .doc = "of the port" },
    { "expose",      &type_enum,    AT(spec_tunnel, expose), 0, spec_expose_words,
      .doc = "to whom" },
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
