// SPDX-License-Identifier: Apache-2.0
/*
 * Ending and removing the cgroups of a container that has no monitor any more. The paths come from
 * its record. Nothing waits here: who finds a process still alive comes back later.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "runtime/native/inner.h"
#include "sandbox/cgroup_walk.h"

/* One that was paused, or paused a part of itself: on v1 who is frozen is not killed. */
static int thaw(void *arg, int fd, struct zl_error *err)
{
    (void)arg;
    (void)err;
    (void)zl_write_file(fd, "freezer.state", "THAWED", NULL); /* of one hierarchy only */
    return 0;
}

void cgroup_kill_all(const struct record *r)
{
    for (size_t i = 0; i < r->cgroups.n; i++) {
        zl_autoclose int dir = zl_open_dir(AT_FDCWD, r->cgroups.v[i], NULL);
        /* cgroup.kill is of v2; it takes children and forks under way along (cgroup-v2.rst) */
        if (dir < 0 || zl_write_file(dir, "cgroup.kill", "1", NULL) == 0)
            continue;
        /* Who is left is seen, and tried again. */
        (void)cgroup_signal_below(dir, SIGKILL, NULL);
        (void)cgroup_walk(dir, &(struct cgroup_visit){ .enter = thaw }, NULL);
    }
}

/* EBUSY: it holds a process, or a cgroup that the container made below it. */
static bool remove_one(const char *path)
{
    if (rmdir(path) == 0 || errno == ENOENT)
        return true;
    zl_autoclose int dir = errno == EBUSY ? zl_open_dir(AT_FDCWD, path, NULL) : -1;
    if (dir < 0)
        return false;
    cgroup_remove_below(dir);
    return rmdir(path) == 0 || errno == ENOENT;
}

bool cgroup_remove_all(const struct record *r)
{
    bool gone = true;
    for (size_t i = 0; i < r->cgroups.n; i++)
        gone &= remove_one(r->cgroups.v[i]);
    return gone;
}
