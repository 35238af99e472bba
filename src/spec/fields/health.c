// SPDX-License-Identifier: Apache-2.0
/* Rows about health, scale, placement, order, and what happens when something fails. */
#include "spec/dump/dump_value.h"
#include "spec/fields/fields.h"

#include "spec/fields/rules.h"
#include "spec/fields/schema.h"

/* clang-format off */

/* ---- health ----------------------------------------------------------------------------------- */

static const struct walk_word check_words[] = {
    { "tcp",     SPEC_CHECK_TCP, NULL },
    { "http",    SPEC_CHECK_HTTP, NULL },
    { "command", SPEC_CHECK_COMMAND, NULL },
    { "exec",    SPEC_CHECK_COMMAND, "command" },
    { 0 },
};
static const struct decode_integer port_or_pick = { 2, false, 0, UINT16_MAX, "E-PORT" };
static const struct decode_integer http_status = { 2, false, 100, 599, "E-HEALTH-STATUS" };
static const struct walk_field check_tcp[] = {
    { "port", &type_integer, offsetof(struct spec_health, port), WALK_REQUIRED, &port_or_pick,
      .doc = "connect to this port; 0: that of the first HTTP endpoint, else of the first tcp one" },
    { 0 },
};
static const struct walk_field check_http[] = {
    { "url",           &type_text,    offsetof(struct spec_health, url), WALK_REQUIRED, NULL,
      .doc = "GET this, `http://…` or a path that begins with `/`; `localhost` means the container" },
    { "expect_status", &type_integer, offsetof(struct spec_health, expect_status), 0, &http_status,
      .doc = "the status that is healthy" },
    { 0 },
};
static const struct walk_field check_command[] = {
    { "command", &type_text, offsetof(struct spec_health, command), WALK_REQUIRED, NULL,
      .doc = "for `sh -c` inside the container; exit code 0 is healthy" },
    { 0 },
};
static const struct walk_shape check_shapes[] = {
    [SPEC_CHECK_TCP]     = { "a tcp check", check_tcp, .discriminator = "type", .drops_unknown = true,
                             .shorthand = "check: {type: tcp, port: 80}" },
    [SPEC_CHECK_HTTP]    = { "an http check", check_http, .discriminator = "type", .drops_unknown = true },
    [SPEC_CHECK_COMMAND] = { "a command check", check_command, .discriminator = "type", .drops_unknown = true },
};
static const struct walk_variants checks = { 
    "a health check", "type", check_words, check_shapes, offsetof(struct spec_health, check),
    .takes_lists = true,
};

static const struct walk_word unhealthy_words[] = {
    { "replace", SPEC_UNHEALTHY_REPLACE, NULL },
    { "restart", SPEC_UNHEALTHY_RESTART, NULL },
    { "none",    SPEC_UNHEALTHY_NONE, NULL },
    { 0 },
};
static const struct walk_field health_fields[] = {
    { "check",        &type_variant,  0, WALK_REQUIRED, &checks,
      .doc = "how it is probed" },
    { "start_grace",  &type_duration, AT(spec_health, start_grace_ms), 0, NULL,
      .doc = "before the first probe" },
    { "interval",     &type_positive, AT(spec_health, interval_ms), 0, "E-HEALTH-INTERVAL",
      .doc = "between two probes" },
    { "timeout",      &type_positive, AT(spec_health, timeout_ms),  0, "E-HEALTH-INTERVAL",
      .doc = "of one probe" },
    { "retries",      &type_integer,  AT(spec_health, retries),     0, &spec_any_u32,
      .doc = "failures in a row before it is unhealthy; 0 acts as 1" },
    { "on_unhealthy", &type_enum,     AT(spec_health, on_unhealthy), WALK_EXTENSION, unhealthy_words,
      .doc = "what is done about an unhealthy replica" },
    { 0 },
};
const struct walk_shape spec_health_shape = {
    .noun = "health", .fields = health_fields, .shorthand = "health: {check: {type: tcp, port: 80}}"
};

/* ---- scale, groups, placement ----------------------------------------------------------------- */

static const struct walk_word scale_words[] = {
    { "adaptive", SPEC_SCALE_ADAPTIVE, NULL },
    { "fixed",    SPEC_SCALE_FIXED, NULL },
    { "manual",   SPEC_SCALE_MANUAL, NULL },
    { 0 },
};
static const struct decode_integer percentage = { 1, false, 1, 100, "E-SCALE-TARGET" };
static const struct walk_type type_rps = { "a whole number", decode_integer, value_nonzero, schema_integer };
static const struct walk_field target_fields[] = {
    { "cpu",    &type_integer, AT(spec_targets, cpu),    0, &percentage,
      .doc = "percent of the limit" },
    { "memory", &type_integer, AT(spec_targets, memory), 0, &percentage,
      .doc = "percent of the limit" },
    { "rps",    &type_rps,     AT(spec_targets, rps),    0, &spec_any_u32,
      .doc = "requests per second and replica" },
    { 0 },
};
static const struct walk_field scale_adaptive[] = {
    { "min",      &type_integer,  AT(spec_service, scale_min), WALK_REQUIRED, &spec_any_u32,
      .doc = "never fewer" },
    { "max",      &type_integer,  AT(spec_service, scale_max), WALK_REQUIRED, &spec_any_u32,
      .doc = "never more" },
    { "cooldown", &type_duration, AT(spec_service, scale_cooldown_ms), 0, NULL,
      .doc = "between two changes" },
    { "targets",  &type_struct,   AT(spec_service, scale_targets), 0,
      SHAPE(target_fields, .noun = "targets", .shorthand = "targets: {cpu: 70}"),
      .doc = "a metric at its target adds a replica; all at half of theirs take one away" },
    { 0 },
};
static const struct walk_field scale_fixed[] = {
    { "replicas", &type_integer, AT(spec_service, replicas), WALK_REQUIRED, &spec_any_u32,
      .doc = "exactly so many; 0 is allowed" },
    { 0 },
};
static const struct walk_field scale_manual[] = { { 0 } };
static const struct walk_shape scale_shapes[] = {
    [SPEC_SCALE_ADAPTIVE] = { "an adaptive scale", scale_adaptive, .discriminator = "mode",
                              .shorthand = "scale: {mode: fixed, replicas: 3}" },
    [SPEC_SCALE_FIXED]    = { "a fixed scale", scale_fixed, .discriminator = "mode" },
    [SPEC_SCALE_MANUAL]   = { "a manual scale", scale_manual, .discriminator = "mode", .drops_unknown = true },
};
const struct walk_variants spec_scales = {
    "scale", "mode", scale_words, scale_shapes, AT(spec_service, scale_mode), .takes_lists = true,
};

static const struct decode_integer group_count = { 4, false, 1, UINT32_MAX, "E-GROUP-COUNT" };
static const struct decode_checked role = { spec_check_role, "E-ROLE", "role" };
static const struct walk_field group_fields[] = {
    { "role",      &type_checked,  AT(spec_replica_group, role), WALK_REQUIRED, &role,
      .doc = "the name of the group; part of names" },
    { "count",     &type_integer,  AT(spec_replica_group, count), WALK_REQUIRED, &group_count,
      .doc = "replicas of it" },
    { "image",     &type_optional, AT(spec_replica_group, image), 0, &spec_image_part,
      .doc = "instead of the service's" },
    { "env",       &type_env,      AT(spec_replica_group, env), 0, NULL,
      .doc = "added to the service's, and wins" },
    { "command",   &type_optional, AT(spec_replica_group, command), 0, &spec_command_part,
      .doc = "instead of the service's, as a whole" },
    { "resources", &type_optional, AT(spec_replica_group, resources), WALK_UNCHECKED, &spec_resources_part,
      .doc = "instead of the service's, as a whole" },
    { "affinity",  &type_affinity, AT(spec_replica_group, affinity), WALK_TAGGED, NULL,
      .doc = "as that of a service" },
    { 0 },
};
const struct walk_list spec_group_list = {
    .shape = SHAPE(group_fields, .noun = "a replica group",
                   .shorthand = "replica_groups: [{role: NAME, count: N}]"),
    .item_size = sizeof(struct spec_replica_group), .count_offset = AT(spec_service, n_groups),
};

static const struct walk_field node_selector_fields[] = {
    { "labels",        &type_labels, AT(spec_node_selector, labels), 0, NULL,
      .doc = "must be the node's" },
    { "prefer_labels", &type_labels, AT(spec_node_selector, prefer_labels), 0, NULL,
      .doc = "should be the node's" },
    { 0 },
};
const struct walk_list spec_node_selector_part =
    PART(spec_node_selector, SHAPE(node_selector_fields, .noun = "node_selector",
                                   .shorthand = "node_selector: {labels: {NAME: VALUE}}"), NULL);

/* ---- depends, restart, errors ---------------------------------------------------------------- */

const struct walk_word spec_condition_words[] = {
    { "started", SPEC_STARTED, NULL },
    { "healthy", SPEC_HEALTHY, NULL },
    { "ready",   SPEC_READY,   NULL },
    { 0 },
};
static const struct walk_word on_timeout_words[] = {
    { "fail",     SPEC_TIMEOUT_FAIL,     NULL },
    { "warn",     SPEC_TIMEOUT_WARN,     NULL },
    { "continue", SPEC_TIMEOUT_CONTINUE, NULL },
    { 0 },
};
static const struct walk_field depends_fields[] = {
    { "service",    &type_text,     AT(spec_depends, service), WALK_REQUIRED, NULL,
      .doc = "the name of another service" },
    { "condition",  &type_enum,     AT(spec_depends, condition),  0, spec_condition_words,
      .doc = "`started`: its process runs; `healthy`: its check passes; `ready`: it can be routed to" },
    { "timeout",    &type_duration, AT(spec_depends, timeout_ms), 0, NULL,
      .doc = "the longest wait" },
    { "on_timeout", &type_enum,     AT(spec_depends, on_timeout), 0, on_timeout_words,
      .doc = "`fail` stops the start, `warn` tells and goes on, `continue` goes on" },
    { 0 },
};
static const struct walk_habit depends_habits[] = {
    { "name", "'service'" }, { "on_failure", "'on_timeout'" }, { 0 },
};
static const struct walk_shape depends_shape = {
    "a dependency", depends_fields, depends_habits, "depends: [{service: NAME}]", NULL
};
static const struct spec_depends depends_initial = {
    .condition = SPEC_HEALTHY, .timeout_ms = 300000, .on_timeout = SPEC_TIMEOUT_FAIL
};
const struct walk_list spec_depends_list = {
    .shape = &depends_shape, .item_size = sizeof(struct spec_depends),
    .count_offset = AT(spec_service, n_depends), .initial = &depends_initial,
};

static const struct walk_word restart_words[] = {
    { "no",             SPEC_RESTART_NO, NULL },
    { "always",         SPEC_RESTART_ALWAYS, NULL },
    { "unless_stopped", SPEC_RESTART_UNLESS_STOPPED, NULL },
    { "on_failure",     SPEC_RESTART_ON_FAILURE, NULL },
    { 0 },
};
static const struct walk_field restart_fields[] = {
    { "kind",         &type_enum,     AT(spec_restart_policy, kind), WALK_REQUIRED, restart_words,
      .doc = "after which ends it starts again" },
    { "max_attempts", &type_integer,  AT(spec_restart_policy, max_attempts), 0, &spec_any_u32,
      .doc = "of `on_failure`; 0 is without limit" },
    { "delay",        &type_delay,    AT(spec_restart_policy, delay_ms), WALK_UNCHECKED, NULL,
      .doc = "the first pause" },
    { "max_delay",    &type_duration, AT(spec_restart_policy, max_delay_ms), WALK_EXTENSION, NULL,
      .doc = "the ceiling of the pauses, which double" },
    { "reset_after",  &type_duration, AT(spec_restart_policy, reset_after_ms), WALK_EXTENSION, NULL,
      .doc = "time up after which the pauses begin anew" },
    { 0 },
};
const struct walk_shape spec_restart_shape = {
    .noun = "restart_policy", .fields = restart_fields,
    .shorthand = "restart_policy: {kind: always}"
};

static const struct walk_word panic_words[] = {
    { "restart",  SPEC_PANIC_RESTART, NULL },
    { "shutdown", SPEC_PANIC_SHUTDOWN, NULL },
    { "isolate",  SPEC_PANIC_ISOLATE, NULL },
    { 0 },
};
static const struct walk_word on_init_words[] = {
    { "fail",    SPEC_INIT_FAIL, NULL },
    { "restart", SPEC_INIT_RESTART, NULL },
    { "backoff", SPEC_INIT_BACKOFF, NULL },
    { 0 },
};
static const struct walk_field panic_fields[] = {
    { "action", &type_enum, AT(spec_service, on_panic), 0, panic_words,
      .doc = "`restart`; `shutdown`: stop the service, failed; `isolate`: keep the replica for inspection" },
    { 0 },
};
static const struct walk_field on_init_fields[] = {
    { "action", &type_enum, AT(spec_service, on_init_failure), 0, on_init_words,
      .doc = "`fail`; `restart`: up to 3 more rounds; `backoff`: the same, 1, 2 and 4 s apart" },
    { 0 },
};
static const struct walk_field errors_fields[] = {
    { "on_init_failure", &type_here, 0, 0, SHAPE(on_init_fields, .noun = "on_init_failure",
                                                 .shorthand = "on_init_failure: {action: fail}"),
      .doc = "when a step of `init` fails" },
    { "on_panic",        &type_here, 0, 0, SHAPE(panic_fields, .noun = "on_panic",
                                                 .shorthand = "on_panic: {action: restart}"),
      .doc = "when the process ends with another code than 0" },
    { 0 },
};
const struct walk_shape spec_errors_shape = {
    .noun = "errors", .fields = errors_fields, .shorthand = "errors: {on_panic: {action: restart}}"
};
/* clang-format on */
