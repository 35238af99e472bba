// SPDX-License-Identifier: Apache-2.0
/*
 * The files of /etc that a container cannot bring along, because they depend on the host and on how
 * the container is called: hosts, hostname, resolv.conf. Written before the container is made,
 * bound over the image's own.
 */
#ifndef ZL_OCI_ETC_H
#define ZL_OCI_ETC_H

#include <stdbool.h>

#include "base/error.h"

/*
 * Writes "hosts", "hostname" and "resolv.conf" into dir_fd. host_network: the container sees the
 * host's network, so it gets the host's names too. resolv.conf is a copy of the host's; without one
 * it is empty, and resolvers ask 127.0.0.1.
 */
int oci_etc_write(int dir_fd, const char *hostname, bool host_network, struct zl_error *err);

/* The names of those files, NULL-terminated. */
extern const char *const oci_etc_files[];

#endif
