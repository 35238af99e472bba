// SPDX-License-Identifier: Apache-2.0
/*
 * Container Device Interface (CNCF CDI specification, SPEC.md 0.8): files in which vendors describe
 * what a container needs to use a device of theirs: environment, nodes, mounts, hooks. Read are
 * *.json, *.yaml and *.yml of /etc/cdi, /var/run/cdi and then the further directories. A kind may
 * be described by many files; a device by one of each directory, of which the last counts.
 */
#ifndef ZL_OCI_CDI_H
#define ZL_OCI_CDI_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct cdi;

/* Below host_fd, "/" of the host; more_dirs: absolute paths, ':' between them, or NULL. A file that
 * cannot be understood is INVALID, by name: what it stands for would be missed later. */
int cdi_read(int host_fd, const char *more_dirs, struct cdi **ret, struct zl_error *err);
void cdi_free(struct cdi *c);
ZL_DEFINE_CLEANUP(struct cdi *, cdi_free)
#define autocdi ZL_CLEANUP(cdi_freep)

/* "nvidia.com/gpu": how many devices there are, those called "all" not counted; 0: no such kind. */
size_t cdi_count(const struct cdi *c, const char *kind);

enum cdi_result {
    CDI_FOUND,
    CDI_SPEC_MISSING,
    CDI_DEVICE_MISSING,
    CDI_NO_DEVICES,
    CDI_CONFLICT, /* two files of one directory have the device */
    CDI_FAILED,
};
/*
 * The edits for these devices of a kind, as one object {env, deviceNodes, mounts, hooks} of arrays
 * (owned by the caller): of each device those of its file as a whole, which come once, and its own.
 * The name "all" means every device, unless one is called so. Anything but FOUND fills *err.
 */
enum cdi_result cdi_edits(const struct cdi *c, const char *kind, const char *const *names, size_t n,
                          json_t **ret, struct zl_error *err);

#endif
