// SPDX-License-Identifier: Apache-2.0
/*
 * A service and an image become the config.json of one container (OCI runtime spec 1.0.2). What it
 * says is all that the container gets: the plan is made from this document and from nothing else.
 * No file is written here, none read but the image's passwd and group.
 */
#ifndef ZL_OCI_BUNDLE_H
#define ZL_OCI_BUNDLE_H

#include <jansson.h>

#include "oci/user.h"
#include "spec/spec.h"

/* What of the OCI image config (image-spec, config.md) shapes a process. NULL: absent. */
struct oci_image {
    const char *const *entrypoint, *const *cmd, *const *env; /* NULL-terminated */
    const char *user, *workdir;
};

struct oci_bundle {
    const struct spec_service *service;
    struct oci_image image;
    const char *name; /* what people call it, "web-rep-1": hostname unless the spec has one */
    const char *cgroups_path; /* of linux.cgroupsPath */
    const char *etc_dir;      /* absolute host path of the files of oci_etc_write(); NULL: none */
    uint64_t nofile_max;      /* own hard limit of open files: without CAP_SYS_RESOURCE none may
                               * have more (getrlimit(2)) */
    oci_open_fn open_file;    /* for /etc/passwd and /etc/group of the image */
    void *arg;
};

/*
 * The document, owned by the caller (json_decref). INVALID for a text that is not UTF-8 or a path
 * that is not absolute, NOT_FOUND for an unknown user or group, UNSUPPORTED for what this runtime
 * has not learnt yet; never silently less than the service says.
 */
int oci_bundle_make(const struct oci_bundle *b, json_t **ret, struct zl_error *err);

enum { OCI_HOSTNAME_MAX = 63 }; /* the kernel takes 64 (uname(2)), DNS a label of 63 */
/* The name inside: the spec's, else b->name as far as it goes; into out[OCI_HOSTNAME_MAX + 1]. */
void oci_bundle_hostname(const struct spec_service *service, const char *name, char *out);

#endif
