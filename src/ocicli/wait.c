// SPDX-License-Identifier: Apache-2.0
/* `run` in the foreground: signals that reach us are the container's, its end is ours. */
#include <signal.h>
#include <sys/wait.h>

#include "ocicli/verbs.h"
#include "sandbox/kernel.h"

static int exit_code(const siginfo_t *info)
{
    return info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
}

/* All signals are blocked by who calls us, before the process was started. */
int wait_foreground(const struct carry_proc *p)
{
    sigset_t all;

    sigfillset(&all);
    for (;;) {
        siginfo_t info = { 0 };
        if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG) == 0 && info.si_pid == p->pid)
            return exit_code(&info);
        int signal = sigwaitinfo(&all, NULL);
        if (signal > 0 && signal != SIGCHLD)
            (void)k_pidfd_send_signal(p->pidfd, signal); /* it may have ended: then we see it */
    }
}
