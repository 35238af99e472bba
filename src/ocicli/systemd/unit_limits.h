// SPDX-License-Identifier: Apache-2.0
#ifndef ZL_OCICLI_SYSTEMD_UNIT_LIMITS_H
#define ZL_OCICLI_SYSTEMD_UNIT_LIMITS_H

#include "base/buf.h"
#include "sandbox/plan.h"

/*
 * The values of cgroup files as systemd's properties (systemd.resource-control(5)), "NAME=VALUE"
 * lines in GVariant's text format. Files that systemd has no property for are left out: it does not
 * write them either.
 */
struct unit_quota { /* of v1, in two files: cpu.cfs_quota_us, cpu.cfs_period_us */
    int64_t quota;
    uint64_t period; /* microseconds; 0: not known, which is the kernel's default */
};
/* Whether one of the two is among the values. */
bool unit_limits_quota(const void *base, struct plan_tab cgroups);
/* in_force: what the one of the two is that is not among the values. */
void unit_limits(const void *base, struct plan_tab cgroups, struct unit_quota in_force,
                 struct zl_buf *out);

#endif
