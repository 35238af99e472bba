// SPDX-License-Identifier: Apache-2.0
/*
 * The rarer parts of a service and of the document, as a file says them after defaults. A pointer
 * to one of them is NULL where the file does not have it. Source: docs/spec.md. Durations are
 * milliseconds, sizes bytes; a text is NULL where it was not said.
 */
#ifndef ZL_SPEC_PARTS_H
#define ZL_SPEC_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spec_pair {
    const char *key, *value;
    int line, column; /* of the value in the document; 0: it stands in none */
};
struct spec_strings {
    const char *const *v;
    size_t n;
    bool written;
};
struct spec_pairs {
    const struct spec_pair *v;
    size_t n;
};

/* ---- what a service is ----------------------------------------------------------------------- */

enum spec_service_type {
    SPEC_STANDARD,
    SPEC_WASM_HTTP,
    SPEC_WASM_PLUGIN,
    SPEC_WASM_TRANSFORMER,
    SPEC_WASM_AUTHENTICATOR,
    SPEC_WASM_RATE_LIMITER,
    SPEC_WASM_MIDDLEWARE,
    SPEC_WASM_ROUTER,
    SPEC_TYPE_JOB
};
enum spec_source_policy { SPEC_LOCAL_FIRST, SPEC_S3_FIRST, SPEC_REMOTE_ONLY, SPEC_LOCAL_ONLY };
enum spec_os { SPEC_OS_LINUX, SPEC_OS_WINDOWS, SPEC_OS_MACOS };
enum spec_arch { SPEC_ARCH_AMD64, SPEC_ARCH_ARM64 };
enum spec_isolation { SPEC_ISOLATION_AUTO, SPEC_ISOLATION_PROCESS, SPEC_ISOLATION_HYPERV };

struct spec_platform {
    enum spec_os os;
    enum spec_arch arch;
    const char *os_version;
};

enum { SPEC_LOGS_RETENTION_S = 7 * 24 * 3600 }; /* where nothing is said */
struct spec_logs {
    const char *destination; /* "disk" or "memory" */
    uint64_t max_size_bytes, retention_secs;
};

enum spec_overlap { SPEC_OVERLAP_FORBID, SPEC_OVERLAP_ALLOW, SPEC_OVERLAP_REPLACE };
enum spec_catch_up { SPEC_CATCH_UP_ONE, SPEC_CATCH_UP_NONE, SPEC_CATCH_UP_ALL };
struct tz;
struct spec_schedule_options {
    const char *time_zone; /* of the IANA database; "UTC" */
    const struct tz *zone; /* its table; NULL: UTC, or this host has no zone files */
    enum spec_overlap overlap;
    enum spec_catch_up catch_up;
    uint64_t catch_up_window_ms, jitter_ms;
};

struct spec_job_options {
    uint32_t max_concurrent, retries, keep;
    uint64_t timeout_ms; /* 0: none */
    uint64_t retry_delay_ms, keep_for_ms;
};

enum spec_strategy { SPEC_ROLLING, SPEC_RECREATE };
enum spec_update_failure { SPEC_ROLLBACK, SPEC_PAUSE };
struct spec_update {
    enum spec_strategy strategy;
    uint32_t max_surge, max_unavailable;
    uint64_t drain_ms;
    enum spec_update_failure on_failure;
};

/* ---- devices, limits ------------------------------------------------------------------------- */

enum spec_gpu_scheduling { SPEC_GPU_BEST_EFFORT, SPEC_GPU_GANG, SPEC_GPU_SPREAD };
enum spec_gpu_sharing { SPEC_GPU_EXCLUSIVE, SPEC_GPU_MPS, SPEC_GPU_TIME_SLICE };
struct spec_gpu_distributed {
    const char *backend;
    uint16_t master_port;
};
struct spec_gpu {
    uint32_t count;
    const char *vendor, *mode, *model;
    enum spec_gpu_scheduling scheduling;
    const struct spec_gpu_distributed *distributed;
    enum spec_gpu_sharing sharing;
    const char *mps_pipe_dir, *mps_log_dir, *time_slicing_config_path;
    uint32_t time_slice_index;
    bool has_time_slice_index;
};

struct spec_device {
    const char *path;
    bool read, write, mknod;
};

struct spec_ulimit {
    const char *name;   /* as written, in any case */
    int64_t soft, hard; /* -1: unlimited */
    bool has_soft, has_hard;
};

/* ---- network --------------------------------------------------------------------------------- */

enum spec_protocol { SPEC_HTTP, SPEC_HTTPS, SPEC_TCP, SPEC_UDP, SPEC_WEBSOCKET };
enum spec_expose { SPEC_INTERNAL, SPEC_PUBLIC };
enum spec_transport { SPEC_TRANSPORT_TCP, SPEC_TRANSPORT_UDP };
enum spec_probe { SPEC_PROBE_NONE, SPEC_PROBE_TCP_CONNECT, SPEC_PROBE_UDP };

struct spec_stream {
    bool tls, proxy_protocol;
    uint64_t session_timeout_ms;
    enum spec_probe probe;
    const char *request, *expect; /* of SPEC_PROBE_UDP */
};

struct spec_tunnel_access {
    bool enabled, audit;
    uint64_t max_ttl_ms; /* 0: not said */
};
struct spec_endpoint_tunnel {
    bool enabled;
    const char *from, *to;
    uint16_t remote_port; /* 0: assigned */
    enum spec_expose expose;
    bool has_expose; /* else as the endpoint */
    const struct spec_tunnel_access *access;
};

struct spec_endpoint {
    const char *name;
    enum spec_protocol protocol;
    uint16_t port, target_port;
    enum spec_expose expose;
    const char *path, *host; /* of L7 protocols */
    const struct spec_stream *stream;
    const char *target_role;
    const struct spec_endpoint_tunnel *tunnel;
};

struct spec_port_mapping {
    uint16_t container_port, host_port; /* host_port 0: the system picks */
    enum spec_transport protocol;
    const char *host_ip; /* NULL or "": all addresses */
};

struct spec_overlay_options {
    bool enabled, encrypted, isolated;
};
enum spec_join_mode { SPEC_JOIN_TOKEN, SPEC_JOIN_OPEN, SPEC_JOIN_CLOSED };
enum spec_join_scope { SPEC_JOIN_SERVICE, SPEC_JOIN_GLOBAL };
struct spec_network {
    struct spec_overlay_options service, global;
    enum spec_join_mode join_mode;
    enum spec_join_scope join_scope;
};

enum spec_overlay_mode { SPEC_OVERLAY_AUTO, SPEC_OVERLAY_SHARED, SPEC_OVERLAY_DEDICATED };
struct spec_overlay {
    enum spec_overlay_mode mode;
    const char *parent;
};
enum spec_localhost { SPEC_LOCALHOST_AUTO, SPEC_LOCALHOST_ALWAYS, SPEC_LOCALHOST_NEVER };

/* ---- scale, placement ------------------------------------------------------------------------ */

struct spec_targets {    /* 0: not said */
    uint8_t cpu, memory; /* per cent */
    uint32_t rps;        /* per replica */
};

enum spec_affinity_kind {
    SPEC_AFFINITY_NONE_WRITTEN,
    SPEC_AFFINITY_SPREAD,
    SPEC_AFFINITY_PACK,
    SPEC_AFFINITY_PIN
};
struct spec_affinity {
    enum spec_affinity_kind kind;
    const char *pin; /* "label=value", trimmed */
};
enum spec_node_mode { SPEC_NODE_SHARED, SPEC_NODE_DEDICATED, SPEC_NODE_EXCLUSIVE };
struct spec_node_selector {
    struct spec_pairs labels, prefer_labels;
};

/* ---- wasm ------------------------------------------------------------------------------------ */

enum spec_said { SPEC_SAID_NOTHING, SPEC_SAID_FALSE, SPEC_SAID_TRUE };
struct spec_wasm_caps { /* nothing said is filled in with the default of the service_type */
    enum spec_said config, keyvalue, logging, secrets, metrics, http_client, cli, filesystem,
        sockets;
};
struct spec_preopen {
    const char *source, *target;
    bool readonly;
};
struct spec_wasm {
    uint32_t min_instances, max_instances;
    uint64_t idle_timeout_ms, request_timeout_ms, epoch_interval_ms;
    uint64_t max_memory, max_fuel; /* 0: no limit */
    struct spec_wasm_caps caps;
    bool allow_http_outgoing, allow_tcp, allow_udp, kv_enabled, precompile;
    struct spec_strings allowed_hosts, secrets;
    const struct spec_preopen *preopens;
    size_t n_preopens;
    const char *kv_namespace;
    uint64_t kv_max_value_size;
};

/* ---- init ------------------------------------------------------------------------------------ */

enum spec_init_action {
    SPEC_INIT_WAIT_TCP,
    SPEC_INIT_WAIT_HTTP,
    SPEC_INIT_RUN,
    SPEC_INIT_S3_PULL,
    SPEC_INIT_S3_PUSH
};
struct spec_init_with { /* those of the action */
    const char *host, *url, *command, *bucket, *key, *destination, *source, *endpoint, *region;
    uint16_t port, expect_status; /* expect_status 0: any 2xx */
    uint64_t timeout_s;           /* 0: the action's default */
};
enum spec_on_failure { SPEC_FAILURE_FAIL, SPEC_FAILURE_WARN, SPEC_FAILURE_CONTINUE };
struct spec_init_step {
    const char *id;
    enum spec_init_action action;
    bool known; /* that it is one of them: of a good document always */
    struct spec_init_with with;
    uint32_t retry;
    uint64_t timeout_ms;
    enum spec_on_failure on_failure;
};
enum spec_on_init { SPEC_INIT_FAIL, SPEC_INIT_RESTART, SPEC_INIT_BACKOFF };
enum spec_unhealthy { SPEC_UNHEALTHY_REPLACE, SPEC_UNHEALTHY_RESTART, SPEC_UNHEALTHY_NONE };
enum spec_tier { SPEC_TIER_LOCAL, SPEC_TIER_CACHED, SPEC_TIER_NETWORK };

/* ---- the document ---------------------------------------------------------------------------- */

struct spec_tunnel {
    const char *name, *from, *to;
    uint16_t local_port, remote_port;
    enum spec_transport protocol;
    enum spec_expose expose;
};
struct spec_api {
    bool enabled, swagger;
    const char *bind, *jwt_secret; /* jwt_secret is never shown */
};

#endif
