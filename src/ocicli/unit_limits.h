// SPDX-License-Identifier: Apache-2.0
#ifndef ZL_OCICLI_UNIT_LIMITS_H
#define ZL_OCICLI_UNIT_LIMITS_H

#include "base/buf.h"
#include "sandbox/plan.h"

/*
 * The values of cgroup files as systemd's properties (systemd.resource-control(5)), "NAME=VALUE"
 * lines in GVariant's text format. Files that systemd has no property for are left out: it does not
 * write them either.
 */
void unit_limits(const void *base, struct plan_tab cgroups, struct zl_buf *out);

#endif
