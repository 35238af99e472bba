// SPDX-License-Identifier: Apache-2.0
/*
 * `security_opt` and `privileged` of a service: what they ask for, and the seccomp profile that
 * goes into the document for it.
 */
#ifndef ZL_OCI_SECURITY_H
#define ZL_OCI_SECURITY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "spec/spec.h"

struct oci_host;

struct oci_security {
    bool no_new_privileges;
    bool unconfined;      /* no system call filter */
    bool paths_visible;   /* nothing of /proc and /sys is hidden or read-only */
    const char *profile;  /* absolute path on the host of a filter; NULL: the default one */
    const char *apparmor; /* NULL: none is asked for */
    bool label_disabled;
    const char *label[4]; /* user, role, type, level of SELinux; NULL: the default of each */
};

/* Borrows from the service. INVALID names the option. */
int oci_security_read(const struct spec_service *s, struct oci_security *ret, struct zl_error *err);

/* SELinux's "user:role:type:level", into out; false: no label is asked for. */
bool oci_security_label(const struct oci_security *s, char *out, size_t size);

/*
 * linux.seccomp for it: JSON null for the default profile, which the plan knows. A file may have
 * the form of the runtime spec or Docker's, whose rules can depend on capabilities (`bounding`) and
 * architecture; what does not apply is left out here.
 */
json_t *oci_security_seccomp(const struct oci_security *s, const struct oci_host *host,
                             uint64_t bounding, struct zl_error *err);

#endif
