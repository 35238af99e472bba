// SPDX-License-Identifier: Apache-2.0
/* What single texts of the rarer fields must look like. Each answers 0, or -1 with *flaw filled;
 * docs/spec.md says which error id belongs to which. */
#ifndef ZL_SPEC_FIELDS_RULES_H
#define ZL_SPEC_FIELDS_RULES_H

#include <stdbool.h>

#include "spec/value/flaw.h"

int spec_check_not_empty(const char *text, struct spec_flaw *flaw);
int spec_check_role(const char *role, struct spec_flaw *flaw);        /* of a replica group */
int spec_check_volume_name(const char *name, struct spec_flaw *flaw); /* of named storage */
int spec_check_secret_name(const char *name, struct spec_flaw *flaw);
int spec_check_capability(const char *name, struct spec_flaw *flaw); /* "NET_ADMIN", "CAP_…", ALL */
int spec_check_ulimit_name(const char *name, struct spec_flaw *flaw);
int spec_check_security_opt(const char *option, struct spec_flaw *flaw);
int spec_check_sysctl(const char *key, struct spec_flaw *flaw); /* one that has a namespace */
int spec_check_exposed_port(const char *text, struct spec_flaw *flaw); /* port[/tcp|/udp] */
int spec_check_ip(const char *text, struct spec_flaw *flaw);           /* IPv4 or IPv6 */
int spec_check_host_ip(const char *text, struct spec_flaw *flaw);      /* the same, or empty */
int spec_check_extra_host(const char *text, struct spec_flaw *flaw);   /* name:ip */
int spec_check_pid_mode(const char *text, struct spec_flaw *flaw);
int spec_check_ipc_mode(const char *text, struct spec_flaw *flaw);
int spec_check_backend(const char *text, struct spec_flaw *flaw); /* host:port, [ipv6]:port */
int spec_check_bind(const char *text, struct spec_flaw *flaw);    /* ip:port */
int spec_check_log_destination(const char *text, struct spec_flaw *flaw);
int spec_check_gpu_backend(const char *text, struct spec_flaw *flaw);

#endif
