// SPDX-License-Identifier: Apache-2.0
/* What the caller's environment and the configuration's annotations ask of the runtime. */
#ifndef ZL_OCICLI_ENVIRONMENT_H
#define ZL_OCICLI_ENVIRONMENT_H

#include "oci/config.h"

/*
 * Socket activation (sd_listen_fds(3)): the descriptors that $LISTEN_FDS counts for us, from 3 on,
 * are the container's, and its process is told of them as its own. *ret_n: how many.
 */
int environment_listen_fds(struct oci_config *config, unsigned *ret_n, struct zl_error *err);
/* INVALID unless our caller handed on descriptors 3 … 2 + listen + n: those of $LISTEN_FDS, then
 * those of --preserve-fds. */
int environment_check_fds(unsigned listen, uint64_t n, struct zl_error *err);
/* UNSUPPORTED for an annotation run.oci.… (crun's) that would change what the container may do, or
 * what it is, and that we do not carry out. */
int environment_check_annotations(const struct oci_config *config, struct zl_error *err);

#endif
