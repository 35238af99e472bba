// SPDX-License-Identifier: Apache-2.0
/*
 * criu(8), which saves the processes of a container and brings them back. It is asked as
 * `criu swrk FD`: one request over a seqpacket socket, notifications while it works, one answer.
 * The messages are those of its rpc.proto.
 */
#ifndef ZL_OCICLI_CRIU_CRIU_H
#define ZL_OCICLI_CRIU_CRIU_H

#include "ocicli/container.h"

/* What checkpoint and restore say about how. */
struct criu_options {
    const char *image_path, *work_path, *parent_path, *page_server;
    const char *lsm_profile, *lsm_mount_context, *status_fd;
    struct cli_list empty_ns;
    int cgroups; /* enum criu_cgroups */
    bool leave_running, pre_dump, tcp_established, tcp_skip_in_flight, ext_unix_sk, shell_job;
    bool lazy_pages, file_locks, auto_dedup;
};
/* index into criu_cgroup_modes */
enum criu_cgroups { CRIU_SOFT, CRIU_FULL, CRIU_STRICT, CRIU_IGNORE };
extern const char *const criu_cgroup_modes[];

enum criu_work { CRIU_DUMP, CRIU_PRE_DUMP, CRIU_RESTORE, CRIU_WORKS };

/* criu's folders. */
struct criu_dirs {
    int images, work; /* -1: not open */
    const char *work_path;
};
#define CRIU_DIRS_NONE                                                                             \
    {                                                                                              \
        .images = -1, .work = -1                                                                   \
    }
/* make: those that are not there are made. */
int criu_dirs_open(const struct criu_options *o, bool make, struct criu_dirs *ret,
                   struct zl_error *err);
void criu_dirs_done(struct criu_dirs *d);
#define autocriudirs ZL_CLEANUP(criu_dirs_done)

/*
 * criu_request.c: the options of a request for this container into opts, as far as both works have
 * them: folders, mounts from outside, modes. CRIU_RESTORE: as what the container's plan has now.
 */
int criu_request(enum criu_work work, const struct criu_options *o, const struct criu_dirs *d,
                 const struct oci_config *config, const struct container *c, struct zl_buf *opts,
                 struct zl_error *err);
/* The dump of the container with this first process. */
int criu_request_pid(const struct container *c, pid_t pid, struct zl_buf *opts,
                     struct zl_error *err);
/* Namespaces that were joined by a path lie outside: they are told by name, and which they were or
 * are to be. Descriptors that criu is to inherit are opened into fds (CRIU_INHERIT_MAX). */
enum { CRIU_INHERIT_MAX = 4 };
int criu_request_namespaces(enum criu_work work, const struct oci_config *config,
                            struct zl_buf *opts, int *fds, size_t *n_fds, struct zl_error *err);
/* A restore below this root. */
void criu_request_root(struct zl_buf *opts, const char *root);
/* A restore: what descriptors.json of the images calls a pipe is 0, 1 or 2 of ours. */
int criu_request_stdio(const struct criu_dirs *d, struct zl_buf *opts, struct zl_error *err);
/* A dump: writes descriptors.json, as runc's: where 0, 1 and 2 of the process lead. */
int criu_keep_stdio(const struct criu_dirs *d, pid_t pid, struct zl_error *err);

struct criu_call {
    const struct cli *cli;
    enum criu_work work;
    const struct zl_buf *opts;
    const struct criu_dirs *dirs;
    struct carry *within; /* criu runs in this container's cgroups; NULL: in ours */
    const int *inherit;   /* descriptors that it gets under their own numbers */
    size_t n_inherit;
    /* Each notification ("post-restore"); fd: that came with it, or -1. -1: criu is to give up. */
    int (*told)(void *arg, const char *what, pid_t pid, int fd, struct zl_error *err);
    void *arg;
};
/* Until criu is done. UNSUPPORTED when there is no criu; its own words otherwise. */
int criu_run(const struct criu_call *call, struct zl_error *err);

#endif
