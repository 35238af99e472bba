// SPDX-License-Identifier: Apache-2.0
/*
 * The deployment document, decoded: what a file says after defaults, with every rule checked. All
 * memory of a spec belongs to one arena and goes with its last reference; pointers in it are
 * borrowed. Never changed after decoding, so it may be shared by whoever holds a reference
 * (references are counted without atomics: one thread only).
 * Source: docs/spec.md. Durations are milliseconds, sizes bytes.
 */
#ifndef ZL_SPEC_SPEC_H
#define ZL_SPEC_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "spec/diag.h"
#include "spec/parts.h"

enum spec_rtype { SPEC_SERVICE, SPEC_JOB, SPEC_CRON };
enum spec_pull { SPEC_PULL_IF_NOT_PRESENT, SPEC_PULL_ALWAYS, SPEC_PULL_NEWER, SPEC_PULL_NEVER };
enum spec_check { SPEC_CHECK_TCP, SPEC_CHECK_HTTP, SPEC_CHECK_COMMAND };
enum spec_condition { SPEC_STARTED, SPEC_HEALTHY, SPEC_READY };
enum spec_on_timeout { SPEC_TIMEOUT_FAIL, SPEC_TIMEOUT_WARN, SPEC_TIMEOUT_CONTINUE };
enum spec_restart {
    SPEC_RESTART_NONE_WRITTEN,
    SPEC_RESTART_NO,
    SPEC_RESTART_ALWAYS,
    SPEC_RESTART_UNLESS_STOPPED,
    SPEC_RESTART_ON_FAILURE
};
enum spec_panic { SPEC_PANIC_RESTART, SPEC_PANIC_SHUTDOWN, SPEC_PANIC_ISOLATE };
enum spec_scale_mode { SPEC_SCALE_ADAPTIVE, SPEC_SCALE_FIXED, SPEC_SCALE_MANUAL };
enum spec_net {
    SPEC_NET_DEFAULT,
    SPEC_NET_HOST,
    SPEC_NET_NONE,
    SPEC_NET_BRIDGE,
    SPEC_NET_CONTAINER
};
enum spec_mount {
    SPEC_MOUNT_BIND,
    SPEC_MOUNT_NAMED,
    SPEC_MOUNT_ANONYMOUS,
    SPEC_MOUNT_TMPFS,
    SPEC_MOUNT_S3
};

enum {
    SPEC_REPLICAS_MAX = 1000,     /* of a service: what one host can be asked for */
    SPEC_MEMORY_MIN = 256 * 1024, /* bytes: no process starts below; both: spec_check_apply */
};

struct spec_image {
    const char *name;
    enum spec_pull pull;
    enum spec_source_policy source_policy;
};
struct spec_command {
    struct spec_strings entrypoint, args;
    const char *workdir; /* NULL: not said */
};

struct spec_resources {          /* 0 or NULL: not said */
    double cpu;                  /* cores */
    uint64_t memory;             /* bytes */
    uint64_t memory_reservation; /* bytes */
    int64_t memory_swap;         /* bytes of memory + swap; -1 unlimited; 0 not said */
    int64_t pids_limit;          /* -1 unlimited; 0 not said */
    uint32_t cpu_shares;
    const char *cpuset;
    int32_t oom_score_adj;
    bool has_oom_score_adj;
    uint8_t memory_swappiness;
    bool has_memory_swappiness, oom_kill_disable;
    uint16_t blkio_weight;
    const struct spec_gpu *gpu;
};

struct spec_health {
    bool written;
    enum spec_check check;
    uint16_t port;   /* tcp: 0 picks an endpoint */
    const char *url; /* http */
    uint16_t expect_status;
    const char *command; /* command: for sh -c in the container */
    uint64_t start_grace_ms, interval_ms, timeout_ms;
    uint32_t retries; /* at least 1 */
    enum spec_unhealthy on_unhealthy;
};

struct spec_depends {
    const char *service;
    size_t index; /* of that service in the document */
    enum spec_condition condition;
    uint64_t timeout_ms;
    enum spec_on_timeout on_timeout;
};

struct spec_restart_policy {
    enum spec_restart kind;
    uint32_t max_attempts; /* 0: unlimited */
    uint64_t delay_ms;     /* base delay; 0: the default back-off */
    uint64_t max_delay_ms, reset_after_ms;
};

struct spec_storage {
    enum spec_mount type;
    const char *source; /* bind: absolute host path */
    const char *target;
    bool readonly;
    uint64_t size;    /* tmpfs: bytes, 0 not said */
    uint32_t mode;    /* tmpfs: permission bits, 0 not said */
    const char *name; /* named */
    enum spec_tier tier;
    const char *bucket, *prefix, *endpoint, *credentials; /* s3 */
};

struct spec_replica_group { /* what is NULL or not written is the service's */
    const char *role;
    uint32_t count;
    const struct spec_image *image;
    struct spec_pairs env;
    const struct spec_command *command;
    const struct spec_resources *resources;
    struct spec_affinity affinity;
};

struct spec_external {
    const char *name;
    struct spec_strings backends;
    const struct spec_endpoint *endpoints;
    size_t n_endpoints;
    struct spec_health health;
};

struct spec_service {
    const char *name;
    enum spec_rtype rtype;
    struct spec_image image;
    struct spec_command command;
    struct spec_pairs env, labels;
    struct spec_resources resources;
    uint32_t replicas; /* desired number at first deploy */
    struct spec_health health;
    const struct spec_depends *depends;
    size_t n_depends;
    struct spec_restart_policy restart;
    enum spec_panic on_panic;
    const struct spec_endpoint *endpoints;
    size_t n_endpoints;
    const struct spec_storage *storage;
    size_t n_storage;
    const char *user, *hostname; /* NULL: not said */
    enum spec_net network;
    const char *network_name; /* of bridge:<name> or container:<id> */
    int stop_signal;          /* 0: the image's, else SIGTERM */
    uint64_t stop_grace_ms;   /* 30 s for services, 10 s for jobs */
    bool tty, stdin_open, read_only_root_fs, delete_on_exit;
    /* Of everything that shapes a container (image, command, env, …), not of scale or health. */
    uint64_t container_hash;
    /* Of all fields: equal hashes mean nothing changed. */
    uint64_t full_hash;

    /* scale; what an absent one means, adaptive from 1 to 10, is filled in */
    enum spec_scale_mode scale_mode;
    bool scale_written;
    uint32_t scale_min, scale_max;
    uint64_t scale_cooldown_ms;
    struct spec_targets scale_targets;
    const struct spec_replica_group *groups;
    size_t n_groups;
    /* what it is */
    enum spec_service_type type;
    const char *schedule; /* a cron expression that was checked */
    const struct spec_schedule_options *schedule_options;
    const struct spec_job_options *job_options;
    const struct spec_update *update;
    const struct spec_wasm *wasm;
    const struct spec_platform *platform;
    const struct spec_logs *logs;
    /* process, devices, security */
    struct spec_strings extra_groups, cap_add, cap_drop, security_opt;
    bool init_container, privileged;
    const struct spec_device *devices;
    size_t n_devices;
    const struct spec_ulimit *ulimits;
    size_t n_ulimits;
    struct spec_pairs sysctls;
    const char *userns_mode, *cgroup_parent, *pid_mode, *ipc_mode;
    enum spec_isolation isolation;
    /* network */
    const struct spec_port_mapping *port_mappings;
    size_t n_port_mappings;
    struct spec_strings expose, dns, extra_hosts;
    bool host_network;
    const struct spec_network *overlays;
    const struct spec_overlay *overlay;
    enum spec_localhost localhost;
    /* init, errors, placement */
    const struct spec_init_step *init;
    size_t n_init;
    enum spec_on_init on_init_failure;
    enum spec_node_mode node_mode;
    const struct spec_node_selector *node_selector;
    struct spec_affinity affinity;
};

struct spec {
    const char *deployment;
    const struct spec_service *services; /* in file order */
    size_t n_services;
    const size_t *start_order; /* indices of services, dependencies first, ties in file order */
    const char *text;          /* the source, NUL-terminated */
    size_t text_len;
    const struct spec_external *externals;
    size_t n_externals;
    const struct spec_tunnel *tunnels;
    size_t n_tunnels;
    const struct spec_api *api;
};

/*
 * Decodes and checks a whole document. name is what messages call it (a path, "<api>"); base_dir,
 * absolute or NULL, is what relative bind sources start from. All findings go to diags, sorted by
 * position, at most 100. Returns a new reference, or NULL when there is at least one error (or no
 * memory: then diags has one error without position).
 */
struct spec *spec_parse(const char *text, size_t len, const char *name, const char *base_dir,
                        struct spec_diags *diags);
/*
 * Whether others who read v1 take the document: what is a strictness of ours only is a warning, and
 * our extensions are unknown fields. A verdict, and no spec: values that were warned about are
 * none.
 */
bool spec_check_compat(const char *text, size_t len, const char *name, const char *base_dir,
                       struct spec_diags *diags);
/* One service mapping on its own, as `zlayer run` sends it; the spec has deployment "-". */
struct spec *spec_parse_service(const char *text, size_t len, const char *service_name,
                                struct spec_diags *diags);
struct spec *spec_ref(const struct spec *s);
void spec_unref(const struct spec *s); /* NULL is fine */
ZL_DEFINE_CLEANUP(struct spec *, spec_unref)
#define autospec ZL_CLEANUP(spec_unrefp)

const struct spec_service *spec_find(const struct spec *s, const char *service); /* or NULL */
/* Finds the file as docs/spec.md, "Finding the file", says; *ret is allocated. dir NULL: the
 * current. */
int spec_discover(const char *dir, char **ret, struct zl_error *err);

/* Words as they are spelled in a document. */
const char *spec_rtype_name(enum spec_rtype t);
const char *spec_protocol_name(enum spec_protocol p);
const char *spec_condition_name(enum spec_condition c);

#endif
