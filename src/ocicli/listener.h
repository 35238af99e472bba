// SPDX-License-Identifier: Apache-2.0
/* linux.seccomp.listenerPath: who is asked what SCMP_ACT_NOTIFY does not decide. */
#ifndef ZL_OCICLI_LISTENER_H
#define ZL_OCICLI_LISTENER_H

#include "oci/config.h"
#include "oci/state.h"
#include "sandbox/carry/carry.h"

struct listening {
    const struct oci_config *config;
    const struct oci_state *state; /* of the container; pid 0: the process is its first */
    enum oci_status status;
};

/* Sees to it that the filter's descriptor gets there; l must live as long as *how. */
void listener_start(struct listening *l, struct carry_start *how);

#endif
