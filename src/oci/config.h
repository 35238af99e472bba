// SPDX-License-Identifier: Apache-2.0
/*
 * config.json of the OCI runtime-spec 1.2, as structs. The members have the names and meanings of
 * the spec (config.md, config-linux.md); unknown properties are ignored, as the spec demands, and
 * known ones are checked for type and range here, for meaning by sandbox/plan. Everything borrows
 * from the document and is valid until oci_config_free().
 */
#ifndef ZL_OCI_CONFIG_H
#define ZL_OCI_CONFIG_H

#include "base/json.h"

struct oci_user {
    uint32_t uid, gid;
    struct zl_opt_u64 umask;
    struct {
        uint32_t *v;
        size_t n;
    } additional_gids;
};

struct oci_capabilities { /* names as "CAP_CHOWN" */
    struct zl_strs bounding, effective, permitted, inheritable, ambient;
};

struct oci_rlimit {
    const char *type; /* "RLIMIT_NOFILE" */
    uint64_t soft, hard;
};

struct oci_scheduler {
    int policy; /* SCHED_… of sched_setattr(2) */
    int32_t nice, priority;
    struct zl_strs flags;               /* "SCHED_FLAG_RESET_ON_FORK" */
    uint64_t runtime, deadline, period; /* nanoseconds */
};
struct oci_io_priority {
    int io_class;     /* IOPRIO_CLASS_… of ioprio_set(2) */
    int32_t priority; /* 0 (high) to 7 */
};

struct oci_process {
    bool terminal;
    struct {
        uint32_t height, width;
    } console_size;
    struct oci_user user;
    struct zl_strs args, env; /* env: "NAME=value" */
    const char *cwd;
    struct oci_capabilities *capabilities; /* NULL: none are named */
    struct {
        struct oci_rlimit *v;
        size_t n;
    } rlimits;
    bool no_new_privileges;
    struct zl_opt_i64 oom_score_adj;
    const char *apparmor_profile, *selinux_label;
    struct oci_scheduler *scheduler;     /* NULL: as who starts it */
    struct oci_io_priority *io_priority; /* NULL: the same */
    struct {                             /* lists of CPUs, "0-3,7", for further processes */
        const char *initial, *final;
    } exec_cpu_affinity;
};

struct oci_id_mapping { /* container … container + size is host … on the host */
    uint32_t container, host, size;
};
struct oci_id_mappings {
    struct oci_id_mapping *v;
    size_t n;
};

struct oci_mount {
    const char *destination, *type, *source;
    struct zl_strs options;
    struct oci_id_mappings uid_mappings, gid_mappings; /* container: as in the source's files */
};

enum oci_ns {
    OCI_NS_PID,
    OCI_NS_NETWORK,
    OCI_NS_MOUNT,
    OCI_NS_IPC,
    OCI_NS_UTS,
    OCI_NS_USER,
    OCI_NS_CGROUP,
    OCI_NS_TIME,
};
struct oci_namespace {
    int type;         /* enum oci_ns */
    const char *path; /* NULL: a new one */
};

struct oci_device {
    const char *path, *type; /* type: "c", "u", "b", "p" */
    int64_t major, minor;
    struct zl_opt_u64 file_mode, uid, gid;
};

struct oci_device_rule {
    bool allow;
    const char *type;               /* NULL, "a", "c", "b" */
    struct zl_opt_i64 major, minor; /* absent or -1: all */
    const char *access;             /* NULL: "rwm" */
};

struct oci_memory {
    struct zl_opt_i64 limit, reservation, swap,
        kernel_tcp; /* bytes; -1: no limit; swap: with memory */
    struct zl_opt_u64 swappiness;
    bool disable_oom_killer, use_hierarchy;
    bool check_before_update; /* a limit below what is used now is refused */
    struct zl_opt_i64 kernel; /* no kernel has it any more */
};

struct oci_cpu {
    struct zl_opt_u64 shares, period, realtime_period; /* periods in microseconds */
    struct zl_opt_i64 quota, realtime_runtime, idle;
    struct zl_opt_u64 burst;
    const char *cpus, *mems;
};

struct oci_weight_device {
    int64_t major, minor;
    struct zl_opt_u64 weight, leaf_weight;
};
struct oci_throttle_device {
    int64_t major, minor;
    uint64_t rate; /* bytes or operations per second */
};
struct oci_throttles {
    struct oci_throttle_device *v;
    size_t n;
};
struct oci_block_io {
    struct zl_opt_u64 weight, leaf_weight; /* 10 to 1000 */
    struct {
        struct oci_weight_device *v;
        size_t n;
    } weight_devices;
    struct oci_throttles read_bps, write_bps, read_iops, write_iops;
};

struct oci_hugepage_limit {
    const char *page_size; /* "2MB" */
    uint64_t limit;        /* bytes */
};
struct oci_interface_priority {
    const char *name; /* of an interface */
    uint32_t priority;
};
struct oci_rdma {
    const char *device;
    struct zl_opt_u64 hca_handles, hca_objects;
};

/* In all of it 0 means "not said" where the kernel would take 0 for something useless: engines
 * write every property that they know. */
struct oci_resources {
    struct {
        struct oci_device_rule *v;
        size_t n;
    } devices;
    struct oci_memory memory;
    struct oci_cpu cpu;
    struct {
        struct zl_opt_i64 limit; /* -1 and 0: no limit */
    } pids;
    struct oci_block_io block_io;
    struct {
        struct oci_hugepage_limit *v;
        size_t n;
    } hugepages;
    struct {
        struct zl_opt_u64 class_id;
        struct {
            struct oci_interface_priority *v;
            size_t n;
        } priorities;
    } network;
    struct {
        struct oci_rdma *v;
        size_t n;
    } rdma;
    struct zl_pairs unified; /* file of cgroup v2 → value */
};

enum oci_seccomp_action {
    OCI_ACT_KILL_PROCESS,
    OCI_ACT_KILL_THREAD,
    OCI_ACT_TRAP,
    OCI_ACT_ERRNO,
    OCI_ACT_TRACE,
    OCI_ACT_ALLOW,
    OCI_ACT_LOG,
    OCI_ACT_NOTIFY,
};
enum oci_seccomp_op {
    OCI_OP_NE,
    OCI_OP_LT,
    OCI_OP_LE,
    OCI_OP_EQ,
    OCI_OP_GE,
    OCI_OP_GT,
    OCI_OP_MASKED_EQ,
};
struct oci_seccomp_arg {
    uint32_t index;            /* 0 to 5 */
    uint64_t value, value_two; /* MASKED_EQ: (argument & value) == value_two */
    int op;                    /* enum oci_seccomp_op */
};
struct oci_seccomp_rule {
    struct zl_strs names;
    int action; /* enum oci_seccomp_action */
    struct zl_opt_u64 errno_ret;
    struct {
        struct oci_seccomp_arg *v;
        size_t n;
    } args; /* all must hold */
};
struct oci_seccomp {
    int default_action;
    struct zl_opt_u64 default_errno_ret;
    struct zl_strs architectures; /* "SCMP_ARCH_X86_64"; empty: the native one */
    struct zl_strs flags;         /* "SECCOMP_FILTER_FLAG_LOG" */
    const char *listener_path, *listener_metadata;
    struct {
        struct oci_seccomp_rule *v;
        size_t n;
    } syscalls;
};

struct oci_hook {
    const char *path;
    struct zl_strs args, env;
    struct zl_opt_i64 timeout; /* seconds */
};
struct oci_hook_list {
    struct oci_hook *v;
    size_t n;
};
struct oci_hooks {
    struct oci_hook_list prestart, create_runtime, create_container, start_container, poststart,
        poststop;
};

struct oci_time_offset {
    const char *clock; /* "monotonic" or "boottime" */
    int64_t secs;
    uint32_t nanosecs;
};

struct oci_linux {
    struct {
        struct oci_namespace *v;
        size_t n;
    } namespaces;
    struct {
        struct oci_device *v;
        size_t n;
    } devices;
    const char *cgroups_path;
    struct oci_resources resources;
    const char *rootfs_propagation;
    struct oci_seccomp *seccomp; /* NULL: none */
    struct zl_pairs sysctl;
    struct zl_strs masked_paths, readonly_paths;
    const char *mount_label;
    struct oci_id_mappings uid_mappings, gid_mappings;
    struct {
        struct oci_time_offset *v;
        size_t n;
    } time_offsets;
    struct {
        const char *domain; /* NULL: the host's; "LINUX", "LINUX32" */
        struct zl_strs flags;
    } personality;
    bool intel_rdt; /* it is there; not carried out */
};

struct oci_config {
    const char *oci_version;
    struct oci_process *process; /* NULL: create works, start does not */
    struct {
        const char *path; /* relative to the bundle, or absolute */
        bool readonly;
    } root;
    const char *hostname, *domainname;
    struct {
        struct oci_mount *v;
        size_t n;
    } mounts;
    struct oci_hooks hooks;
    struct zl_pairs annotations;
    struct oci_linux linux_; /* "linux" is a macro of gcc in gnu17 */
    struct zl_json document; /* what all of this borrows from */
};

/* Decodes n bytes; `what` names them in errors ("config.json") and must outlive the result. */
int oci_config_parse(const char *bytes, size_t n, const char *what, struct oci_config **ret,
                     struct zl_error *err);
/* Of a document that was just made: it is kept referenced, not written and read again. */
int oci_config_of(json_t *document, const char *what, struct oci_config **ret,
                  struct zl_error *err);
/* bundle_fd/config.json, at most 8 MiB. */
int oci_config_load(int bundle_fd, struct oci_config **ret, struct zl_error *err);
void oci_config_free(struct oci_config *c);
ZL_DEFINE_CLEANUP(struct oci_config *, oci_config_free)
#define autociconfig ZL_CLEANUP(oci_config_freep)

/* A process.json of its own (`exec --process`). Borrows from doc, which the caller ends. */
int oci_process_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                      struct oci_process **ret, struct zl_error *err);

/* linux.resources alone, as `update` reads them. Borrows from doc, which the caller ends. */
int oci_resources_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                        struct oci_resources **ret, struct zl_error *err);

/* Whether hooks are configured: who cannot run them must refuse the container. */
bool oci_config_has_hooks(const struct oci_config *c);

#endif
