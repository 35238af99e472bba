// SPDX-License-Identifier: Apache-2.0
/*
 * Where monitors live: the cgroup <base>/shims beside <base>/c/<id> of their containers, without
 * limits, and out of the OOM killer's way as far as we may. A monitor that cannot do either works
 * as well; it is done after the start, since on v2 moving a process waits for an RCU grace period.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "shim/shim.h"

/* "<mount>/<base>/shims", when the container's path is "<base>/c/<id>". */
static bool monitors_path(const struct plan *plan, const struct plan_cgroup *g, char *out,
                          size_t size)
{
    const char *path = plan_text(plan, g->path), *mount = plan_text(plan, g->mount);
    const char *id = path ? strrchr(path, '/') : NULL;

    if (!mount || !id || id - path < 2 || memcmp(id - 2, "/c", 2) != 0)
        return false;
    int n = snprintf(out, size, "%s/%.*s/shims", mount, (int)(id - path - 2), path);
    return n > 0 && (size_t)n < size;
}

static void join(const char *path, const char *file)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return;
    zl_autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0)
        (void)zl_write_file(dir, file, "0", NULL); /* best effort, see above */
}

void belong_to_monitors(const struct plan *plan)
{
    const struct plan_cgroup *groups = plan_table(plan, plan->cgroups);
    char path[4096];

    for (uint32_t i = 0; i < plan->cgroups.n; i++) {
        if (!(groups[i].flags & PLAN_CGROUP_LATE) &&
            monitors_path(plan, &groups[i], path, sizeof path))
            join(path, groups[i].kind == PLAN_CGROUP_V1 ? "tasks" : "cgroup.procs");
    }
    /* Only where the container's processes do not inherit it. */
    if (plan->process.flags & PLAN_HAS_OOM_ADJ)
        (void)zl_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "-999", NULL);
}
