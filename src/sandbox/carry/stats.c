// SPDX-License-Identifier: Apache-2.0
/* What a container's cgroups count: their folders, as the plan names them. */
#include "sandbox/stats.h"

#include <string.h>

#include "sandbox/carry/inner.h"

int carry_stats(struct carry *c, struct cgroup_stats *ret, struct zl_error *err)
{
    uint32_t n = c->plan->cgroups.n;
    zl_autofree const char **dirs = calloc(n + 1, sizeof *dirs);
    zl_autobuf struct zl_buf text = ZL_BUF(PLAN_MAX);
    size_t at = 0;

    if (!dirs)
        return zl_fail_errno(err, "read statistics");
    for (uint32_t i = 0; i < n; i++) {
        zl_buf_addf(&text, "%s/%s", c->cgroups[i].mount, c->cgroups[i].path);
        zl_buf_addc(&text, '\0');
    }
    if (zl_buf_check(&text, "names of cgroups", err) < 0)
        return -1;
    for (uint32_t i = 0; i < n; i++) { /* now that the buffer moves no more */
        dirs[i] = text.data + at;
        at += strlen(dirs[i]) + 1;
    }
    return cgroup_stats_read(dirs, n, ret, err);
}
