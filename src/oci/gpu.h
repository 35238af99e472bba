// SPDX-License-Identifier: Apache-2.0
/*
 * resources.gpu: what a container needs to use the GPUs that were chosen for it. A CDI file of the
 * vendor says best; without one it is the usual device nodes. Which GPUs a container gets is
 * decided by whoever knows who has which (struct oci_bundle.gpus).
 */
#ifndef ZL_OCI_GPU_H
#define ZL_OCI_GPU_H

#include <jansson.h>

#include "oci/devices.h"

struct oci_bundle;
struct oci_host;

struct oci_gpu_edits {
    json_t *env;    /* array of "KEY=value", later ones win; NULL: none, as with the others */
    json_t *mounts; /* array, as config.json has them */
    json_t *hooks;  /* object, as config.json has it */
};

/*
 * Nodes go to *devices. CONFIGURATION, "GPU sharing mode '…' is unavailable: …", when the host
 * lacks what the mode needs; NOT_FOUND when a GPU is not there.
 */
int oci_gpu_edit(const struct oci_bundle *b, struct oci_devices *devices, struct oci_gpu_edits *ret,
                 struct zl_error *err);
void oci_gpu_edits_done(struct oci_gpu_edits *e);

/* How many GPUs of this vendor the host has: 0 to *ret are their numbers. */
int oci_gpu_count(const struct spec_gpu *g, const struct oci_host *host, uint32_t *ret,
                  struct zl_error *err);

#endif
