// SPDX-License-Identifier: Apache-2.0
/* The grammars of names; docs/spec.md, "Names". Each answers 0, or -1 with *flaw filled. */
#ifndef ZL_SPEC_VALUE_NAME_H
#define ZL_SPEC_VALUE_NAME_H

#include "spec/value/flaw.h"

int spec_check_deployment_name(const char *name, struct spec_flaw *flaw);
int spec_check_service_name(const char *name, struct spec_flaw *flaw);
int spec_check_endpoint_name(const char *name, struct spec_flaw *flaw);
/* Of an environment variable. */
int spec_check_env_name(const char *name, struct spec_flaw *flaw);
/* RFC 1123 labels, at most 64 bytes, as sethostname(2) takes. */
int spec_check_hostname(const char *name, struct spec_flaw *flaw);
/* uid, uid:gid, name, name:group and mixtures. */
int spec_check_user(const char *user, struct spec_flaw *flaw);
/* An absolute path without ".." components. */
int spec_check_abs_path(const char *path, struct spec_flaw *flaw);
/* The same, and not "/" itself. */
int spec_check_mount_target(const char *path, struct spec_flaw *flaw);
/* A prefix of request paths: begins with '/'. */
int spec_check_endpoint_path(const char *path, struct spec_flaw *flaw);
/* A host name, or "*." and a suffix. */
int spec_check_endpoint_host(const char *host, struct spec_flaw *flaw);
/* Exactly "v1". */
int spec_check_version(const char *version, struct spec_flaw *flaw);
/* A list of CPUs as cpuset(7) writes it: "0-3,6". */
int spec_check_cpuset(const char *list, struct spec_flaw *flaw);

#endif
