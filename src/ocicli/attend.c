// SPDX-License-Identifier: Apache-2.0
/*
 * `run` and `exec` in the foreground: signals that reach us are the process's, its end is ours, and
 * so is its terminal, if it has one: what is typed here goes there, what it shows is shown here.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "cmdline/term.h"
#include "ocicli/make.h"
#include "sandbox/kernel.h"

struct attending {
    const struct carry_proc *p;
    int signals; /* signalfd */
    int master;  /* -1: no terminal, or its other end is closed */
    bool typing; /* standard input is open */
    bool deaf;   /* standard output takes no more */
    char typed[4096];
    size_t n_typed; /* not yet taken by the terminal */
};

/* ---- the console socket ---- */

int attend_console(int *ret_ours, struct zl_error *err)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return zl_fail_errno(err, "make a socket for the terminal");
    *ret_ours = pair[0];
    return pair[1];
}

int attend_master(int ours, struct zl_error *err)
{
    zl_autoclose int socket = ours;
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    char name[64];
    struct iovec data = { name, sizeof name };
    struct msghdr m = { .msg_iov = &data,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = sizeof control.space };
    const struct cmsghdr *c;
    int fd;

    if (recvmsg(socket, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
        return zl_fail_errno(err, "receive the terminal");
    c = CMSG_FIRSTHDR(&m);
    if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
        return zl_fail(err, ZL_ERR_PROTOCOL, "receive the terminal: there is none");
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

/* ---- the terminal ---- */

static void copy_size(const struct attending *a)
{
    struct winsize size = { 0 };

    if (a->master >= 0 && term_size(STDIN_FILENO, &size.ws_row, &size.ws_col))
        (void)ioctl(a->master, TIOCSWINSZ, &size); /* without it the program shows a wrong width */
}

/* Its output is ours; an error (EIO) is the end of all who had it open. Where nobody wants it any
 * more it is dropped, and the container goes on. */
static void show(struct attending *a)
{
    char bytes[16384];
    ssize_t n = read(a->master, bytes, sizeof bytes);

    if (n > 0 && !a->deaf)
        a->deaf = zl_write_all(STDOUT_FILENO, bytes, (size_t)n, "standard output", NULL) < 0;
    if (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)))
        return;
    zl_closep(&a->master);
    a->master = -1;
}

static void take_typed(struct attending *a)
{
    ssize_t n = read(STDIN_FILENO, a->typed, sizeof a->typed);

    if (n > 0)
        a->n_typed = (size_t)n;
    else if (n == 0 || errno != EINTR)
        a->typing = false;
}

static void give_typed(struct attending *a)
{
    ssize_t n = write(a->master, a->typed, a->n_typed);

    if (n <= 0)
        return;
    a->n_typed -= (size_t)n;
    memmove(a->typed, a->typed + n, a->n_typed);
}

static int set_up_terminal(struct attending *a, struct zl_error *err)
{
    int flags = fcntl(a->master, F_GETFL);

    copy_size(a);
    if (flags < 0 || fcntl(a->master, F_SETFL, flags | O_NONBLOCK) < 0)
        return zl_fail_errno(err, "set up the terminal");
    return isatty(STDIN_FILENO) ? term_raw(STDIN_FILENO, err) : 0;
}

/* ---- the loop ---- */

static void hand_on_signal(const struct attending *a)
{
    struct signalfd_siginfo s;

    if (read(a->signals, &s, sizeof s) != (ssize_t)sizeof s || s.ssi_signo == SIGCHLD)
        return;
    if (s.ssi_signo == SIGPIPE && s.ssi_pid == (uint32_t)getpid())
        return; /* of our own standard output */
    if (s.ssi_signo == SIGWINCH && a->master >= 0)
        copy_size(a);
    else /* it may have ended: then we see it */
        (void)k_pidfd_send_signal(a->p->pidfd, (int)s.ssi_signo);
}

static int serve(struct attending *a, struct zl_error *err)
{
    enum { ENDED, SIGNAL, MASTER, INPUT, N };
    bool input = a->master >= 0 && a->typing && !a->n_typed;
    struct pollfd fds[N] = {
        [ENDED] = { .fd = a->p->pidfd, .events = POLLIN },
        [SIGNAL] = { .fd = a->signals, .events = POLLIN },
        [MASTER] = { .fd = a->master, .events = (short)(POLLIN | (a->n_typed ? POLLOUT : 0)) },
        [INPUT] = { .fd = input ? STDIN_FILENO : -1, .events = POLLIN },
    };

    if (poll(fds, N, -1) < 0)
        return errno == EINTR ? 0 : zl_fail_errno(err, "wait for the container");
    if (fds[SIGNAL].revents)
        hand_on_signal(a);
    if (fds[INPUT].revents)
        take_typed(a);
    if (fds[MASTER].revents & POLLOUT)
        give_typed(a);
    if (fds[MASTER].revents & (POLLIN | POLLHUP | POLLERR))
        show(a);
    return fds[ENDED].revents != 0;
}

/* What it wrote last is still in the terminal: until there is nothing more to read. */
static void show_rest(struct attending *a)
{
    struct pollfd more = { .fd = a->master, .events = POLLIN };

    while (a->master >= 0 && poll(&more, 1, 0) == 1 && more.revents)
        show(a);
}

static int loop(struct attending *a, struct zl_error *err)
{
    siginfo_t info = { 0 };
    int rc;

    if (a->master >= 0 && set_up_terminal(a, err) < 0)
        return -1;
    while ((rc = serve(a, err)) == 0)
        ;
    if (rc < 0)
        return -1;
    show_rest(a);
    while (waitid(P_PID, (id_t)a->p->pid, &info, WEXITED) < 0)
        if (errno != EINTR)
            return zl_fail_errno(err, "wait for the container");
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

void attend_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL); /* cannot fail */
}

int attend(const struct carry_proc *p, int master, struct zl_error *err)
{
    struct attending a = { .p = p, .master = master, .typing = true };
    sigset_t all;
    int code;

    sigfillset(&all);
    a.signals = signalfd(-1, &all, SFD_CLOEXEC);
    code = a.signals < 0 ? zl_fail_errno(err, "listen to signals") : loop(&a, err);
    term_restore();
    zl_closep(&a.signals);
    zl_closep(&a.master);
    return code;
}
