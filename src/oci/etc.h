// SPDX-License-Identifier: Apache-2.0
/*
 * The files of /etc that a container cannot bring along, because they depend on the host and on how
 * the container is called: hosts, hostname, resolv.conf. Written before the container is made,
 * bound over the image's own.
 */
#ifndef ZL_OCI_ETC_H
#define ZL_OCI_ETC_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "spec/parts.h"

struct oci_etc {
    const char *hostname;
    bool host_network; /* it sees the host's network, so it gets the host's names too; dns and
                        * extra_hosts are not looked at */
    const struct spec_strings *dns;         /* addresses of name servers; empty: the host's file */
    const struct spec_strings *extra_hosts; /* "name:address" */
};

/*
 * Writes "hosts", "hostname" and "resolv.conf" into dir_fd. Without dns, resolv.conf is a copy of
 * the host's; without that one it is empty, and resolvers ask 127.0.0.1. UNSUPPORTED: an extra host
 * is `host-gateway`, and there is no way to the host.
 */
int oci_etc_write(int dir_fd, const struct oci_etc *etc, struct zl_error *err);

/* The names of those files, NULL-terminated. */
extern const char *const oci_etc_files[];

enum oci_etc_file { OCI_ETC_HOSTS, OCI_ETC_HOSTNAME, OCI_ETC_RESOLV_CONF };
/* Appends what one of them would hold. */
int oci_etc_text(const struct oci_etc *etc, enum oci_etc_file which, struct zl_buf *out,
                 struct zl_error *err);

#endif
