// SPDX-License-Identifier: Apache-2.0
/* The end of a cgroup: who is in it, killing them, removing it; and what it counted. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/carry/cgroup/cgroup.h"
#include "sandbox/cgroup_walk.h"
#include "sandbox/kernel.h"

enum { PROCS_MAX = 4 << 20, REMOVE_MS = 10000 };

/* ---- who is in it ---- */

int cgroup_read_procs(struct cgroup *c, struct zl_buf *out, struct zl_error *err)
{
    zl_buf_reset(out);
    if (cgroup_dir(c) < 0)
        return zl_fail_errno(err, "open cgroup '%s/%s'", c->mount, c->path);
    if (cgroup_procs_below(c->dir_fd, out, err) < 0)
        return zl_wrap(err, "list the processes of cgroup '%s/%s'", c->mount, c->path);
    return zl_buf_check(out, "list of processes", err);
}

int cgroup_empty(struct cgroup *c)
{
    zl_autobuf struct zl_buf procs = ZL_BUF(PROCS_MAX);
    uint64_t populated;

    if (cgroup_dir(c) < 0)
        return errno == ENOENT ? 1 : -1;
    if (c->plan->kind == PLAN_CGROUP_V2)
        return cgroup_number(c, "cgroup.events", "populated", &populated) ? !populated : -1;
    return cgroup_read_procs(c, &procs, NULL) < 0 ? -1 : procs.len == 0;
}

int cgroup_pids(struct cgroup *c, pid_t **ret, size_t *ret_n, struct zl_error *err)
{
    if (cgroup_dir(c) < 0)
        return zl_fail_errno(err, "open cgroup '%s/%s'", c->mount, c->path);
    if (cgroup_pids_below(c->dir_fd, ret, ret_n, err) < 0)
        return zl_wrap(err, "list the processes of cgroup '%s/%s'", c->mount, c->path);
    return 0;
}

int cgroup_signal(struct cgroup *c, int signal, struct zl_error *err)
{
    if (cgroup_dir(c) < 0)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "open cgroup '%s/%s'", c->mount, c->path);
    if (signal == SIGKILL && c->plan->kind == PLAN_CGROUP_V2 &&
        zl_write_file(c->dir_fd, "cgroup.kill", "1", NULL) == 0)
        return 0; /* Linux 5.14: all at once, also those that fork meanwhile */
    return cgroup_signal_below(c->dir_fd, signal, err) < 0
               ? zl_wrap(err, "cgroup '%s/%s'", c->mount, c->path)
               : 0;
}

/* ---- removal ---- */

static int remove_once(struct cgroup *c)
{
    if (unlinkat(c->mount_fd, c->path, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    return -1;
}

/*
 * EBUSY: a process is in it, or below. It is killed and waited for; v1 tells of neither, so this
 * looks again in growing steps.
 */
static int kill_and_remove(struct cgroup *c, struct zl_error *err)
{
    uint64_t deadline = zl_mono_ms() + REMOVE_MS;
    int pause_ms = 1;

    while (remove_once(c) < 0) {
        if (errno != EBUSY || zl_mono_ms() > deadline)
            return zl_fail_errno(err, "remove cgroup '%s/%s'", c->mount, c->path);
        if (cgroup_signal(c, SIGKILL, err) < 0)
            return -1;
        if (cgroup_dir(c) >= 0)
            cgroup_remove_below(c->dir_fd);
        (void)poll(NULL, 0, pause_ms);
        pause_ms = pause_ms < 64 ? pause_ms * 2 : 64;
    }
    return 0;
}

int cgroup_remove(struct cgroup *c, struct zl_error *err)
{
    if (c->gone)
        return 0;
    if (c->mount_fd < 0)
        c->mount_fd = open(c->mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (c->mount_fd < 0)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "open '%s'", c->mount);
    c->gone = remove_once(c) == 0 || kill_and_remove(c, err) == 0;
    return c->gone ? 0 : -1;
}

/* ---- what it counted ---- */

bool cgroup_number(struct cgroup *c, const char *file, const char *key, uint64_t *ret)
{
    zl_autobuf struct zl_buf text = ZL_BUF(16384);
    size_t n = key ? strlen(key) : 0;
    const char *at;

    if (cgroup_dir(c) < 0 || zl_read_file(c->dir_fd, file, &text, NULL) < 0)
        return false;
    for (at = text.data; n && *at; at += strcspn(at, "\n"), at += *at == '\n')
        if (strncmp(at, key, n) == 0 && at[n] == ' ') {
            at += n + 1;
            break;
        }
    if (*at < '0' || *at > '9')
        return false;
    *ret = strtoull(at, NULL, 10);
    return true;
}

/* memory.txt (v1), 10: an eventfd is told when the limit was hit and nothing could be reclaimed. */
static int watch_v1(struct cgroup *c)
{
    zl_autoclose int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    zl_autoclose int control = openat(c->dir_fd, "memory.oom_control", O_RDONLY | O_CLOEXEC);
    char line[32];

    if (event < 0 || control < 0)
        return -1;
    (void)snprintf(line, sizeof line, "%d %d", event, control);
    if (zl_write_file(c->dir_fd, "cgroup.event_control", line, NULL) < 0)
        return -1;
    return zl_take_fd(&event);
}

int cgroup_watch_oom(struct cgroup *c)
{
    if (cgroup_dir(c) < 0)
        return -1;
    if (c->plan->kind == PLAN_CGROUP_V2)
        return openat(c->dir_fd, "memory.events", O_RDONLY | O_CLOEXEC);
    return watch_v1(c);
}
