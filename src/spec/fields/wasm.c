// SPDX-License-Identifier: Apache-2.0
/* Rows about WASM modules. */
#include "spec/fields/fields.h"

#include "spec/fields/rules.h"

/* clang-format off */

const struct walk_word spec_service_type_words[] = {
    { "standard",           SPEC_STANDARD, NULL },
    { "wasm_http",          SPEC_WASM_HTTP, NULL },
    { "wasm_plugin",        SPEC_WASM_PLUGIN, NULL },
    { "wasm_transformer",   SPEC_WASM_TRANSFORMER, NULL },
    { "wasm_authenticator", SPEC_WASM_AUTHENTICATOR, NULL },
    { "wasm_rate_limiter",  SPEC_WASM_RATE_LIMITER, NULL },
    { "wasm_middleware",    SPEC_WASM_MIDDLEWARE, NULL },
    { "wasm_router",        SPEC_WASM_ROUTER, NULL },
    { "job",                SPEC_TYPE_JOB, NULL },
    { 0 },
};
static const struct walk_field caps_fields[] = {
    { "config",      &type_said, AT(spec_wasm_caps, config), 0, NULL,
      .doc = "wasi:config" },
    { "keyvalue",    &type_said, AT(spec_wasm_caps, keyvalue), 0, NULL,
      .doc = "key-value stores" },
    { "logging",     &type_said, AT(spec_wasm_caps, logging), 0, NULL,
      .doc = "wasi:logging" },
    { "secrets",     &type_said, AT(spec_wasm_caps, secrets), 0, NULL,
      .doc = "the named secrets" },
    { "metrics",     &type_said, AT(spec_wasm_caps, metrics), 0, NULL,
      .doc = "metrics" },
    { "http_client", &type_said, AT(spec_wasm_caps, http_client), 0, NULL,
      .doc = "outgoing HTTP" },
    { "cli",         &type_said, AT(spec_wasm_caps, cli), 0, NULL,
      .doc = "arguments, environment, standard streams" },
    { "filesystem",  &type_said, AT(spec_wasm_caps, filesystem), 0, NULL,
      .doc = "preopened directories" },
    { "sockets",     &type_said, AT(spec_wasm_caps, sockets), 0, NULL,
      .doc = "of no kind: allow_tcp and allow_udp open them" },
    { 0 },
};
static const struct decode_checked preopen_path = {
    spec_check_not_empty, "E-WASM-PREOPEN", "directory"
};
static const struct walk_field preopen_fields[] = {
    { "source",   &type_checked, AT(spec_preopen, source), WALK_REQUIRED, &preopen_path,
      .doc = "a folder of the host" },
    { "target",   &type_checked, AT(spec_preopen, target), WALK_REQUIRED, &preopen_path,
      .doc = "where the module sees it" },
    { "readonly", &type_bool,    AT(spec_preopen, readonly), 0, NULL,
      .doc = "it cannot be written" },
    { 0 },
};
static const struct walk_list preopen_list = {
    .shape = SHAPE(preopen_fields, .noun = "a preopened directory",
                   .shorthand = "preopens: [{source: /here, target: /there}]"),
    .item_size = sizeof(struct spec_preopen), .count_offset = AT(spec_wasm, n_preopens),
};
static const struct decode_checked secret = {
    spec_check_secret_name, "E-WASM-SECRET", "name of a secret"
};
static const struct decode_integer max_instances = { 4, false, 1, UINT32_MAX, "E-WASM-INSTANCES", true };
static const struct walk_field wasm_fields[] = {
    { "min_instances",       &type_integer,  AT(spec_wasm, min_instances), 0, &spec_any_u32,
      .doc = "kept warm" },
    { "max_instances",       &type_integer,  AT(spec_wasm, max_instances), 0, &max_instances,
      .doc = "never more" },
    { "idle_timeout",        &type_duration, AT(spec_wasm, idle_timeout_ms), 0, NULL,
      .doc = "an idle instance ends after this" },
    { "request_timeout",     &type_duration, AT(spec_wasm, request_timeout_ms), 0, NULL,
      .doc = "of one request" },
    { "max_memory",          &type_size,     AT(spec_wasm, max_memory), 0, "E-WASM-MEMORY",
      .doc = "of the linear memory" },
    { "max_fuel",            &type_integer,  AT(spec_wasm, max_fuel), 0, &spec_any_u64,
      .doc = "instructions; 0 is unlimited" },
    { "epoch_interval",      &type_positive, AT(spec_wasm, epoch_interval_ms), 0, "E-RANGE",
      .doc = "how often time is looked at" },
    { "capabilities",        &type_struct,   AT(spec_wasm, caps), 0,
      SHAPE(caps_fields, .noun = "capabilities", .shorthand = "capabilities: {metrics: false}"),
      .doc = "interfaces to link; absent ones are as the kind has them" },
    { "allow_http_outgoing", &type_bool,     AT(spec_wasm, allow_http_outgoing), 0, NULL,
      .doc = "outgoing HTTP, where `http_client` is granted" },
    { "allowed_hosts",       &type_texts,    AT(spec_wasm, allowed_hosts), 0, NULL,
      .doc = "hosts that may be asked; empty is all" },
    { "allow_tcp",           &type_bool,     AT(spec_wasm, allow_tcp), 0, NULL,
      .doc = "TCP sockets and names of a component" },
    { "allow_udp",           &type_bool,     AT(spec_wasm, allow_udp), 0, NULL,
      .doc = "UDP sockets and names of a component" },
    { "preopens",            &type_list,     AT(spec_wasm, preopens), 0, &preopen_list,
      .doc = "folders of the host" },
    { "kv_enabled",          &type_bool,     AT(spec_wasm, kv_enabled), 0, NULL,
      .doc = "a key-value store" },
    { "kv_namespace",        &type_text,     AT(spec_wasm, kv_namespace), 0, NULL,
      .doc = "absent is the service's name" },
    { "kv_max_value_size",   &type_integer,  AT(spec_wasm, kv_max_value_size), 0, &spec_any_u64,
      .doc = "bytes" },
    { "secrets",             &type_checked_texts, AT(spec_wasm, secrets), 0, &secret,
      .doc = "names of secrets that the module may read" },
    { "precompile",          &type_bool,     AT(spec_wasm, precompile), 0, NULL,
      .doc = "compile when it is deployed" },
    { 0 },
};
static const struct spec_wasm wasm_initial = {
    .max_instances = 10, .idle_timeout_ms = 300000, .request_timeout_ms = 30000,
    .allow_http_outgoing = true, .kv_enabled = true, .kv_max_value_size = 1048576,
    .precompile = true,
};
const struct walk_list spec_wasm_part =
    PART(spec_wasm, SHAPE(wasm_fields, .noun = "wasm"), &wasm_initial);
/* clang-format on */
