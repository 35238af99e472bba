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
#include "sandbox/cgroup_walk.h"

enum { PROCS_MAX = 1 << 20 };

/*
 * SIGKILL to one process. Its number may be another's by now, so it is held by a pidfd first and
 * then looked for in the cgroup once more: what is killed was in there while we held it.
 */
static void kill_one(int dir_fd, pid_t pid)
{
    zl_autobuf struct zl_buf again = ZL_BUF(PROCS_MAX);
    zl_autoclose int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0 || zl_read_file(dir_fd, "cgroup.procs", &again, NULL) < 0)
        return; /* it is gone */
    if (cgroup_lists(&again, pid))
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0); /* or it is gone now */
}

static int kill_listed(void *arg, int dir_fd, struct zl_error *err)
{
    zl_autobuf struct zl_buf procs = ZL_BUF(PROCS_MAX);
    (void)arg;
    (void)err;
    if (zl_read_file(dir_fd, "cgroup.procs", &procs, NULL) < 0)
        return 0; /* the directory was removed meanwhile */
    for (const char *at = procs.data; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        pid_t pid = (pid_t)strtol(at, NULL, 10);
        if (pid > 0) /* 0: of another PID namespace */
            kill_one(dir_fd, pid);
    }
    return 0;
}

void cgroup_kill_all(const struct record *r)
{
    for (size_t i = 0; i < r->cgroups.n; i++) {
        zl_autoclose int dir = zl_open_dir(AT_FDCWD, r->cgroups.v[i], NULL);
        /* cgroup.kill is of v2; it takes children and forks under way along (cgroup-v2.rst) */
        if (dir >= 0 && zl_write_file(dir, "cgroup.kill", "1", NULL) < 0)
            (void)cgroup_walk(dir, &(struct cgroup_visit){ .enter = kill_listed }, NULL);
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
