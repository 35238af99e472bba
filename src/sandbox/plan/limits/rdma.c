// SPDX-License-Identifier: Apache-2.0
/* rdma: handles and objects of InfiniBand devices. */
#include <inttypes.h>

#include "sandbox/plan/limits/limits.h"

static int rdma(struct limits *l)
{
    for (size_t i = 0; i < l->r->rdma.n; i++) {
        const struct oci_rdma *d = &l->r->rdma.v[i];
        zl_autobuf struct zl_buf value = ZL_BUF(1024);
        if (!d->hca_handles.set && !d->hca_objects.set)
            return zl_fail(l->b->err, ZL_ERR_INVALID,
                           "linux.resources.rdma.%s: hcaHandles or hcaObjects is required",
                           d->device);
        zl_buf_adds(&value, d->device);
        if (d->hca_handles.set)
            zl_buf_addf(&value, " hca_handle=%" PRIu64, d->hca_handles.v);
        if (d->hca_objects.set)
            zl_buf_addf(&value, " hca_object=%" PRIu64, d->hca_objects.v);
        limits_put(l, 0, "rdma.max", "%s", value.data);
    }
    return 0;
}

const struct controller rdma_controller = {
    .v1 = "rdma",
    .v2 = "rdma",
    .write_v1 = rdma,
    .write_v2 = rdma,
};
