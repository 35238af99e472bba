// SPDX-License-Identifier: Apache-2.0
/*
 * One table per mapping of the document, in the order in which docs/spec.md explains the fields. A
 * LATER row is a field of v1 that this version does not implement: it is refused, never ignored. To
 * implement it, give the row its decode function.
 */
#include "spec/fields.h"

#include "spec/decode.h"
#include "spec/name.h"

#define LATER(name)                                                                                \
    {                                                                                              \
        name, NULL, 0, 0, NULL                                                                     \
    }
#define SHAPE(rows, ...) (&(const struct walk_shape){ .fields = (rows), __VA_ARGS__ })

static const struct decode_integer any_u32 = { 4, false, 0, UINT32_MAX, "E-RANGE" };
static const struct decode_integer endpoint_port = { 2, false, 1, UINT16_MAX, "E-PORT" };
static const struct decode_integer target_port = { 2, false, 1, UINT16_MAX, "E-TARGET-PORT" };
static const struct decode_integer port_or_pick = { 2, false, 0, UINT16_MAX, "E-PORT" };

/* clang-format off */

/* ---- image, command, resources --------------------------------------------------------------- */

static const struct walk_word pull_words[] = {
    { "if_not_present", SPEC_PULL_IF_NOT_PRESENT, false },
    { "always",         SPEC_PULL_ALWAYS,         false },
    { "newer",          SPEC_PULL_NEWER,          false },
    { "never",          SPEC_PULL_NEVER,          false },
    { 0 },
};

static const struct walk_field image_fields[] = {
    { "name",          &type_image, offsetof(struct spec_image, name), WALK_REQUIRED, NULL },
    { "pull_policy",   &type_enum,  offsetof(struct spec_image, pull), 0, pull_words },
    LATER("source_policy"),
    { 0 },
};

static const struct decode_checked workdir = { spec_check_abs_path, "E-WORKDIR", "directory" };
static const struct walk_field command_fields[] = {
    { "entrypoint", &type_texts,   offsetof(struct spec_command, entrypoint), 0, NULL },
    { "args",       &type_texts,   offsetof(struct spec_command, args),       0, NULL },
    { "workdir",    &type_checked, offsetof(struct spec_command, workdir),    0, &workdir },
    { 0 },
};

static const struct decode_integer pids = { 8, true, -1, INT64_MAX, "E-PIDS" };
static const struct decode_integer shares = { 4, false, 2, UINT32_MAX, "E-CPU-SHARES" };
static const struct decode_integer oom_adj = { 4, true, -1000, 1000, "E-OOM-ADJ" };
static const struct decode_checked cpuset = { spec_check_cpuset, "E-CPUSET", "list of CPUs" };

/* 0 is another way to write "unlimited"; in the struct it means that nothing was said. */
static void decode_pids(struct walk *w, const struct walk_field *f, const struct doc_node *n,
                        void *owner)
{
    struct spec_resources *r = owner;
    decode_integer(w, f, n, owner);
    if (!r->pids_limit)
        r->pids_limit = -1;
}
static const struct walk_type type_pids = { "a whole number", decode_pids };

static const struct walk_field resources_fields[] = {
    { "cpu",                &type_cpu,     offsetof(struct spec_resources, cpu),                0, NULL },
    { "memory",             &type_size,    offsetof(struct spec_resources, memory),             0, "E-MEMORY" },
    { "memory_swap",        &type_swap,    offsetof(struct spec_resources, memory_swap),        0, NULL },
    { "memory_reservation", &type_size,    offsetof(struct spec_resources, memory_reservation), 0, "E-MEMORY" },
    LATER("memory_swappiness"),
    { "pids_limit",         &type_pids,    offsetof(struct spec_resources, pids_limit),         0, &pids },
    { "cpuset",             &type_checked, offsetof(struct spec_resources, cpuset),             0, &cpuset },
    { "cpu_shares",         &type_integer, offsetof(struct spec_resources, cpu_shares),         0, &shares },
    { "oom_score_adj",      &type_integer, offsetof(struct spec_resources, oom_score_adj),    0, &oom_adj,
      offsetof(struct spec_resources, has_oom_score_adj) },
    LATER("oom_kill_disable"),
    LATER("blkio_weight"),
    LATER("gpu"),
    { 0 },
};

/* ---- health, scale --------------------------------------------------------------------------- */

static const struct walk_word check_words[] = {
    { "tcp",     SPEC_CHECK_TCP,     false },
    { "http",    SPEC_CHECK_HTTP,    false },
    { "command", SPEC_CHECK_COMMAND, false },
    { "exec",    SPEC_CHECK_COMMAND, false, .instead = "command" },
    { 0 },
};

static const struct decode_integer http_status = { 2, false, 100, 599, "E-HEALTH-STATUS" };
static const struct walk_field check_tcp[] = {
    { "port", &type_integer, offsetof(struct spec_health, port), WALK_REQUIRED, &port_or_pick },
    { 0 },
};
static const struct walk_field check_http[] = {
    { "url",           &type_text,    offsetof(struct spec_health, url), WALK_REQUIRED, NULL },
    { "expect_status", &type_integer, offsetof(struct spec_health, expect_status), 0, &http_status },
    { 0 },
};
static const struct walk_field check_command[] = {
    { "command", &type_text, offsetof(struct spec_health, command), WALK_REQUIRED, NULL },
    { 0 },
};
static const struct walk_shape check_shapes[] = {
    [SPEC_CHECK_TCP]     = { "a tcp check", check_tcp, .discriminator = "type",
                             .shorthand = "check: {type: tcp, port: 80}" },
    [SPEC_CHECK_HTTP]    = { "an http check", check_http, .discriminator = "type" },
    [SPEC_CHECK_COMMAND] = { "a command check", check_command, .discriminator = "type" },
};
static const struct walk_variants checks = { 
    "a health check", "type", check_words, check_shapes, offsetof(struct spec_health, check)
};

static const struct walk_field health_fields[] = {
    { "check",        &type_variant, 0, WALK_REQUIRED, &checks },
    { "start_grace",  &type_duration, offsetof(struct spec_health, start_grace_ms), 0, NULL },
    { "interval",     &type_positive, offsetof(struct spec_health, interval_ms), 0, "E-HEALTH-INTERVAL" },
    { "timeout",      &type_positive, offsetof(struct spec_health, timeout_ms),  0, "E-HEALTH-INTERVAL" },
    { "retries",      &type_integer,  offsetof(struct spec_health, retries),     0, &any_u32 },
    LATER("on_unhealthy"),
    { 0 },
};

static const struct walk_word scale_words[] = {
    { "fixed",    SPEC_SCALE_FIXED,    false },
    { "manual",   SPEC_SCALE_MANUAL,   false },
    { "adaptive", SPEC_SCALE_ADAPTIVE, true },
    { 0 },
};
static const struct walk_field scale_fixed[] = {
    { "replicas", &type_integer, offsetof(struct spec_service, replicas), WALK_REQUIRED, &any_u32 },
    { 0 },
};
static const struct walk_field scale_manual[] = { { 0 } };
static const struct walk_shape scale_shapes[] = {
    [SPEC_SCALE_ADAPTIVE] = { .shorthand = "scale: {mode: fixed, replicas: 3}" },
    [SPEC_SCALE_FIXED]  = { "a fixed scale", scale_fixed, .discriminator = "mode",
                       .shorthand = "scale: {mode: fixed, replicas: 3}" },
    [SPEC_SCALE_MANUAL] = { "a manual scale", scale_manual, .discriminator = "mode" },
};
static const struct walk_variants scales = { 
    "scale", "mode", scale_words, scale_shapes, offsetof(struct spec_service, scale_mode)
};

/* ---- depends, restart, errors ---------------------------------------------------------------- */

const struct walk_word spec_condition_words[] = {
    { "started", SPEC_STARTED, false },
    { "healthy", SPEC_HEALTHY, false },
    { "ready",   SPEC_READY,   false },
    { 0 },
};
static const struct walk_word on_timeout_words[] = {
    { "fail",     SPEC_TIMEOUT_FAIL,     false },
    { "warn",     SPEC_TIMEOUT_WARN,     false },
    { "continue", SPEC_TIMEOUT_CONTINUE, false },
    { 0 },
};
static const struct walk_field depends_fields[] = {
    { "service",    &type_text,     offsetof(struct spec_depends, service), WALK_REQUIRED, NULL },
    { "condition",  &type_enum,     offsetof(struct spec_depends, condition),  0, spec_condition_words },
    { "timeout",    &type_duration, offsetof(struct spec_depends, timeout_ms), 0, NULL },
    { "on_timeout", &type_enum,     offsetof(struct spec_depends, on_timeout), 0, on_timeout_words },
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
static const struct walk_list depends_list = {
    .shape = &depends_shape, .item_size = sizeof(struct spec_depends),
    .count_offset = offsetof(struct spec_service, n_depends), .initial = &depends_initial,
};

static const struct walk_word restart_words[] = {
    { "no",             SPEC_RESTART_NO,             false },
    { "always",         SPEC_RESTART_ALWAYS,         false },
    { "unless_stopped", SPEC_RESTART_UNLESS_STOPPED, false },
    { "on_failure",     SPEC_RESTART_ON_FAILURE,     false },
    { 0 },
};
static const struct walk_field restart_fields[] = {
    { "kind",         &type_enum,     offsetof(struct spec_restart_policy, kind), WALK_REQUIRED, restart_words },
    { "max_attempts", &type_integer,  offsetof(struct spec_restart_policy, max_attempts), 0, &any_u32 },
    { "delay",        &type_duration, offsetof(struct spec_restart_policy, delay_ms), 0, NULL },
    LATER("max_delay"),
    LATER("reset_after"),
    { 0 },
};

static const struct walk_word panic_words[] = {
    { "restart",  SPEC_PANIC_RESTART,  false },
    { "shutdown", SPEC_PANIC_SHUTDOWN, false },
    { "isolate",  SPEC_PANIC_ISOLATE,  false },
    { 0 },
};
static const struct walk_field panic_fields[] = {
    { "action", &type_enum, offsetof(struct spec_service, on_panic), 0, panic_words },
    { 0 },
};
static const struct walk_field errors_fields[] = {
    LATER("on_init_failure"),
    { "on_panic",        &type_here,  0, 0, SHAPE(panic_fields, .noun = "on_panic",
                                                   .shorthand = "on_panic: {action: restart}") },
    { 0 },
};

/* ---- endpoints, storage ---------------------------------------------------------------------- */

const struct walk_word spec_protocol_words[] = {
    { "http",      SPEC_HTTP,      false },
    { "https",     SPEC_HTTPS,     false },
    { "tcp",       SPEC_TCP,       false },
    { "udp",       SPEC_UDP,       false },
    { "websocket", SPEC_WEBSOCKET, false },
    { 0 },
};
static const struct walk_word expose_words[] = {
    { "internal", SPEC_INTERNAL, false }, { "public", SPEC_PUBLIC, false }, { 0 },
};
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
    { "name",        &type_checked, offsetof(struct spec_endpoint, name), WALK_REQUIRED, &endpoint_name },
    { "protocol",    &type_enum,    offsetof(struct spec_endpoint, protocol), WALK_REQUIRED, spec_protocol_words },
    { "port",        &type_integer, offsetof(struct spec_endpoint, port), WALK_REQUIRED, &endpoint_port },
    { "target_port", &type_integer, offsetof(struct spec_endpoint, target_port), 0, &target_port },
    { "path",        &type_checked, offsetof(struct spec_endpoint, path), 0, &endpoint_path },
    { "host",        &type_checked, offsetof(struct spec_endpoint, host), 0, &endpoint_host },
    { "expose",      &type_enum,    offsetof(struct spec_endpoint, expose), 0, expose_words },
    LATER("stream"),
    LATER("target_role"),
    LATER("tunnel"),
    { 0 },
};
static const struct walk_shape endpoint_shape = {
    "an endpoint", endpoint_fields, NULL, "endpoints: [{name: web, protocol: http, port: 80}]", NULL
};
static const struct walk_list endpoint_list = {
    .shape = &endpoint_shape, .item_size = sizeof(struct spec_endpoint),
    .count_offset = offsetof(struct spec_service, n_endpoints),
};

static const struct walk_word storage_words[] = {
    { "bind",      SPEC_MOUNT_BIND,      false },
    { "named",     SPEC_MOUNT_NAMED,     true },
    { "anonymous", SPEC_MOUNT_ANONYMOUS, true },
    { "tmpfs",     SPEC_MOUNT_TMPFS,     false },
    { "s3",        SPEC_MOUNT_S3,        true },
    { 0 },
};
static const struct decode_checked mount_target = {
    spec_check_mount_target, "E-MOUNT-TARGET", "target"
};
static const struct walk_field bind_fields[] = {
    { "source",   &type_source,  offsetof(struct spec_storage, source), WALK_REQUIRED, NULL },
    { "target",   &type_checked, offsetof(struct spec_storage, target), WALK_REQUIRED, &mount_target },
    { "readonly", &type_bool,    offsetof(struct spec_storage, readonly), 0, NULL },
    { 0 },
};
static const struct walk_field tmpfs_fields[] = {
    { "target", &type_checked,    offsetof(struct spec_storage, target), WALK_REQUIRED, &mount_target },
    { "size",   &type_size,       offsetof(struct spec_storage, size), 0, "E-STORAGE-SIZE" },
    { "mode",   &type_tmpfs_mode, offsetof(struct spec_storage, mode), 0, NULL },
    { 0 },
};
static const struct walk_habit storage_habits[] = {
    { "read_only", "'readonly'" }, { "ro", "'readonly'" }, { "destination", "'target'" }, { 0 },
};
static const struct walk_shape storage_shapes[] = {
    [SPEC_MOUNT_BIND]  = { "a bind mount", bind_fields, storage_habits,
                           "storage: [{type: bind, source: /here, target: /there}]", "type" },
    [SPEC_MOUNT_TMPFS] = { "a tmpfs mount", tmpfs_fields, storage_habits, NULL, "type" },
};
static const struct walk_variants storage_kinds = { 
    "a mount", "type", storage_words, storage_shapes, offsetof(struct spec_storage, type)
};
static const struct walk_list storage_list = {
    .variants = &storage_kinds, .item_size = sizeof(struct spec_storage),
    .count_offset = offsetof(struct spec_service, n_storage),
};

/* ---- a service ------------------------------------------------------------------------------- */

const struct walk_word spec_rtype_words[] = {
    { "service", SPEC_SERVICE, false },
    { "job",     SPEC_JOB,     false },
    { "cron",    SPEC_CRON,    true },
    { 0 },
};
static const struct decode_checked user = { spec_check_user, "E-USER", "user" };
static const struct decode_checked hostname = { spec_check_hostname, "E-HOSTNAME", "host name" };

static const struct walk_field lifecycle_fields[] = {
    { "delete_on_exit", &type_bool, offsetof(struct spec_service, delete_on_exit), 0, NULL },
    { 0 },
};

static const struct walk_field service_fields[] = {
    /* what it is */
    { "image",       &type_struct, offsetof(struct spec_service, image), WALK_REQUIRED,
      SHAPE(image_fields, .noun = "image", .shorthand = "image: {name: REFERENCE}") },
    { "rtype",       &type_enum,   offsetof(struct spec_service, rtype), 0, spec_rtype_words },
    LATER("schedule"),
    LATER("schedule_options"),
    LATER("job_options"),
    LATER("update"),
    LATER("service_type"),
    LATER("wasm"),
    LATER("wasm_http"),
    LATER("platform"),
    { "labels",      &type_labels, offsetof(struct spec_service, labels), 0, NULL },
    LATER("logs"),
    { "lifecycle",   &type_here,   0, 0, SHAPE(lifecycle_fields, .noun = "lifecycle") },
    /* process */
    { "command",     &type_struct, offsetof(struct spec_service, command), 0,
      SHAPE(command_fields, .noun = "command",
            .shorthand = "command: {entrypoint: [PROGRAM], args: [ARGUMENT]}") },
    { "env",         &type_env,    offsetof(struct spec_service, env), 0, NULL },
    { "user",        &type_checked, offsetof(struct spec_service, user), 0, &user },
    LATER("extra_groups"),
    { "hostname",    &type_checked, offsetof(struct spec_service, hostname), 0, &hostname },
    { "tty",         &type_bool,   offsetof(struct spec_service, tty), 0, NULL },
    { "stdin_open",  &type_bool,   offsetof(struct spec_service, stdin_open), 0, NULL },
    LATER("init_container"),
    { "stop_signal", &type_signal, offsetof(struct spec_service, stop_signal), 0, NULL },
    { "stop_grace_period", &type_duration, offsetof(struct spec_service, stop_grace_ms), 0, NULL },
    { "restart_policy", &type_struct, offsetof(struct spec_service, restart), 0,
      SHAPE(restart_fields, .noun = "restart_policy",
            .shorthand = "restart_policy: {kind: always}") },
    /* resources, devices, security */
    { "resources",   &type_struct, offsetof(struct spec_service, resources), 0,
      SHAPE(resources_fields, .noun = "resources") },
    LATER("devices"),
    LATER("privileged"),
    LATER("capabilities"),
    LATER("cap_add"),
    LATER("cap_drop"),
    LATER("security_opt"),
    { "read_only_root_fs", &type_bool, offsetof(struct spec_service, read_only_root_fs), 0, NULL },
    LATER("ulimits"),
    LATER("sysctls"),
    LATER("userns_mode"),
    LATER("cgroup_parent"),
    LATER("isolation"),
    /* network */
    { "endpoints",   &type_list,   offsetof(struct spec_service, endpoints), 0, &endpoint_list },
    LATER("port_mappings"),
    LATER("expose"),
    { "network_mode", &type_network, 0, WALK_TAGGED, NULL },
    LATER("host_network"),
    LATER("network"),
    LATER("overlay"),
    LATER("dns"),
    LATER("extra_hosts"),
    LATER("localhost_reachability"),
    LATER("pid_mode"),
    LATER("ipc_mode"),
    /* scale, order, health */
    { "scale",       &type_variant, 0, 0, &scales },
    LATER("replica_groups"),
    { "depends",     &type_list,   offsetof(struct spec_service, depends), 0, &depends_list },
    { "health",      &type_struct, offsetof(struct spec_service, health), 0,
      SHAPE(health_fields, .noun = "health",
            .shorthand = "health: {check: {type: tcp, port: 80}}"),
      offsetof(struct spec_service, health.written) },
    LATER("init"),
    { "errors",      &type_here,   0, 0,
      SHAPE(errors_fields, .noun = "errors", .shorthand = "errors: {on_panic: {action: restart}}") },
    { "storage",     &type_list,   offsetof(struct spec_service, storage), 0, &storage_list },
    /* placement */
    LATER("node_mode"),
    LATER("node_selector"),
    LATER("affinity"),
    { 0 },
};

static const struct walk_habit service_habits[] = {
    { "volumes",     "'storage'" },
    { "mounts",      "'storage'" },
    { "depends_on",  "'depends'" },
    { "ports",       "'endpoints' or 'port_mappings'" },
    { "environment", "'env'" },
    { "replicas",    "'scale: {mode: fixed, replicas: N}'" },
    { "runtime",     "'service_type' and 'wasm'" },
    { "restart",     "'restart_policy'" },
    { "cmd",         "'command: {args: […]}'" },
    { "entrypoint",  "'command: {entrypoint: […]}'" },
    { "args",        "'command: {args: […]}'" },
    { "workdir",     "'command: {workdir: …}'" },
    { "working_dir", "'command: {workdir: …}'" },
    { "healthcheck", "'health'" },
    { "memory",      "'resources: {memory: …}'" },
    { "cpus",        "'resources: {cpu: …}'" },
    { "read_only",   "'read_only_root_fs'" },
    { 0 },
};

const struct walk_shape spec_service_shape = {
    "a service", service_fields, service_habits, "NAME: {image: {name: REFERENCE}}", NULL
};

const struct spec_service spec_service_initial = {
    .rtype = SPEC_SERVICE,
    .replicas = 1,
    .health = { .expect_status = 200, .start_grace_ms = 5000, .interval_ms = 10000,
                .timeout_ms = 5000, .retries = 3 },
    .stop_grace_ms = UINT64_MAX, /* not said: depends on rtype */
};

/* ---- the document ---------------------------------------------------------------------------- */

static void decode_services(struct walk *w, const struct walk_field *f, const struct doc_node *n,
                            void *owner)
{
    if (n->kind != DOC_MAP)
        walk_type_error(w, n, "a mapping", "services: {NAME: {image: {name: REFERENCE}}}");
    else
        *DECODE_MEMBER(const struct doc_node *, f, owner) = n;
}
static const struct walk_type type_services = { "a mapping of services", decode_services };

static const struct decode_checked version = { spec_check_version, "E-VERSION", "version" };
static const struct decode_checked deployment = {
    spec_check_deployment_name, "E-DEPLOYMENT-NAME", "deployment name"
};
static const struct walk_field document_fields[] = {
    { "version",    &type_checked,  offsetof(struct spec_document, version), WALK_REQUIRED, &version },
    { "deployment", &type_checked,  offsetof(struct spec_document, deployment), WALK_REQUIRED, &deployment },
    { "services",   &type_services, offsetof(struct spec_document, services), 0, NULL },
    LATER("externals"),
    LATER("tunnels"),
    LATER("api"),
    { 0 },
};
static const struct walk_habit document_habits[] = {
    { "name", "'deployment'" }, { "apiVersion", "'version: v1'" }, { 0 },
};
const struct walk_shape spec_document_shape = {
    "the document", document_fields, document_habits,
    "version: v1, deployment: NAME, services: {…}", NULL
};
/* clang-format on */
