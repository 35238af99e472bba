// SPDX-License-Identifier: Apache-2.0
/*
 * Between create and start the container's first process waits to read from the FIFO `gate`. It
 * holds `report` open for writing, close-on-exec: start reads why the command could not be
 * executed, or end-of-file when it was.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
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

int gate_make(struct container *c, struct gate *ret, struct zl_error *err)
{
    *ret = (struct gate){ -1, -1 };
    ret->gate_fd = make_fifo(c, "gate", err);
    ret->report_fd = ret->gate_fd < 0 ? -1 : make_fifo(c, "report", err);
    return ret->report_fd < 0 ? -1 : 0;
}

void gate_done(struct gate *g)
{
    zl_closep(&g->gate_fd);
    zl_closep(&g->report_fd);
}

int gate_open(struct container *c, struct zl_error *err)
{
    char report[REPORT_MAX];
    zl_autoclose int in = openat(c->dir_fd, "report", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    zl_autoclose int out = openat(c->dir_fd, "gate", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n;

    if (in < 0 || out < 0)
        return zl_fail_errno(err, "open the gate of container '%s'", c->id);
    if (unlinkat(c->dir_fd, "gate", 0) < 0)
        return zl_fail_errno(err, "open the gate of container '%s'", c->id);
    if (write(out, "", 1) != 1)
        return zl_fail_errno(err, "open the gate of container '%s'", c->id);
    struct pollfd told = { .fd = in, .events = POLLIN };
    while (poll(&told, 1, -1) < 0)
        if (errno != EINTR)
            return zl_fail_errno(err, "wait for the start of container '%s'", c->id);
    n = read(in, report, sizeof report);
    if (n < 0)
        return zl_fail_errno(err, "read the report of container '%s'", c->id);
    return n == 0 ? 0 : carry_read_report(report, (size_t)n, err);
}
