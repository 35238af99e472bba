// SPDX-License-Identifier: Apache-2.0
/* The inside of plan_cache (sandbox/plan.h). */
#ifndef ZL_SANDBOX_PLAN_CACHE_H
#define ZL_SANDBOX_PLAN_CACHE_H

#include <linux/filter.h>

#include "sandbox/plan.h"
#include "sandbox/plan/layout.h"

/* Where cgroups are mounted: looked at again when mounts have changed. cache may be NULL. */
int plan_cache_layout(struct plan_cache *cache, struct cgroup_layout *ret, struct zl_error *err);

/* The default profile's program for these bounding capabilities; NULL: not compiled yet. */
const struct sock_filter *plan_cache_filter(const struct plan_cache *cache, uint64_t caps,
                                            size_t *ret_n);
/* Keeps a copy; without memory it is compiled again next time. */
void plan_cache_keep_filter(struct plan_cache *cache, uint64_t caps, const struct sock_filter *v,
                            size_t n);

#endif
