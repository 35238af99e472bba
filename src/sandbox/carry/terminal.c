// SPDX-License-Identifier: Apache-2.0
/*
 * What becomes 0, 1 and 2: descriptors that were handed in, or a terminal that is made in the
 * container's own devpts, whose master goes to whoever listens on the console socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include "base/fd.h"
#include "base/openat2.h"
#include "base/stdfds.h"
#include "base/weaken.h"
#include "sandbox/carry/child.h"
#include "sandbox/kernel.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441 /* asm-generic/ioctls.h, Linux 4.13 */
#endif

/* The data is the master's name, as runc sends it; receivers may print it. */
static int send_master(int socket, int master)
{
    static const char name[] = "/dev/ptmx";
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    char text[sizeof name];
    struct iovec data = { text, sizeof name - 1 };
    struct msghdr m = { .msg_iov = &data,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = sizeof control.space };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    memcpy(text, name, sizeof name);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &master, sizeof master);
    return sendmsg(socket, &m, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int bind_console(struct child *k)
{
    char from[FD_PATH_SIZE], to[FD_PATH_SIZE];
    int fd = child_target(k, "/dev/console", false);

    if (fd < 0 ||
        mount(child_fd_path(k->slave_fd, from), child_fd_path(fd, to), NULL, MS_BIND, NULL) < 0)
        return -1;
    return close(fd);
}

static int open_pty(struct child *k, int *ret_master)
{
    const struct plan_process *p = k->process;
    struct winsize size = { .ws_row = k->how->rows ? k->how->rows : p->rows,
                            .ws_col = k->how->cols ? k->how->cols : p->cols };
    int locked = 0;

    *ret_master = zl_openat2(k->root_fd, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC, 0,
                             CHILD_PATH_RESOLVE);
    if (*ret_master < 0 || ioctl(*ret_master, TIOCSPTLCK, &locked) < 0)
        return -1;
    k->slave_fd = ioctl(*ret_master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (k->slave_fd < 0 || (p->uid && fchown(k->slave_fd, p->uid, (gid_t)-1) < 0))
        return -1;
    return size.ws_row && ioctl(*ret_master, TIOCSWINSZ, &size) < 0 ? -1 : 0;
}

int child_terminal(struct child *k)
{
    int master;

    if (!(k->process->flags & PLAN_TERMINAL))
        return 0;
    if (open_pty(k, &master) < 0)
        return child_fail(k, STEP_TERMINAL, "/dev/pts/ptmx", NULL);
    if (k->plan && k->plan->flags & PLAN_SETUP_DEV && bind_console(k) < 0)
        return child_fail(k, STEP_TERMINAL, "/dev/console", NULL);
    if (k->how->console_socket >= 0 && send_master(k->how->console_socket, master) < 0)
        return child_fail(k, STEP_TERMINAL, "the console socket", NULL);
    (void)close(master); /* who got it has it */
    return 0;
}

/* Moves a source that is itself one of 0, 1, 2 out of the way of the others. */
static int lift(int fd, int becomes)
{
    return fd < 0 || fd > 2 || fd == becomes ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static void leave_open(const struct child *k)
{
    for (int fd = 3; fd < 1024; fd++)
        if (fd != k->sync && fd != k->how->report) /* whose end says that the command runs */
            (void)fcntl(fd, F_SETFD, 0);
}

/*
 * Closed, not only marked: until the command is executed /proc/self/fd would still have our folders
 * of the host, and the command's own path may lead there (CVE-2024-21626). What we need to the end
 * are pipes, sockets and the program of process 1: nothing that leads anywhere.
 */
static int close_the_rest(struct child *k)
{
    int kept[] = { k->sync, k->how->gate, k->how->gate < 0 ? -1 : k->how->report,
                   k->init_argv ? k->init_exe : -1, k->init_argv ? k->init_report : -1 };
    int first = 3 + (int)k->how->preserve_fds;

    if (zl_weaken(FDS))
        leave_open(k);
    if (zl_weaken(FDS) || zl_weaken(COMMAND))
        return 0;
    return zl_close_others(first, kept, ZL_ARRAY_LEN(kept));
}

static bool is_null(int fd)
{
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* The host's /dev/null lies in none of the container's mounts: who saves the container (criu) would
 * not find it. Its own is the same device, and nobody has been in its /dev yet. */
static void take_own_null(struct child *k, int from[3])
{
    int own = -1;

    if (!k->plan || !(k->plan->flags & PLAN_SETUP_DEV))
        return;
    for (int i = 0; i < 3; i++) {
        if (!is_null(from[i]))
            continue;
        if (own < 0)
            own = zl_openat2(k->root_fd, "/dev/null", O_RDWR | O_CLOEXEC, 0, CHILD_PATH_RESOLVE);
        if (is_null(own)) /* else it is as the image has it */
            from[i] = own;
    }
}

/* Of our caller's own 0, 1, 2 only what was its from birth: what it opened itself may lead anywhere
 * on the host (a closed one would be the number of the first thing that it opened). */
static bool may_be_given(int fd)
{
    return fd < 0 || fd > 2 || zl_is_inherited(fd);
}

int child_stdio(struct child *k)
{
    int from[3];

    for (int i = 0; i < 3; i++) {
        from[i] = k->slave_fd >= 0 ? k->slave_fd : k->how->stdio[i];
        if (k->slave_fd < 0 && !may_be_given(from[i]))
            return child_fail(k, STEP_STDIO, NULL, NULL);
        if (from[i] < 0)
            from[i] = k->null_fd;
    }
    take_own_null(k, from);
    for (int i = 0; i < 3; i++) {
        from[i] = lift(from[i], i);
        if (from[i] < 0)
            return child_fail(k, STEP_STDIO, NULL, NULL);
    }
    for (int i = 0; i < 3; i++)
        if ((from[i] == i ? fcntl(i, F_SETFD, 0) : dup2(from[i], i)) < 0)
            return child_fail(k, STEP_STDIO, NULL, NULL);
    if (k->slave_fd >= 0 && !k->ahead && ioctl(0, TIOCSCTTY, 0) < 0)
        return child_fail(k, STEP_TERMINAL, "the controlling terminal", NULL);
    return close_the_rest(k) < 0 ? child_fail(k, STEP_STDIO, NULL, NULL) : 0;
}
