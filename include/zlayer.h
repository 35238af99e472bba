/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libzlayer: containers from C, without an agent. A runtime is opened on a root directory (images
 * and what containers write) and a runtime directory (sockets); each container is held by a small
 * process of its own, zlayer-shim, found in $ZLAYER_LIBEXEC, beside the running program or in the
 * library's libexec directory. An image that is a WebAssembly module runs likewise, held by
 * zlayer-wasm. Needs root.
 *
 *     zlayer_runtime *rt;
 *     zlayer_container *c;
 *     struct zlayer_exit end;
 *     struct zlayer_error err;
 *     if (zlayer_runtime_open(NULL, &rt, &err) < 0 ||
 *         zlayer_container_create(rt, "hello", "image: {name: busybox}\n", &c, &err) < 0 || …
 *
 * Conventions. Functions that can fail return 0 or -1, and fill *err (which may be NULL) on
 * failure; results are untouched then. Nothing here aborts, exits, prints or changes signal
 * handlers, the umask or the working directory. A runtime and its containers are used by one thread
 * at a time; several runtimes may be used by several threads. Structs that callers fill begin with
 * their size, so that fields can be added.
 */
#ifndef ZLAYER_H
#define ZLAYER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ZLAYER_API __attribute__((visibility("default")))

#define ZLAYER_VERSION_MAJOR 0
#define ZLAYER_VERSION_MINOR 1
#define ZLAYER_VERSION_PATCH 0

ZLAYER_API const char *zlayer_version(void); /* of the library that runs: "0.1.0" */
ZLAYER_API int zlayer_version_number(void);  /* major * 10000 + minor * 100 + patch */

enum zlayer_error_kind {
    ZLAYER_OK = 0,
    ZLAYER_SYSTEM = 1, /* errnum says why */
    ZLAYER_INVALID = 2,
    ZLAYER_NOT_FOUND = 3,
    ZLAYER_EXISTS = 4,
    ZLAYER_CONFLICT = 5, /* not in this state */
    ZLAYER_UNSUPPORTED = 6,
    ZLAYER_CONFIGURATION = 7, /* the host does not allow it */
    ZLAYER_TIMEOUT = 8,
    ZLAYER_CANCELLED = 9,
    ZLAYER_UNREACHABLE = 10, /* a container's monitor is gone */
    ZLAYER_PROTOCOL = 11,
    ZLAYER_DENIED = 12, /* also: the command cannot be executed */
    ZLAYER_INTERNAL = 13
};

struct zlayer_error {
    int kind;   /* enum zlayer_error_kind; newer libraries may know more */
    int errnum; /* 0: no system call is to blame */
    char message[1024];
};

/* ---- runtime ---- */

typedef struct zlayer_runtime zlayer_runtime;

struct zlayer_options {
    size_t size;               /* sizeof(struct zlayer_options) */
    const char *root_dir;      /* NULL: /var/lib/zlayer */
    const char *runtime_dir;   /* NULL: /var/run/zlayer */
    const char *cgroup_parent; /* NULL: /zlayer */
    const char *config_file;   /* an agent.yml; NULL: /etc/zlayer/agent.yml, if there is one */
};

/*
 * The directories are made when missing. options may be NULL. Of the configuration file count who
 * has to sign which images ("signatures"), and how registries are reached; it is read once, here,
 * and one that cannot be read or is wrong is INVALID, NOT_FOUND or SYSTEM, since it may ask for
 * signatures.
 */
ZLAYER_API int zlayer_runtime_open(const struct zlayer_options *options, zlayer_runtime **ret,
                                   struct zlayer_error *err);
/* Lets go of containers that were not removed: they run on, watched by their monitors, and nobody
 * can reach them any more. Their handles must have been freed. NULL is fine. */
ZLAYER_API void zlayer_runtime_close(zlayer_runtime *rt);

/*
 * Makes sure that an image can be used: it is in the root directory's store already, or comes from
 * its registry. A WebAssembly module is compiled as well. NOT_FOUND: neither has it. DENIED: it is
 * not signed as the configuration file asks. digest may be NULL, or has room for size bytes; 80 are
 * enough.
 */
ZLAYER_API int zlayer_image_pull(zlayer_runtime *rt, const char *image, char *digest, size_t size,
                                 struct zlayer_error *err);

/* ---- containers ---- */

typedef struct zlayer_container zlayer_container;

struct zlayer_exit {
    int code;            /* 0-255; 128 + signal */
    int signal;          /* 0: it ended by itself */
    int oom;             /* 1: the kernel ended a process of it for lack of memory */
    int lost;            /* 1: its monitor died; how it ended is not known */
    int64_t finished_ms; /* UTC */
};

/*
 * Everything but the process. spec is one service mapping of a deployment document (YAML or JSON):
 * "image: {name: busybox}\ncommand: {entrypoint: [echo, hello]}\n". name is what it is called in
 * messages and its host name; it need not be unique. INVALID: the message has every finding about
 * the spec, one a line. DENIED: the image is not known to be signed as the configuration file asks.
 */
ZLAYER_API int zlayer_container_create(zlayer_runtime *rt, const char *name, const char *spec,
                                       zlayer_container **ret, struct zlayer_error *err);
/*
 * The same by what an orchestrator calls it: the replica of a service. It is named
 * SERVICE-rep-REPLICA. EXISTS: this runtime has a container of that id, which was not removed.
 */
struct zlayer_container_id {
    size_t size; /* sizeof(struct zlayer_container_id) */
    const char *service;
    uint32_t replica; /* from 1 */
};
ZLAYER_API int zlayer_container_create_replica(zlayer_runtime *rt,
                                               const struct zlayer_container_id *id,
                                               const char *spec, zlayer_container **ret,
                                               struct zlayer_error *err);
/* Returns when the command was executed. NOT_FOUND: there is no such command; DENIED: it cannot be
 * executed. */
ZLAYER_API int zlayer_container_start(zlayer_container *c, struct zlayer_error *err);
/* Waits for the end of its first process; may be called again. timeout_ms < 0: for ever; past it:
 * TIMEOUT. */
ZLAYER_API int zlayer_container_wait(zlayer_container *c, int64_t timeout_ms,
                                     struct zlayer_exit *ret, struct zlayer_error *err);
/* The stop signal of spec or image, and SIGKILL after grace_ms. Returns when all is over; success
 * when it was over before. */
ZLAYER_API int zlayer_container_stop(zlayer_container *c, uint64_t grace_ms,
                                     struct zlayer_error *err);
/* One signal to its first process; SIGKILL goes to all. */
ZLAYER_API int zlayer_container_kill(zlayer_container *c, int signal, struct zlayer_error *err);
/* All of its processes stand still, or go on. CONFLICT: they do already. */
ZLAYER_API int zlayer_container_pause(zlayer_container *c, struct zlayer_error *err);
ZLAYER_API int zlayer_container_unpause(zlayer_container *c, struct zlayer_error *err);
/* Bytes for its standard input, which the spec's `stdin_open: true` opens; returns when all of them
 * are taken, so not while it reads nothing. After the end its reader gets end-of-file. CONFLICT:
 * its input is not open. */
ZLAYER_API int zlayer_container_write_stdin(zlayer_container *c, const void *bytes, size_t n,
                                            struct zlayer_error *err);
ZLAYER_API int zlayer_container_close_stdin(zlayer_container *c, struct zlayer_error *err);

struct zlayer_stats { /* since its start; a limit of 0 is none */
    size_t size;      /* sizeof(struct zlayer_stats), set by the caller */
    uint64_t cpu_usage_ns, cpu_user_ns, cpu_system_ns;
    uint64_t memory_bytes, memory_working_set, memory_limit;
    uint64_t net_rx_bytes, net_tx_bytes, blkio_read_bytes, blkio_write_bytes;
    uint64_t pids, pids_limit;
    uint32_t online_cpus;
    int64_t time_ms;              /* UTC, of the sample */
    uint64_t memory_linear_bytes; /* of a WebAssembly guest's memories; 0: not known, or none */
};
/* CONFLICT: it does not run. */
ZLAYER_API int zlayer_container_stats(zlayer_container *c, struct zlayer_stats *ret,
                                      struct zlayer_error *err);
/* ---- commands in a container that runs, its output, its processes ---- */

/* Gets each piece of output with its stream (1 stdout, 2 stderr), in order; what it returns other
 * than 0 ends the call that it is given to, which then succeeds. */
typedef int (*zlayer_output_fn)(void *arg, int stream, const char *bytes, size_t n);

struct zlayer_exec {
    size_t size;             /* sizeof(struct zlayer_exec) */
    const char *const *argv; /* NULL-terminated */
    const char *const *env;  /* the same, "NAME=value", added to the container's; NULL: nothing */
    const char *user;        /* "uid", "name", "name:group"; NULL: the container's */
    const char *cwd;         /* absolute; NULL: the container's */
    const void *input;       /* its standard input, and then end-of-file; NULL: there is none */
    size_t input_size;
    int tty;             /* 1: on a terminal, whose output is all stream 1 */
    uint16_t rows, cols; /* of that; 0: not known */
};
/*
 * Executes a further command and waits for its end. It has the rights of the first process and
 * lives in its namespaces and limits. NOT_FOUND: there is no such command; DENIED: it cannot be
 * executed; UNREACHABLE: its monitor died meanwhile. When fn ends the call, the command is ended as
 * well, and *ret says nothing.
 */
ZLAYER_API int zlayer_container_exec(zlayer_container *c, const struct zlayer_exec *x,
                                     zlayer_output_fn fn, void *arg, struct zlayer_exit *ret,
                                     struct zlayer_error *err);
/* What its first process writes from now on, until its end. Its log has all of it in any case; who
 * is slow here misses some. CONFLICT, UNREACHABLE: it does not run. */
ZLAYER_API int zlayer_container_attach(zlayer_container *c, zlayer_output_fn fn, void *arg,
                                       struct zlayer_error *err);

/* fn gets the titles, then the cells of each process, n of them each time; what it returns other
 * than 0 ends the walk. columns as ps(1) has them, "-o pid,rss,cmd"; NULL: the usual ones. */
typedef int (*zlayer_row_fn)(void *arg, const char *const *cells, size_t n);
ZLAYER_API int zlayer_container_top(zlayer_container *c, const char *columns, zlayer_row_fn fn,
                                    void *arg, struct zlayer_error *err);

struct zlayer_limits {                               /* 0 and NULL: it stays as it is; -1: none */
    size_t size;                                     /* sizeof(struct zlayer_limits) */
    int64_t memory, memory_reservation, memory_swap; /* bytes; swap: both together */
    int64_t pids;
    int64_t cpu_quota;   /* microseconds of CPU time in each period */
    uint64_t cpu_period; /* microseconds */
    uint64_t cpu_shares; /* weight against others, 1024 is usual */
    uint64_t blkio_weight;
    const char *cpuset_cpus, *cpuset_mems; /* "0-3,8" */
};
/* New limits while it runs: all of them, or an error and the old ones. warnings (may be NULL) gets
 * what this host cannot do, a line each, at most size bytes with the NUL. */
ZLAYER_API int zlayer_container_update(zlayer_container *c, const struct zlayer_limits *limits,
                                       char *warnings, size_t size, struct zlayer_error *err);

/* ---- its files, also when it has ended ---- */

enum {
    ZLAYER_COPY_OWNERS = 1,    /* of the archive; else all belongs to the container's root */
    ZLAYER_COPY_SAME_TYPES = 2 /* no folder takes the place of a file, and no file that of one */
};
/* Reads a tar archive from a descriptor until its end, and unpacks it in the folder `path` of the
 * container. Nothing in it leads out of the container. */
ZLAYER_API int zlayer_container_copy_in(zlayer_container *c, const char *path, int tar_fd,
                                        unsigned flags, struct zlayer_error *err);
/* Writes what is at `path`, a file or a folder with all that is in it, as a tar archive into a
 * descriptor. A pipe that nobody reads raises SIGPIPE, as with write(2). */
ZLAYER_API int zlayer_container_copy_out(zlayer_container *c, const char *path, int tar_fd,
                                         struct zlayer_error *err);

/* ---- the end ---- */

/* Kills it if need be and removes everything but its log. The handle stays the caller's to free. */
ZLAYER_API int zlayer_container_remove(zlayer_container *c, struct zlayer_error *err);
/* Frees the handle only; NULL is fine. */
ZLAYER_API void zlayer_container_free(zlayer_container *c);

ZLAYER_API const char *zlayer_container_id(const zlayer_container *c);
/* Where its output goes, in CRI's format: "<RFC 3339 time> stdout|stderr F|P <line>". */
ZLAYER_API const char *zlayer_container_log_path(const zlayer_container *c);
/* The same without the format, as zlayer_output_fn gets it. */
typedef zlayer_output_fn zlayer_log_fn;
ZLAYER_API int zlayer_container_logs(zlayer_container *c, zlayer_log_fn fn, void *arg,
                                     struct zlayer_error *err);

#ifdef __cplusplus
}
#endif
#endif
