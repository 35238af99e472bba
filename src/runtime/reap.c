// SPDX-License-Identifier: Apache-2.0
#include "runtime/reap.h"

#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_ONCE_MS = 100 };

static void reap(int pidfd, short what, void *arg)
{
    siginfo_t info;
    (void)what;
    (void)arg;
    (void)waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
    (void)close(pidfd);
}

void reap_killed(struct event_base *base, int pidfd)
{
    struct pollfd end = { .fd = pidfd, .events = POLLIN };
    if (pidfd < 0)
        return;
    (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0); /* it may have ended */
    /* Without memory it is reaped as far as it has ended: a zombie harms nobody. */
    if (poll(&end, 1, AT_ONCE_MS) > 0 ||
        event_base_once(base, pidfd, EV_READ, reap, NULL, NULL) < 0)
        reap(pidfd, 0, NULL);
}
