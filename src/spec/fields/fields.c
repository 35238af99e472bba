// SPDX-License-Identifier: Apache-2.0
/* The rows of a service and of the document, in the order in which docs/spec.md explains them. */
#include "spec/fields/fields.h"

#include "spec/fields/rules.h"
#include "spec/value/name.h"

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
    { "delete_on_exit", &type_bool, AT(spec_service, delete_on_exit), 0, NULL,
      .doc = "remove the container once it has ended" },
    { 0 },
};

#define OF(member) AT(spec_service, member)
static const struct walk_field service_fields[] = {
    /* what it is */
    { "image",             &type_struct,   OF(image), WALK_REQUIRED, &spec_image_shape,
      .doc = "what is run" },
    { "rtype",             &type_enum,     OF(rtype), WALK_OWNER, spec_rtype_words,
      .doc = "`service` stays up; `job` runs to its end when it is triggered; `cron` is a job that its schedule triggers" },
    { "schedule",          &type_cron,     OF(schedule), WALK_LIVE, NULL,
      .doc = "when a cron fires: six or seven fields, or a shorthand; only with `rtype: cron`, and required there" },
    { "schedule_options",  &type_optional, OF(schedule_options), WALK_EXTENSION | WALK_LIVE, &spec_schedule_part,
      .doc = "how the schedule is read and kept" },
    { "job_options",       &type_optional, OF(job_options), WALK_EXTENSION | WALK_LIVE, &spec_job_part,
      .doc = "limits and retention of executions" },
    { "update",            &type_optional, OF(update), WALK_EXTENSION | WALK_LIVE, &spec_update_part,
      .doc = "how a change is rolled out" },
    { "service_type",      &type_enum,     OF(type), 0, spec_service_type_words,
      .doc = "`standard`, or the world of a WebAssembly module; `job` means nothing: write `rtype: job`" },
    { "wasm",              &type_optional, OF(wasm), 0, &spec_wasm_part,
      .doc = "settings of a WebAssembly module; only with a `wasm_*` kind" },
    { "wasm_http",         &type_optional, OF(wasm), WALK_ALIAS | WALK_DEPRECATED, &spec_wasm_part,
      .doc = "another spelling of `wasm`" },
    { "platform",          &type_optional, OF(platform), 0, &spec_platform_part,
      .doc = "the system and processor that are needed" },
    { "labels",            &type_labels,   OF(labels), 0, NULL,
      .doc = "free labels on the container" },
    { "logs",              &type_optional, OF(logs), WALK_LIVE, &spec_logs_part,
      .doc = "where output is kept, and how much of it" },
    { "lifecycle",         &type_here,     0, WALK_LIVE, SHAPE(lifecycle_fields, .noun = "lifecycle"),
      .doc = "what becomes of a container that has ended" },
    /* process */
    { "command",           &type_struct,   OF(command), 0, &spec_command_shape,
      .doc = "what is executed instead of the image's command" },
    { "env",               &type_env,      OF(env), 0, NULL,
      .doc = "variables; a value that begins with `$E:` or `$S:` is a reference, to a variable of the agent's or a secret" },
    { "user",              &type_checked,  OF(user), 0, &user,
      .doc = "`uid[:gid]` or `name[:group]`; absent is the image's" },
    { "extra_groups",      &type_texts,    OF(extra_groups), 0, NULL,
      .doc = "supplementary groups" },
    { "hostname",          &type_checked,  OF(hostname), 0, &hostname,
      .doc = "the name of the host inside; ignored with the host's network" },
    { "tty",               &type_bool,     OF(tty), 0, NULL,
      .doc = "a terminal as standard input and output" },
    { "stdin_open",        &type_bool,     OF(stdin_open), 0, NULL,
      .doc = "keep standard input open" },
    { "init_container",    &type_bool,     OF(init_container), 0, NULL,
      .doc = "our own process 1, which reaps; not related to `init`" },
    { "stop_signal",       &type_signal,   OF(stop_signal), 0, NULL,
      .doc = "the signal that asks for the end: `SIGTERM`, `TERM` or a number" },
    { "stop_grace_period", &type_duration, OF(stop_grace_ms), WALK_LIVE, NULL,
      .doc = "from the stop signal to the kill; absent is 30s for services, 10s for jobs" },
    { "restart_policy",    &type_struct,   OF(restart), WALK_LIVE, &spec_restart_shape,
      .doc = "when an ended container starts again; where written, `errors.on_panic` only decides about crash loops" },
    /* resources, devices, security */
    { "resources",         &type_struct,   OF(resources), 0, &spec_resources_shape,
      .doc = "upper limits" },
    { "devices",           &type_list,     OF(devices), 0, &spec_device_list,
      .doc = "devices of the host" },
    { "privileged",        &type_bool,     OF(privileged), 0, NULL,
      .doc = "all capabilities and devices, nothing masked" },
    { "capabilities",      &type_checked_texts, OF(cap_add), 0, &capability,
      .doc = "capabilities beside the default set; `ALL` is allowed" },
    { "cap_add",           &type_checked_texts, OF(cap_add), WALK_ALIAS, &capability,
      .doc = "another spelling of `capabilities`" },
    { "cap_drop",          &type_checked_texts, OF(cap_drop), 0, &capability,
      .doc = "taken from the default set before `capabilities` are added; `ALL` is allowed" },
    { "security_opt",      &type_security_opts, OF(security_opt), 0, &security_opt,
      .doc = "`no-new-privileges`, `no-new-privileges:false`, `seccomp=unconfined`, `seccomp=` and the path of a profile, `apparmor=…`, `label=…`" },
    { "read_only_root_fs", &type_bool,     OF(read_only_root_fs), 0, NULL,
      .doc = "the root file system cannot be written" },
    { "ulimits",           &type_map,      OF(ulimits), 0, &spec_ulimit_map,
      .doc = "resource limits of the process, by name: `nofile`, `nproc`, …" },
    { "sysctls",           &type_sysctls,  OF(sysctls), 0, NULL,
      .doc = "kernel settings of the container's own namespaces" },
    { "userns_mode",       &type_text,     OF(userns_mode), 0, NULL,
      .doc = "`host`, or the name of a mapping of users" },
    { "cgroup_parent",     &type_text,     OF(cgroup_parent), 0, NULL,
      .doc = "the parent cgroup; empty is unset" },
    { "isolation",         &type_enum,     OF(isolation), 0, isolation_words,
      .doc = "of containers on Windows" },
    /* network */
    { "endpoints",         &type_list,     OF(endpoints), WALK_LIVE, &spec_endpoint_list,
      .doc = "what it listens on" },
    { "port_mappings",     &type_list,     OF(port_mappings), 0, &spec_port_mapping_list,
      .doc = "ports of the host that lead to the container" },
    { "expose",            &type_checked_texts, OF(expose), 0, &exposed,
      .doc = "ports that are told of, not published: `80`, `80/tcp`, `53/udp`" },
    { "network_mode",      &type_network,  0, WALK_TAGGED, NULL,
      .doc = "`default`, `host`, `none`, `bridge[:NAME]`, `container:ID`, or `{bridge: {name: …}}`, `{container: {id: …}}`" },
    { "host_network",      &type_bool,     OF(host_network), WALK_DEPRECATED, NULL,
      .doc = "older spelling of `network_mode: host`" },
    { "network",           &type_optional, OF(overlays), 0, &spec_network_part,
      .doc = "overlays, and who may join" },
    { "overlay",           &type_optional, OF(overlay), 0, &spec_overlay_part,
      .doc = "transport of the overlay" },
    { "dns",               &type_checked_texts, OF(dns), 0, &dns,
      .doc = "resolvers, as addresses; ignored with the host's network" },
    { "extra_hosts",       &type_checked_texts, OF(extra_hosts), 0, &extra_host,
      .doc = "`name:address` for /etc/hosts; the address may be `host-gateway`" },
    { "localhost_reachability", &type_enum, OF(localhost), 0, localhost_words,
      .doc = "whether endpoints are reachable at 127.0.0.1, too; `auto`: of a service with a single member" },
    { "pid_mode",          &type_checked,  OF(pid_mode), 0, &pid_mode,
      .doc = "`host`, or `container:ID`" },
    { "ipc_mode",          &type_checked,  OF(ipc_mode), 0, &ipc_mode,
      .doc = "`host`, `shareable`, `private`, or `container:ID`" },
    /* scale, order, health */
    { "scale",             &type_variant,  0, WALK_LIVE, &spec_scales, OF(scale_written),
      .doc = "how many replicas; absent is adaptive from 1 to 10" },
    { "replica_groups",    &type_list,     OF(groups), 0, &spec_group_list,
      .doc = "named groups instead of equal replicas" },
    { "depends",           &type_list,     OF(depends), WALK_LIVE, &spec_depends_list,
      .doc = "what must be there before it starts" },
    { "health",            &type_struct,   OF(health), WALK_LIVE, &spec_health_shape, OF(health.written),
      .doc = "when it is healthy; absent is a tcp check of the first endpoint's port" },
    { "init",              &type_here,     0, 0, &spec_init_shape,
      .doc = "actions before the start" },
    { "errors",            &type_here,     0, WALK_LIVE, &spec_errors_shape,
      .doc = "what becomes of failures" },
    { "storage",           &type_list,     OF(storage), 0, &spec_storage_list,
      .doc = "what is mounted" },
    /* placement */
    { "node_mode",         &type_enum,     OF(node_mode), WALK_LIVE, node_mode_words,
      .doc = "how nodes are shared" },
    { "node_selector",     &type_optional, OF(node_selector), WALK_LIVE, &spec_node_selector_part,
      .doc = "labels that the node must or should have" },
    { "affinity",          &type_affinity, OF(affinity), WALK_TAGGED | WALK_LIVE, NULL,
      .doc = "`spread`, `pack`, `!pin SELECTOR`, or `{pin: SELECTOR}`" },
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
    { "version",    &type_checked,  IN(version), WALK_REQUIRED, &version,
      .doc = "the version of the format: `v1`" },
    { "deployment", &type_checked,  IN(deployment), WALK_REQUIRED, &deployment,
      .doc = "the name of the whole: 3 to 63 of `A-Za-z0-9-`" },
    { "services",   &type_services, IN(services), 0, NULL,
      .doc = "the workloads, by name; none is allowed, and removes what runs" },
    { "externals",  &type_map,      IN(externals), 0, &spec_external_map,
      .doc = "backends elsewhere, by name" },
    { "tunnels",    &type_map,      IN(tunnels), 0, &spec_tunnel_map,
      .doc = "forwarded ports between nodes, by name" },
    { "api",        &type_optional, IN(api), 0, &spec_api_part,
      .doc = "settings of an API server" },
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
