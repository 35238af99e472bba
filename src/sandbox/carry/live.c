// SPDX-License-Identifier: Apache-2.0
/*
 * What is done to a container while it lives, through its cgroups: who is in it, pause, resume.
 *
 * On v1 the freezer is a hierarchy of its own, which containers do not join at their start: it is
 * made for the first pause. Frozen first, it stops whoever is moved into it, and their children are
 * born there, so the processes that are not yet in it only become fewer.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/carry/inner.h"
#include "sandbox/cgroup_walk.h"

enum { PROCS_MAX = 4 << 20, FREEZE_MS = 10000, MOVE_ROUNDS = 1000 };

static int need_cgroup(const struct carry *c, const char *what, struct zl_error *err)
{
    if (c->plan->cgroups.n)
        return 0;
    return zl_fail(err, ZL_ERR_UNSUPPORTED, "%s: the container has no cgroup", what);
}

/* ---- who is in it ---- */

int carry_pids(struct carry *c, pid_t **ret, size_t *ret_n, struct zl_error *err)
{
    return need_cgroup(c, "list processes", err) < 0 ? -1
                                                     : cgroup_pids(&c->cgroups[0], ret, ret_n, err);
}

pid_t carry_pid_of(int pidfd)
{
    zl_autobuf struct zl_buf text = ZL_BUF(4096);
    static const char key[] = "Pid:";
    char path[40];
    const char *at;

    (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    at = zl_read_file(AT_FDCWD, path, &text, NULL) < 0 ? NULL : strstr(text.data, key);
    return at ? (pid_t)strtol(at + sizeof key - 1, NULL, 10) : -1;
}

/* ---- late cgroups: v1 hierarchies that are joined afterwards ---- */

/* Those of `procs` that are not in `moved` go into the cgroup; how many there were. */
static int move_listed(struct cgroup *to, const struct zl_buf *procs, const struct zl_buf *moved)
{
    int n = 0;

    for (const char *at = procs->data; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        pid_t pid = (pid_t)strtol(at, NULL, 10);
        char word[24];
        if (pid <= 0 || cgroup_lists(moved, pid))
            continue;
        n++;
        (void)snprintf(word, sizeof word, "%d", (int)pid);
        (void)zl_write_file(to->dir_fd, "cgroup.procs", word, NULL); /* it may have ended */
    }
    return n;
}

int carry_join_late(struct carry *c, struct cgroup *to, struct zl_error *err)
{
    zl_autobuf struct zl_buf all = ZL_BUF(PROCS_MAX);
    zl_autobuf struct zl_buf there = ZL_BUF(PROCS_MAX);

    for (int round = 0; round < MOVE_ROUNDS; round++) {
        if (cgroup_read_procs(&c->cgroups[0], &all, err) < 0 ||
            cgroup_read_procs(to, &there, err) < 0)
            return -1;
        if (!move_listed(to, &all, &there))
            return 0;
    }
    return zl_fail(err, ZL_ERR_TIMEOUT,
                   "move the container's processes into cgroup '%s/%s': they become ever more",
                   to->mount, to->path);
}

/* ---- pause ---- */

static const struct {
    const char *file, *freeze, *thaw;    /* what is written where */
    const char *state, *key, *is_frozen; /* and what tells that it is so */
} freezers[] = {
    [PLAN_CGROUP_V1] = { "freezer.state", "FROZEN", "THAWED", "freezer.state", "", "FROZEN" },
    [PLAN_CGROUP_V2] = { "cgroup.freeze", "1", "0", "cgroup.events", "frozen ", "1" },
};

static struct cgroup *freezer(struct carry *c, struct zl_error *err)
{
    struct cgroup *f = carry_cgroup(c, "freezer");

    if (!f)
        (void)zl_fail(err, ZL_ERR_UNSUPPORTED, "pause: this host has no cgroup freezer");
    return f;
}

/* 1 it is frozen, 0 not (yet), -1. A freezer that was not made yet has frozen nobody. */
static int is_frozen(struct cgroup *f, struct zl_error *err)
{
    const char *key = freezers[f->plan->kind].key, *at;
    const char *word = freezers[f->plan->kind].is_frozen;
    zl_autobuf struct zl_buf text = ZL_BUF(4096);

    if (cgroup_dir(f) < 0)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "open cgroup '%s/%s'", f->mount, f->path);
    if (zl_read_file(f->dir_fd, freezers[f->plan->kind].state, &text, err) < 0)
        return -1;
    at = strstr(text.data, key);
    return at && strncmp(at + strlen(key), word, strlen(word)) == 0;
}

int carry_is_frozen(struct carry *c, bool *ret, struct zl_error *err)
{
    struct cgroup *f = carry_cgroup(c, "freezer");
    int frozen = f ? is_frozen(f, err) : 0;

    if (frozen < 0)
        return zl_wrap(err, "ask whether the container is paused");
    *ret = frozen;
    return 0;
}

static int write_state(struct cgroup *f, bool frozen, struct zl_error *err)
{
    const char *file = freezers[f->plan->kind].file;
    const char *value = frozen ? freezers[f->plan->kind].freeze : freezers[f->plan->kind].thaw;

    return zl_write_file(f->dir_fd, file, value, NULL) == 0
               ? 0
               : cgroup_write_failed(f, file, value, err);
}

/* Neither version tells reliably by poll(2) on every kernel: looked at again in growing steps. */
static int wait_frozen(struct cgroup *f, struct zl_error *err)
{
    uint64_t deadline = zl_mono_ms() + FREEZE_MS;
    int pause_ms = 1, frozen;

    while ((frozen = is_frozen(f, err)) == 0) {
        if (zl_mono_ms() > deadline)
            return zl_fail(err, ZL_ERR_TIMEOUT, "a process does not stop within %d s",
                           FREEZE_MS / 1000);
        (void)poll(NULL, 0, pause_ms);
        pause_ms = pause_ms < 32 ? pause_ms * 2 : 32;
    }
    return frozen < 0 ? -1 : 0;
}

static int freeze(struct carry *c, struct cgroup *f, struct zl_error *err)
{
    bool late = cgroup_is_late(f);

    if (late && cgroup_make_folder(f) < 0)
        return zl_fail_errno(err, "make cgroup '%s/%s'", f->mount, f->path);
    if (cgroup_dir(f) < 0)
        return zl_fail_errno(err, "open cgroup '%s/%s'", f->mount, f->path);
    if (write_state(f, true, err) < 0)
        return -1;
    if ((!late || carry_join_late(c, f, err) == 0) && wait_frozen(f, err) == 0)
        return 0;
    (void)write_state(f, false, NULL); /* all or none; the first failure is the story */
    return -1;
}

int carry_freeze(struct carry *c, bool frozen, struct zl_error *err)
{
    struct cgroup *f;

    if (need_cgroup(c, frozen ? "pause" : "resume", err) < 0 || !(f = freezer(c, err)))
        return -1;
    if (frozen)
        return freeze(c, f, err) < 0 ? zl_wrap(err, "pause") : 0;
    if (cgroup_dir(f) < 0) /* v1, and it was never paused */
        return errno == ENOENT ? 0 : zl_fail_errno(err, "resume: open its freezer");
    return write_state(f, false, err) < 0 ? zl_wrap(err, "resume") : 0;
}

void carry_thaw(struct carry *c)
{
    struct cgroup *f = carry_cgroup(c, "freezer");

    if (f && f->plan->kind == PLAN_CGROUP_V1 && cgroup_dir(f) >= 0)
        (void)write_state(f, false, NULL);
}
