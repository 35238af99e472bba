// SPDX-License-Identifier: Apache-2.0
/*
 * Ending and removing the cgroups of a container that has no monitor any more. The paths come from
 * its record. Nothing waits here: who finds a process still alive comes back later.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "runtime/native/inner.h"

enum { PROCS_MAX = 1 << 20 };

/* Whether pid stands in this list of one number a line. */
static bool is_listed(const char *procs, long pid)
{
    for (const char *p = procs; *p;) {
        char *end;
        long have = strtol(p, &end, 10); /* the kernel's own numbers */
        if (end == p)
            return false;
        if (have == pid)
            return true;
        p = *end ? end + 1 : end;
    }
    return false;
}

/*
 * SIGKILL to one process. Its number may be another's by now, so it is held by a pidfd first and
 * then looked for in the cgroup once more: what is killed was in there while we held it.
 */
static void kill_one(int dir_fd, long pid)
{
    zl_autobuf struct zl_buf again = ZL_BUF(PROCS_MAX);
    zl_autoclose int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (pidfd < 0 || zl_read_file(dir_fd, "cgroup.procs", &again, NULL) < 0)
        return; /* it is gone */
    if (is_listed(again.data, pid))
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0); /* or it is gone now */
}

static void kill_listed(int dir_fd)
{
    zl_autobuf struct zl_buf procs = ZL_BUF(PROCS_MAX);
    if (zl_read_file(dir_fd, "cgroup.procs", &procs, NULL) < 0)
        return; /* the directory was removed meanwhile */
    for (const char *p = procs.data; *p;) {
        char *end;
        long pid = strtol(p, &end, 10);
        if (end == p)
            return;
        if (pid > 0) /* 0: of another PID namespace */
            kill_one(dir_fd, pid);
        p = *end ? end + 1 : end;
    }
}

void cgroup_kill_all(const struct record *r)
{
    for (size_t i = 0; i < r->cgroups.n; i++) {
        zl_autoclose int dir = zl_open_dir(AT_FDCWD, r->cgroups.v[i], NULL);
        /* cgroup.kill is of v2; it takes children and forks under way along (cgroup-v2.rst) */
        if (dir >= 0 && zl_write_file(dir, "cgroup.kill", "1", NULL) < 0)
            kill_listed(dir);
    }
}

bool cgroup_remove_all(const struct record *r)
{
    bool gone = true;
    for (size_t i = 0; i < r->cgroups.n; i++)
        if (rmdir(r->cgroups.v[i]) < 0 && errno != ENOENT)
            gone = false;
    return gone;
}
