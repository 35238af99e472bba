// SPDX-License-Identifier: Apache-2.0
/*
 * A service and an image become the config.json of one container (OCI runtime spec 1.0.2). What it
 * says is all that the container gets: the plan is made from this document and from nothing else.
 * No file is written here; read are the image's passwd and group, and of the host what the service
 * names: devices, a seccomp profile, descriptions of GPUs.
 */
#ifndef ZL_OCI_BUNDLE_H
#define ZL_OCI_BUNDLE_H

#include <jansson.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "oci/user.h"
#include "spec/spec.h"

/* What of the OCI image config (image-spec, config.md) shapes a process. NULL: absent. */
struct oci_image {
    const char *const *entrypoint, *const *cmd, *const *env; /* NULL-terminated */
    const char *user, *workdir;
};

/* What a bundle has to know of this machine. Tests bring their own. */
struct oci_host {
    int root_fd;                       /* its "/" */
    uint64_t rlimit_max[RLIM_NLIMITS]; /* our own hard limits, by RLIMIT_… (getrlimit(2)) */
    bool raises_limits;                /* CAP_SYS_RESOURCE: may give more than these */
    uint64_t capabilities;             /* of our bounding set; bit n: number n */
    const char *cdi_dirs;              /* ':' between them; NULL: CDI's own (gpu.h) */
};
/* Of this machine and this process. root_fd is the caller's to close. */
int oci_host_read(struct oci_host *ret, struct zl_error *err);

struct oci_bundle {
    const struct spec_service *service;
    const struct spec_pairs *env; /* the service's, resolved, and what goes with it; NULL: none */
    struct oci_image image;
    const struct oci_host *host;
    const char *name; /* what people call it, "web-rep-1": hostname unless the spec has one */
    const char *cgroups_path;   /* of linux.cgroupsPath */
    const char *const *volumes; /* host paths, as many as service->storage has; NULL where it is no
                                 * volume; NULL: there are none */
    const char *etc_dir;        /* absolute host path of the files of oci_etc_write(); NULL: none */
    /* Of another container, for container:<id>: what is opened to join it; NULL: not asked for. */
    struct {
        const char *pid, *ipc, *network;
    } join;
    const char *shm_dir;   /* absolute host path that is bound as /dev/shm, for who shares it;
                            * NULL: a tmpfs of its own */
    const uint32_t *gpus;  /* numbers of the GPUs that are this container's, resources.gpu.count */
    bool is_module;        /* its environment is what was said; "/" may be given to it */
    uint32_t rank;         /* among its service's replicas, from 0 */
    oci_open_fn open_file; /* for /etc/passwd and /etc/group of the image */
    void *arg;
    struct zl_buf *notes; /* what is done otherwise than it was asked, a line each; NULL: nobody
                           * wants to know */
};

/*
 * The document, owned by the caller (json_decref). INVALID for a text that is not UTF-8 or a path
 * that is not absolute, NOT_FOUND for an unknown user or group or a device that is not there,
 * UNSUPPORTED for what this runtime has not learnt yet; never silently less than the service says.
 */
int oci_bundle_make(const struct oci_bundle *b, json_t **ret, struct zl_error *err);

enum { OCI_HOSTNAME_MAX = 63 }; /* the kernel takes 64 (uname(2)), DNS a label of 63 */
/* The name inside: the spec's, else b->name as far as it goes; into out[OCI_HOSTNAME_MAX + 1]. */
void oci_bundle_hostname(const struct spec_service *service, const char *name, char *out);

/* "container:web" → "web"; NULL: another mode. */
const char *oci_bundle_joins(const char *mode);

#endif
