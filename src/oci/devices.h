// SPDX-License-Identifier: Apache-2.0
/*
 * The devices of a container beside the ones that every container has: what each is on this host
 * (stat(2): type and numbers) and how it may be used. They become nodes and cgroup rules.
 */
#ifndef ZL_OCI_DEVICES_H
#define ZL_OCI_DEVICES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec/spec.h"

struct oci_host_device {
    char *path; /* inside; an allocation */
    char type;  /* 'c' or 'b' */
    unsigned major, minor;
    mode_t mode; /* permission bits */
    uid_t uid;
    gid_t gid;
    char access[4]; /* of "rwm" */
};

struct oci_devices {
    struct oci_host_device *v;
    size_t n;
};

/* A node that is not there, or is none: NOT_FOUND, INVALID. A path that is in the list already is
 * left as it is. host_path is looked up below host_fd, "/" of the host. */
int oci_devices_add(struct oci_devices *d, int host_fd, const char *host_path, const char *path,
                    const char *access, struct zl_error *err);
/* Those of the spec: a directory means all devices in it and below. With `privileged`, all of the
 * host's /dev, as they are there. */
int oci_devices_find(const struct spec_service *s, int host_fd, struct oci_devices *ret,
                     struct zl_error *err);
void oci_devices_done(struct oci_devices *d);

#endif
