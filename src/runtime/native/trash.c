// SPDX-License-Identifier: Apache-2.0
/*
 * <root>/trash, and volumes/.trash: what a container wrote can be millions of files, and the loop
 * must not wait for their removal. A directory is renamed in here at once; a timer removes a few
 * entries at a time. What a killed agent left is taken up by the next.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/id.h"
#include "runtime/native/inner.h"

enum { ENTRIES_A_TURN = 256, ENTRIES_MAX = 64 * 1024, PAUSE_US = 2000, DEPTH_MAX = 200 };

struct trash {
    int fd;
    struct event *timer;
    unsigned entries; /* of this turn: more than those that cannot be removed and come first */
    unsigned removed; /* in this turn */
};

/* Under a name of our own: those of containers may be taken. */
static int move_in(struct trash *t, int dir_fd, const char *name)
{
    char unique[ZL_ID_LEN + 1];
    zl_id_format(zl_id_random(), unique);
    return renameat(dir_fd, name, t->fd, unique);
}

static bool remove_some(struct trash *t, int dir_fd, unsigned *budget, unsigned depth);

/* Whether name is gone. */
static bool try_one(struct trash *t, int dir_fd, const char *name, unsigned *budget, unsigned depth)
{
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM)
        return false;
    zl_autoclose int sub = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (sub < 0)
        return false;
    if (depth ==
        DEPTH_MAX) /* two descriptors a level: deeper trees are cut and go on from the top */
        return move_in(t, dir_fd, name) == 0;
    return remove_some(t, sub, budget, depth + 1) && unlinkat(dir_fd, name, AT_REMOVEDIR) == 0;
}

static bool remove_one(struct trash *t, int dir_fd, const char *name, unsigned *budget,
                       unsigned depth)
{
    bool gone = try_one(t, dir_fd, name, budget, depth);
    t->removed += gone;
    return gone;
}

/* Whether dir_fd is empty now; false when the budget is used up or something cannot be removed. */
static bool remove_some(struct trash *t, int dir_fd, unsigned *budget, unsigned depth)
{
    zl_autodir DIR *dir = zl_dir_open(dir_fd, ".");
    bool empty = true;
    const struct dirent *d;
    if (!dir)
        return false;
    while (*budget > 0 && (d = readdir(dir))) {
        if (zl_is_dots(d->d_name))
            continue;
        --*budget;
        empty = remove_one(t, dir_fd, d->d_name, budget, depth) && empty;
    }
    return empty && *budget > 0;
}

static void arm(struct trash *t)
{
    const struct timeval pause = { 0, PAUSE_US };
    (void)evtimer_add(t->timer, &pause); /* only fails without memory: the next start goes on */
}

static void turn(int fd, short what, void *arg)
{
    struct trash *t = arg;
    unsigned budget = t->entries;
    (void)fd;
    (void)what;
    t->removed = 0;
    bool all = remove_some(t, t->fd, &budget, 0);
    /* Only an exhausted budget is a reason to come back, with more of it when it was wasted on what
     * cannot be removed (a mount point, an immutable file): what is behind that may be. */
    bool again = !all && budget == 0 && (t->removed || t->entries < ENTRIES_MAX);
    if (!again)
        t->entries = ENTRIES_A_TURN;
    else if (!t->removed)
        t->entries *= 2;
    if (again)
        arm(t);
}

int trash_new(struct event_base *base, int dir_fd, const char *name, struct trash **ret,
              struct zl_error *err)
{
    struct trash *t = calloc(1, sizeof *t);
    if (!t)
        return zl_fail_errno(err, "set up the trash");
    t->entries = ENTRIES_A_TURN;
    t->fd = zl_mkdir_p(dir_fd, name, 0700, err);
    t->timer = t->fd >= 0 ? evtimer_new(base, turn, t) : NULL;
    if (!t->timer) {
        if (t->fd >= 0)
            (void)zl_fail(err, ZL_ERR_SYSTEM, "set up the trash: out of memory");
        trash_free(t);
        return -1;
    }
    arm(t);
    *ret = t;
    return 0;
}

void trash_free(struct trash *t)
{
    if (!t)
        return;
    if (t->timer)
        event_free(t->timer);
    zl_closep(&t->fd);
    free(t);
}

int trash_take(struct trash *t, int dir_fd, const char *name, struct zl_error *err)
{
    if (move_in(t, dir_fd, name) < 0 && errno != ENOENT)
        return zl_fail_errno(err, "move '%s' to the trash", name);
    arm(t);
    return 0;
}
