// SPDX-License-Identifier: Apache-2.0
/* The rows of a service and of the document, in the order in which docs/spec.md explains them. */
#include "spec/fields.h"

#include "spec/name.h"
#include "spec/rules.h"

/* clang-format off */

const struct decode_integer spec_any_u32 = { 4, false, 0, UINT32_MAX, "E-RANGE" };
const struct decode_integer spec_any_u64 = { 8, false, 0, UINT64_MAX, "E-RANGE" };

/* ---- a service -------------------------------------------------------------------------------- */

const struct walk_word spec_rtype_words[] = {
    { "service", SPEC_SERVICE, NULL },
    { "job",     SPEC_JOB, NULL },
    { "cron",    SPEC_CRON, NULL },
    { 0 },
};
static const struct walk_word isolation_words[] = {
    { "auto",    SPEC_ISOLATION_AUTO, NULL },
    { "process", SPEC_ISOLATION_PROCESS, NULL },
    { "hyperv",  SPEC_ISOLATION_HYPERV, NULL },
    { 0 },
};
static const struct walk_word localhost_words[] = {
    { "auto",   SPEC_LOCALHOST_AUTO, NULL },
    { "always", SPEC_LOCALHOST_ALWAYS, NULL },
    { "never",  SPEC_LOCALHOST_NEVER, NULL },
    { 0 },
};
static const struct walk_word node_mode_words[] = {
    { "shared",    SPEC_NODE_SHARED, NULL },
    { "dedicated", SPEC_NODE_DEDICATED, NULL },
    { "exclusive", SPEC_NODE_EXCLUSIVE, NULL },
    { 0 },
};

static const struct decode_checked user = { spec_check_user, "E-USER", "user" };
static const struct decode_checked hostname = { spec_check_hostname, "E-HOSTNAME", "host name" };
static const struct decode_checked capability = {
    spec_check_capability, "E-CAPABILITY", "capability"
};
static const struct decode_checked security_opt = {
    spec_check_security_opt, "E-SECURITY-OPT", "option"
};
static const struct decode_checked exposed = { spec_check_exposed_port, "E-EXPOSE", "port" };
static const struct decode_checked dns = { spec_check_ip, "E-DNS-ADDR", "resolver" };
static const struct decode_checked extra_host = { spec_check_extra_host, "E-EXTRA-HOST", "host" };
static const struct decode_checked pid_mode = { spec_check_pid_mode, "E-NS-MODE", "pid_mode" };
static const struct decode_checked ipc_mode = { spec_check_ipc_mode, "E-NS-MODE", "ipc_mode" };

static const struct walk_field lifecycle_fields[] = {
    { "delete_on_exit", &type_bool, AT(spec_service, delete_on_exit), 0, NULL },
    { 0 },
};

#define OF(member) AT(spec_service, member)
static const struct walk_field service_fields[] = {
    /* what it is */
    { "image",             &type_struct,   OF(image), WALK_REQUIRED, &spec_image_shape },
    { "rtype",             &type_enum,     OF(rtype), WALK_HASHED, spec_rtype_words },
    { "schedule",          &type_cron,     OF(schedule), WALK_LIVE, NULL },
    { "schedule_options",  &type_optional, OF(schedule_options), WALK_EXTENSION | WALK_LIVE, &spec_schedule_part },
    { "job_options",       &type_optional, OF(job_options), WALK_EXTENSION | WALK_LIVE, &spec_job_part },
    { "update",            &type_optional, OF(update), WALK_EXTENSION | WALK_LIVE, &spec_update_part },
    { "service_type",      &type_enum,     OF(type), 0, spec_service_type_words },
    { "wasm",              &type_optional, OF(wasm), 0, &spec_wasm_part },
    { "wasm_http",         &type_optional, OF(wasm), WALK_ALIAS | WALK_DEPRECATED, &spec_wasm_part },
    { "platform",          &type_optional, OF(platform), 0, &spec_platform_part },
    { "labels",            &type_labels,   OF(labels), WALK_HASHED, NULL },
    { "logs",              &type_optional, OF(logs), WALK_LIVE, &spec_logs_part },
    { "lifecycle",         &type_here,     0, WALK_LIVE, SHAPE(lifecycle_fields, .noun = "lifecycle") },
    /* process */
    { "command",           &type_struct,   OF(command), WALK_HASHED, &spec_command_shape },
    { "env",               &type_env,      OF(env), WALK_HASHED, NULL },
    { "user",              &type_checked,  OF(user), WALK_HASHED, &user },
    { "extra_groups",      &type_texts,    OF(extra_groups), 0, NULL },
    { "hostname",          &type_checked,  OF(hostname), WALK_HASHED, &hostname },
    { "tty",               &type_bool,     OF(tty), WALK_HASHED, NULL },
    { "stdin_open",        &type_bool,     OF(stdin_open), WALK_HASHED, NULL },
    { "init_container",    &type_bool,     OF(init_container), 0, NULL },
    { "stop_signal",       &type_signal,   OF(stop_signal), WALK_HASHED, NULL },
    { "stop_grace_period", &type_duration, OF(stop_grace_ms), WALK_LIVE, NULL },
    { "restart_policy",    &type_struct,   OF(restart), WALK_LIVE, &spec_restart_shape },
    /* resources, devices, security */
    { "resources",         &type_struct,   OF(resources), 0, &spec_resources_shape },
    { "devices",           &type_list,     OF(devices), 0, &spec_device_list },
    { "privileged",        &type_bool,     OF(privileged), 0, NULL },
    { "capabilities",      &type_checked_texts, OF(cap_add), 0, &capability },
    { "cap_add",           &type_checked_texts, OF(cap_add), WALK_ALIAS, &capability },
    { "cap_drop",          &type_checked_texts, OF(cap_drop), 0, &capability },
    { "security_opt",      &type_checked_texts, OF(security_opt), 0, &security_opt },
    { "read_only_root_fs", &type_bool,     OF(read_only_root_fs), WALK_HASHED, NULL },
    { "ulimits",           &type_map,      OF(ulimits), 0, &spec_ulimit_map },
    { "sysctls",           &type_sysctls,  OF(sysctls), 0, NULL },
    { "userns_mode",       &type_text,     OF(userns_mode), 0, NULL },
    { "cgroup_parent",     &type_text,     OF(cgroup_parent), 0, NULL },
    { "isolation",         &type_enum,     OF(isolation), 0, isolation_words },
    /* network */
    { "endpoints",         &type_list,     OF(endpoints), WALK_LIVE, &spec_endpoint_list },
    { "port_mappings",     &type_list,     OF(port_mappings), 0, &spec_port_mapping_list },
    { "expose",            &type_checked_texts, OF(expose), 0, &exposed },
    { "network_mode",      &type_network,  0, WALK_TAGGED | WALK_HASHED, NULL },
    { "host_network",      &type_bool,     OF(host_network), WALK_DEPRECATED, NULL },
    { "network",           &type_optional, OF(overlays), 0, &spec_network_part },
    { "overlay",           &type_optional, OF(overlay), 0, &spec_overlay_part },
    { "dns",               &type_checked_texts, OF(dns), 0, &dns },
    { "extra_hosts",       &type_checked_texts, OF(extra_hosts), 0, &extra_host },
    { "localhost_reachability", &type_enum, OF(localhost), 0, localhost_words },
    { "pid_mode",          &type_checked,  OF(pid_mode), 0, &pid_mode },
    { "ipc_mode",          &type_checked,  OF(ipc_mode), 0, &ipc_mode },
    /* scale, order, health */
    { "scale",             &type_variant,  0, WALK_LIVE, &spec_scales, OF(scale_written) },
    { "replica_groups",    &type_list,     OF(groups), 0, &spec_group_list },
    { "depends",           &type_list,     OF(depends), WALK_LIVE, &spec_depends_list },
    { "health",            &type_struct,   OF(health), WALK_LIVE, &spec_health_shape, OF(health.written) },
    { "init",              &type_here,     0, 0, &spec_init_shape },
    { "errors",            &type_here,     0, WALK_LIVE, &spec_errors_shape },
    { "storage",           &type_list,     OF(storage), WALK_HASHED, &spec_storage_list },
    /* placement */
    { "node_mode",         &type_enum,     OF(node_mode), WALK_LIVE, node_mode_words },
    { "node_selector",     &type_optional, OF(node_selector), WALK_LIVE, &spec_node_selector_part },
    { "affinity",          &type_affinity, OF(affinity), WALK_TAGGED | WALK_LIVE, NULL },
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
    "a service", service_fields, service_habits, "NAME: {image: {name: REFERENCE}}",
};

const struct spec_service spec_service_initial = {
    .rtype = SPEC_SERVICE,
    .replicas = 1,
    .scale_mode = SPEC_SCALE_ADAPTIVE,
    .scale_min = 1,
    .scale_max = 10,
    .scale_cooldown_ms = 30000,
    .health = { .expect_status = 200, .start_grace_ms = 5000, .interval_ms = 10000,
                .timeout_ms = 5000, .retries = 3 },
    .restart = { .max_delay_ms = 60000, .reset_after_ms = 600000 },
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
#define IN(member) AT(spec_document, member)
static const struct walk_field document_fields[] = {
    { "version",    &type_checked,  IN(version), WALK_REQUIRED, &version },
    { "deployment", &type_checked,  IN(deployment), WALK_REQUIRED, &deployment },
    { "services",   &type_services, IN(services), 0, NULL },
    { "externals",  &type_map,      IN(externals), 0, &spec_external_map },
    { "tunnels",    &type_map,      IN(tunnels), 0, &spec_tunnel_map },
    { "api",        &type_optional, IN(api), 0, &spec_api_part },
    { 0 },
};
static const struct walk_habit document_habits[] = {
    { "name", "'deployment'" }, { "apiVersion", "'version: v1'" }, { 0 },
};
const struct walk_shape spec_document_shape = {
    "the document", document_fields, document_habits,
    "version: v1, deployment: NAME, services: {…}",
};
/* clang-format on */
