// SPDX-License-Identifier: Apache-2.0
/*
 * Inside plan/: seccomp profiles compiled to BPF, by a generator of our own. libseccomp takes 10 ms
 * for the default profile and 0.3 to 1 ms to load what it made; this takes 0.1 and 0.15. The
 * numbers of the calls of each ABI are sorted into ranges that share an action, and the ranges are
 * searched in halves; conditions on arguments stand at the leaves.
 */
#ifndef ZL_SANDBOX_PLAN_SECCOMP_H
#define ZL_SANDBOX_PLAN_SECCOMP_H

#include <linux/filter.h>

#include "oci/config.h"

struct seccomp_profile {
    const struct oci_seccomp *head; /* default action, architectures; its syscalls are not read */
    const struct oci_seccomp_rule *const *rules;
    size_t n_rules;
};

enum { SECCOMP_INSNS_MAX = 4096 }; /* BPF_MAXINSNS */

/*
 * Writes the program for the profile, out[0 .. *ret_n); out has room for SECCOMP_INSNS_MAX. Names
 * that libseccomp did not know at build time, or that an ABI does not have, are ignored, as runc
 * does. Several rules for one call: the first whose conditions all hold decides, else the one
 * without conditions, else the default. A rule with several conditions on one argument holds when
 * any of them does (as runc and crun read it).
 */
int seccomp_compile(const struct seccomp_profile *p, struct sock_filter *out, size_t *ret_n,
                    struct zl_error *err);

/* The rules of our default profile for these bounding capabilities, into out, which has room for
 * SECCOMP_DEFAULT_MAX; how many. head gets its default action and architectures. */
enum { SECCOMP_DEFAULT_MAX = 64 };
size_t seccomp_default(uint64_t caps, const struct oci_seccomp **head,
                       const struct oci_seccomp_rule *out[SECCOMP_DEFAULT_MAX]);

/* The n-th flag of linux.seccomp.flags that we know, NULL after the last. */
const char *seccomp_flag_name(size_t n);
/* The n-th ABI that this build knows, NULL after the last: "SCMP_ARCH_X86_64". */
const char *seccomp_abi_name(size_t n);

#endif
