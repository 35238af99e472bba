// SPDX-License-Identifier: Apache-2.0
/*
 * The plan: all that is to be done for one container, decided before anything is made. plan/ builds
 * it from a config.json; carry/ carries it out, in another process (zlayer-shim gets it as a memfd)
 * or the same (zlayer-oci).
 *
 * One flat buffer: struct plan, then tables and texts, which are reached by offsets from its start,
 * so that it can lie anywhere. plan_check() looks at every offset, count and enumeration; a plan
 * that passed it is read without further care, whoever wrote it. Native byte order: it never leaves
 * the machine. A reader takes only its own PLAN_VERSION.
 *
 * Descriptors come beside the plan and are named by number: fds[0 .. n_lower) are the layers,
 * uppermost first, then, with PLAN_HAS_UPPER, the upper and the work directory; behind them those
 * of plan_join.fd and plan.init. O_PATH is enough for the directories; each must still be reachable
 * under the path that /proc/self/fd tells (overlayfs takes directories of the container's own mount
 * namespace only, so they are opened again there, and compared).
 */
#ifndef ZL_SANDBOX_PLAN_H
#define ZL_SANDBOX_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum {
    PLAN_MAGIC = 0x6e6c707a, /* "zpln" */
    PLAN_EXEC_MAGIC = 0x78657a7a,
    PLAN_UPDATE_MAGIC = 0x64707a7a,
    PLAN_VERSION = 7,
    PLAN_MAX = 4 << 20, /* bytes */
    PLAN_LOWER_MAX = 120,
};

typedef uint32_t plan_str; /* offset of a NUL-terminated text; 0: none */
struct plan_tab {          /* n elements at off, aligned to 8 */
    uint32_t off, n;
};

struct plan_join { /* a namespace to enter instead of a new one */
    uint32_t ns;   /* a CLONE_NEW… bit */
    plan_str path;
    uint32_t fd; /* 1 + its number among the plan's descriptors; 0: it is opened by path */
    uint32_t pad;
};

enum plan_mount_kind {
    PLAN_MOUNT_FS,      /* mount(type, source, data, flags) */
    PLAN_MOUNT_BIND,    /* source is a path on the host */
    PLAN_MOUNT_SYMLINK, /* target is made a link to source: /sys/fs/cgroup/cpu */
    PLAN_MOUNT_REMOUNT, /* flags of what is mounted at target already are changed */
    PLAN_MOUNT_KINDS
};
enum {                          /* plan_mount.copy_up */
       PLAN_COPY_UP = 1,        /* what it covers is copied into it */
       PLAN_COPY_UP_FOLDER = 2, /* owner and mode of the folder that it covers as well */
};
struct plan_mount {
    uint32_t kind;
    plan_str source, target, type, data;
    uint32_t recursive;                    /* BIND: with all mounts below source */
    uint32_t copy_up;                      /* FS: PLAN_COPY_UP… */
    uint32_t idmap_recursive;              /* BIND: the maps are for all mounts below as well */
    struct plan_tab uid_map, gid_map;      /* BIND: struct plan_id_map; empty: as on disk */
    uint64_t flags;                        /* FS: MS_… of mount(2) */
    uint64_t attr_set, attr_clear;         /* BIND, REMOUNT: MOUNT_ATTR_… of mount_setattr(2) */
    uint64_t rec_attr_set, rec_attr_clear; /* the same for it and all below ("rro") */
    uint64_t propagation;                  /* MS_SHARED, … | MS_REC; 0: as it comes */
};

struct plan_id_map { /* container … container + size are host … outside; user_namespaces(7) */
    uint32_t container, host, size;
};

struct plan_device {
    plan_str path;
    uint32_t mode; /* S_IFCHR | 0666 */
    uint32_t uid, gid;
    uint64_t rdev;
};

struct plan_link {
    plan_str path, target;
};

enum {                                /* plan_file.flags */
       PLAN_FILE_OPTIONAL = 1,        /* a missing file, or one that refuses, is no error */
       PLAN_FILE_OR_NEXT = 2,         /* the next row is for where this file is not there */
       PLAN_FILE_NOT_BELOW_USAGE = 4, /* refused when more than that is used already */
};
struct plan_file { /* a value for a control file or sysctl */
    plan_str path; /* cgroup: the file's name; sysctl: below /proc/sys, with '/' */
    plan_str value;
    uint32_t flags;
    uint32_t pad;
};

enum plan_cgroup_kind { PLAN_CGROUP_V1, PLAN_CGROUP_V2, PLAN_CGROUP_KINDS };
enum {                        /* plan_cgroup.flags */
       PLAN_CGROUP_LATE = 1,  /* v1: not joined at the start. It is made, and all processes moved
                               * into it, when something is to be written there later: the freezer
                               * for a pause, another controller for an update */
       PLAN_CGROUP_GIVEN = 2, /* made by systemd beforehand; whom it made it for may be in it */
};
struct plan_cgroup { /* one hierarchy */
    uint32_t kind;
    uint32_t flags;
    uint32_t owner, pad; /* v2: uid that may make cgroups below it; 0: as it is made */
    plan_str mount;      /* "/sys/fs/cgroup/memory" */
    plan_str path;       /* below it, no leading '/': "zlayer/c/2k7q…" */
    plan_str controller; /* v1: "memory", "cpu,cpuacct"; v2: "" */
    plan_str enable;     /* v2: for cgroup.subtree_control of each folder above: "+memory +pids" */
    struct plan_tab files; /* struct plan_file, in order */
    struct plan_tab
        device_bpf; /* v2: uint64_t, a BPF_PROG_TYPE_CGROUP_DEVICE program; empty: none */
};

struct plan_rlimit {
    uint32_t resource, pad;
    uint64_t soft, hard;
};

struct plan_scheduler { /* sched_setattr(2) */
    uint32_t policy;
    int32_t nice;
    uint32_t priority, pad;
    uint64_t flags, runtime, deadline, period;
};

enum {
    PLAN_CAP_BOUNDING,
    PLAN_CAP_EFFECTIVE,
    PLAN_CAP_PERMITTED,
    PLAN_CAP_INHERITABLE,
    PLAN_CAP_AMBIENT,
    PLAN_CAP_SETS
};
enum { /* plan_process.flags */
       PLAN_NO_NEW_PRIVS = 1,
       PLAN_TERMINAL = 2,
       PLAN_HAS_OOM_ADJ = 4,
       PLAN_HAS_UMASK = 8,
       PLAN_KEEP_GROUPS = 16, /* the supplementary groups of who starts it stay */
       PLAN_HAS_IO_PRIORITY = 32,
       PLAN_HAS_PERSONALITY = 64,
       PLAN_USER_NS = 256,          /* in a user namespace that is not that of who starts it */
       PLAN_NO_SETGROUPS = 512,     /* which does not let it change its supplementary groups */
       PLAN_SECCOMP_LISTENER = 128, /* the filter asks somebody: carry_start.on_listener */
};
struct plan_process {
    struct plan_tab argv,
        env;                 /* plan_str; argv has one at least, or none: create without process */
    struct plan_tab groups;  /* uint32_t */
    struct plan_tab rlimits; /* struct plan_rlimit */
    struct plan_tab seccomp; /* struct sock_filter: uint64_t each; empty: none */
    struct plan_tab scheduler; /* struct plan_scheduler, one; empty: as who starts it */
    struct plan_tab cpus;      /* uint64_t: bit n of all is CPU n; empty: no choice of our own */
    plan_str cwd;
    plan_str command; /* what is executed; 0: argv[0] */
    plan_str keyring; /* of the session: joined, or made; 0: that of who starts it stays */
    plan_str apparmor, selinux; /* what it is executed as: profile, label; 0: as it comes */
    uint32_t flags, uid, gid, umask, seccomp_flags;
    uint32_t io_priority; /* ioprio_set(2) */
    uint32_t personality; /* personality(2) */
    int32_t oom_score_adj;
    uint16_t rows, cols;          /* of the terminal; 0: not known */
    uint64_t caps[PLAN_CAP_SETS]; /* bit n: capability n */
};

enum plan_root_kind { PLAN_ROOT_BIND, PLAN_ROOT_OVERLAY, PLAN_ROOT_KINDS };
enum { /* plan.flags */
       PLAN_ROOT_READONLY = 1,
       PLAN_HAS_UPPER = 2, /* OVERLAY: writable; the fds of upper and work follow the layers' */
       PLAN_OVERLAY_VOLATILE =
           4,              /* no syncs; what is in upper after a crash of the host is worthless */
       PLAN_SETUP_DEV = 8, /* devices, links and /dev/console are wanted: /dev is the container's */
       PLAN_NO_PIVOT = 16, /* MS_MOVE and chroot instead of pivot_root: for a ramfs */
       PLAN_MAP_BY_HELPER = 32, /* newuidmap and newgidmap write the maps: we may not */
};
struct plan {
    uint32_t magic, version, size, n_fds;
    uint32_t flags;
    uint32_t namespaces; /* CLONE_NEW… of the new ones */
    uint32_t root_kind;
    uint32_t n_lower;
    uint32_t init; /* 1 + its number among the plan's descriptors: the program that is executed as
                    * process 1, and starts the command and reaps (zlayer-init); 0: none */
    plan_str root_mount; /* BIND, in a mount namespace where others live: the root is mounted here
                          * instead of onto itself, and entered by chroot(2); 0: it is not so */
    plan_str root_path; /* BIND: the directory; OVERLAY: where it is mounted, in the container's own
                         * mount namespace: any existing directory */
    uint32_t root_propagation_before; /* of "/", before anything is mounted: MS_PRIVATE|MS_REC, … */
    uint32_t root_propagation_after; /* of the container's "/", at the end; 0: none */
    plan_str hostname, domainname;
    plan_str time_offsets; /* of a new time namespace, as /proc/PID/timens_offsets has them; 0 */
    uint32_t pad2;
    struct plan_tab uid_map, gid_map; /* struct plan_id_map, of a new user namespace */
    struct plan_tab joins;            /* struct plan_join */
    struct plan_tab cgroups;          /* struct plan_cgroup; [0] is where all processes are found */
    struct plan_tab mounts;           /* struct plan_mount, in order */
    struct plan_tab devices;          /* struct plan_device */
    struct plan_tab links;            /* struct plan_link */
    struct plan_tab late_mounts;      /* struct plan_mount, after devices: read-only /dev */
    struct plan_tab masked;           /* plan_str */
    struct plan_tab readonly;         /* plan_str */
    struct plan_tab sysctls;          /* struct plan_file */
    struct plan_process process;
};

struct plan_exec { /* a further process in a container */
    uint32_t magic, version, size, pad;
    struct plan_tab cpus_before; /* as process.cpus, until it is in the container's cgroup */
    struct plan_process process;
};

/*
 * New limits for a container that is there. Where its cgroups are its own plan says: of each row
 * kind, controller, enable, files and device_bpf count.
 */
struct plan_update {
    uint32_t magic, version, size, pad;
    struct plan_tab cgroups; /* struct plan_cgroup */
};

/* Whether the n bytes are a plan of this version in which nothing points outside; libc only. */
int plan_check(const void *bytes, size_t n, const struct plan **ret, struct zl_error *err);
int plan_exec_check(const void *bytes, size_t n, const struct plan_exec **ret,
                    struct zl_error *err);
int plan_update_check(const void *bytes, size_t n, const struct plan_update **ret,
                      struct zl_error *err);

/* Of a checked plan: the namespaces that are not the host's, CLONE_NEW…, new and joined ones. */
uint32_t plan_namespaces(const struct plan *p);

/* Of a checked plan, exec plan or update: base is its start. */
static inline const char *plan_text(const void *base, plan_str s)
{
    return s ? (const char *)base + s : NULL;
}
static inline const void *plan_table(const void *base, struct plan_tab t)
{
    return (const char *)base + t.off;
}

/* ---- building; not for the shim ---- */

/* The n-th option of a mount that we know, NULL after the last; others are the file system's. */
const char *plan_mount_option(size_t n);

struct oci_config;
struct oci_process;
struct oci_resources;

enum plan_seccomp {
    PLAN_SECCOMP_CONFIG,  /* what linux.seccomp says; nothing when it says nothing */
    PLAN_SECCOMP_DEFAULT, /* our default profile, unless linux.seccomp is there */
};

struct plan_join_fd { /* "/proc/4711/ns/pid" of the config.json is this descriptor of the plan's */
    const char *path;
    uint32_t fd;
};

struct plan_options {
    const char *id;
    const char *bundle;        /* absolute; root.path and relative mount sources start here */
    const char *cgroup_parent; /* NULL: "/zlayer"; the container's is <parent>/c/<id>, unless
                                * linux.cgroupsPath says another */
    const char *cgroup_given;  /* systemd made it: its path below the mount. linux.cgroupsPath and
                                * cgroup_parent are not read then */
    bool join_all;             /* memory, cpuacct, pids and blkio are joined though nothing limits
                                * them: for statistics */
    enum plan_seccomp seccomp;
    uint32_t n_lower;        /* >0: an overlay of the plan's fds instead of root.path */
    bool has_upper;          /* the upper's and the work directory's fds follow */
    bool upper_volatile;     /* for what need not survive: --rm, jobs */
    const char *mount_point; /* an existing directory, absolute: with n_lower, or for a root in a
                              * mount namespace where others live; NULL: those are refused */
    bool no_pivot;
    bool no_home;        /* none is added: a module has no passwd, the host's is not for it */
    bool no_new_keyring; /* the session keyring of who starts it stays */
    bool rootless;       /* we are no root: the container gets a cgroup where we may make one */
    bool no_cgroups;     /* the container stays in the cgroup of who starts it */
    const char *command; /* of an exec plan: what is executed, where that is not args[0] */
    const char *root;    /* of an exec plan: the container's root, to look HOME up in; NULL: the
                          * environment is complete */
    uint32_t n_fds;      /* with n_lower: of all descriptors, when more follow */
    const struct plan_join_fd *joins;
    size_t n_joins;
    uint32_t init;            /* plan.init */
    struct zl_buf *notes;     /* what was left out and why, a line each; NULL: not asked for */
    struct plan_cache *cache; /* of who makes many plans; NULL: none */
};

/* What is the same in the plans of one process, as long as the host does not change: where cgroups
 * are mounted, and the program of the default seccomp profile. Not thread-safe. NULL: no memory. */
struct plan_cache *plan_cache_new(void);
void plan_cache_free(struct plan_cache *c);

/*
 * Builds the plan into out (initialised by the caller, max at least PLAN_MAX). INVALID, UNSUPPORTED
 * name the property of config.json; CONFIGURATION what the host lacks.
 */
int plan_build(const struct oci_config *config, const struct plan_options *o, struct zl_buf *out,
               struct zl_error *err);

/*
 * The plan of a further process. p says what (args, env, cwd, user, terminal); what it does not say
 * (capabilities: NULL, rlimits, no_new_privileges, seccomp) is the container's. Uid 0 keeps the
 * container's capabilities; another uid has none effective but those in `ambient`.
 */
int plan_exec_build(const struct oci_config *config, const struct plan_options *o,
                    const struct oci_process *p, struct zl_buf *out, struct zl_error *err);

/*
 * New limits: what r says is written, what it does not say stays as it is. On v2 memory.swap, which
 * counts memory as well, needs memory.limit beside it. notes as in plan_options; may be NULL.
 */
int plan_update_build(const struct oci_resources *r, struct zl_buf *notes, struct zl_buf *out,
                      struct zl_error *err);

/*
 * What still can be said of a container whose plan is of another version, or torn: enough to find,
 * stop, limit, join and remove it, not to make it once more.
 */
struct plan_found {
    const char *id;
    const struct oci_config *config; /* NULL: not readable; then nobody can join it */
    const char *cgroup; /* where it is below each hierarchy; NULL: where plan_build() would put it;
                         * "": it has none */
    bool rootless;      /* as in plan_options */
    const char *root_mount; /* as plan.root_mount; NULL: it has a mount namespace of its own */
};
/* Its cgroups are those of the hierarchies in which there is that folder. */
int plan_found_build(const struct plan_found *f, struct zl_buf *out, struct zl_error *err);

#endif
