// SPDX-License-Identifier: Apache-2.0
/*
 * Between create and start the container's first process waits to read from the FIFO `gate`. It
 * holds `report` open for writing, close-on-exec: start reads why the command could not be
 * executed, or end-of-file when it was, or when the process ended before: `outcome`, in whose
 * memory the process writes how far it comes, tells which.
 *
 * Who starts it holds a lock of the gate, opens it, and removes it then: one that is killed at any
 * instruction leaves a gate that the next can open, or one that nobody waits behind any more.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "ocicli/make.h"

enum { REPORT_MAX = 4096 };

/* O_RDWR: opening a FIFO so never waits, and its end-of-file never comes by surprise (fifo(7)). */
static int make_fifo(struct container *c, const char *name, struct zl_error *err)
{
    int fd;

    if (mkfifoat(c->dir_fd, name, 0600) < 0)
        return zl_fail_errno(err, "make FIFO '%s'", name);
    fd = openat(c->dir_fd, name, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? zl_fail_errno(err, "open FIFO '%s'", name) : fd;
}

static int make_outcome(struct container *c, struct zl_error *err)
{
    zl_autoclose int fd =
        openat(c->dir_fd, "outcome", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, CARRY_OUTCOME_SIZE) < 0)
        return zl_fail_errno(err, "make file 'outcome'");
    return zl_take_fd(&fd);
}

int gate_make(struct container *c, struct gate *ret, struct zl_error *err)
{
    *ret = (struct gate)GATE_NONE;
    ret->gate_fd = make_fifo(c, "gate", err);
    ret->report_fd = ret->gate_fd < 0 ? -1 : make_fifo(c, "report", err);
    ret->outcome_fd = ret->report_fd < 0 ? -1 : make_outcome(c, err);
    return ret->outcome_fd < 0 ? -1 : 0;
}

void gate_done(struct gate *g)
{
    zl_closep(&g->gate_fd);
    zl_closep(&g->report_fd);
    zl_closep(&g->outcome_fd);
}

/* O_WRONLY: nobody to read is ENXIO (fifo(7)). */
static int open_gate(const struct container *c)
{
    return openat(c->dir_fd, "gate", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
}

int gate_is_closed(const struct container *c, struct zl_error *err)
{
    zl_autoclose int fd = open_gate(c);

    if (fd < 0 && errno != ENOENT && errno != ENXIO)
        return zl_fail_errno(err, "look at the gate of container '%s'", c->id);
    return fd >= 0;
}

/* It is started already, or its process has ended. */
static int nobody_waits(const struct container *c, struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_CONFLICT,
                   "open the gate of container '%s': nobody waits behind it any more", c->id);
}

int gate_approach(struct container *c, struct gate *ret, struct zl_error *err)
{
    struct stat st;

    *ret = (struct gate)GATE_NONE;
    ret->report_fd = openat(c->dir_fd, "report", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (ret->report_fd < 0)
        return zl_fail_errno(err, "open the report of container '%s'", c->id);
    ret->gate_fd = open_gate(c);
    if (ret->gate_fd < 0 && (errno == ENOENT || errno == ENXIO))
        return nobody_waits(c, err);
    if (ret->gate_fd < 0)
        return zl_fail_errno(err, "open the gate of container '%s'", c->id);
    ret->outcome_fd = openat(c->dir_fd, "outcome", O_RDONLY | O_CLOEXEC);
    if (ret->outcome_fd < 0 && errno != ENOENT) /* an older version of ours made none */
        return zl_fail_errno(err, "open the outcome of container '%s'", c->id);
    if (flock(ret->gate_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? zl_fail(err, ZL_ERR_CONFLICT,
                             "cannot start container '%s': it is being started", c->id)
                   : zl_fail_errno(err, "lock the gate of container '%s'", c->id);
    if (fstat(ret->gate_fd, &st) < 0)
        return zl_fail_errno(err, "look at the gate of container '%s'", c->id);
    /* none: somebody else was here meanwhile */
    return st.st_nlink ? 0 : nobody_waits(c, err);
}

/* End-of-file: it was executed, or its process is no more. */
static int read_report(const struct container *c, const struct gate *g, struct zl_error *err)
{
    char report[REPORT_MAX];
    struct pollfd told = { .fd = g->report_fd, .events = POLLIN };
    ssize_t n;

    while (poll(&told, 1, -1) < 0)
        if (errno != EINTR)
            return zl_fail_errno(err, "wait for the start of container '%s'", c->id);
    n = read(g->report_fd, report, sizeof report);
    if (n < 0)
        return zl_fail_errno(err, "read the report of container '%s'", c->id);
    if (n > 0)
        return carry_read_report(report, (size_t)n, err);
    return g->outcome_fd < 0 ? 0 : carry_read_outcome(g->outcome_fd, err);
}

int gate_open(struct container *c, const struct gate *g, struct zl_error *err)
{
    if (write(g->gate_fd, "", 1) != 1)
        return zl_fail_errno(err, "open the gate of container '%s'", c->id);
    if (unlinkat(c->dir_fd, "gate", 0) < 0)
        return zl_fail_errno(err, "remove the open gate of container '%s'", c->id);
    return read_report(c, g, err);
}
