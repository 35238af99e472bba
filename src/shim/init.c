// SPDX-License-Identifier: Apache-2.0
/*
 * zlayer-init: process 1 of a container that asked for one (init_container). Starts the command,
 * passes signals on to it, reaps what nobody else does, and ends as the command does. A program of
 * its own, executed by descriptor, so that nothing of the monitor's memory is in reach of the
 * container.
 *
 * Descriptor 3 tells whether the command was executed: its end says yes, an errno (an int) why not.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/signals.h"

enum { REPORT_FD = 3, EXIT_NOT_STARTED = 127 };

/* Signals that tell of a fault of our own, or that the kernel sends to stop who uses the terminal
 * out of turn, are not meant for the command. */
static bool is_passed_on(int signal)
{
    static const int ours[] = { SIGCHLD, SIGFPE,  SIGILL, SIGSEGV, SIGBUS,
                                SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU };
    for (size_t i = 0; i < ZL_ARRAY_LEN(ours); i++)
        if (ours[i] == signal)
            return false;
    return true;
}

static _Noreturn void give_up(void)
{
    int why = errno;
    (void)!write(REPORT_FD, &why, sizeof why); /* whole: less than PIPE_BUF */
    _exit(EXIT_NOT_STARTED);
}

static _Noreturn void run_command(char **argv)
{
    (void)setpgid(0, 0);
    (void)signal(SIGTTOU, SIG_IGN);
    (void)tcsetpgrp(0,
                    getpid()); /* what is typed goes to the command; without a terminal, nothing */
    zl_signals_to_default();
    (void)execvp(argv[0], argv);
    give_up();
}

/* All that has ended; true when the command is among them. */
static bool reap_all(pid_t command, int *status)
{
    bool ended = false;
    int s;
    for (pid_t pid; (pid = waitpid(-1, &s, WNOHANG)) > 0;) {
        if (pid != command)
            continue;
        *status = s;
        ended = true;
    }
    return ended;
}

int main(int argc, char **argv)
{
    sigset_t all;
    int status = 0;

    if (argc < 3 || fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC) < 0)
        return EXIT_NOT_STARTED; /* not started by zlayer-shim */
    /* Executed from memory it would be called after a descriptor. Cosmetic: may fail. */
    (void)prctl(PR_SET_NAME, "zlayer-init", 0, 0, 0);
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    pid_t command = fork();
    if (command == 0)
        run_command(argv + 2); /* behind "--" */
    if (command < 0)
        give_up();
    (void)close(REPORT_FD);
    while (!reap_all(command, &status)) {
        siginfo_t info;
        int signal = sigwaitinfo(&all, &info);
        if (signal > 0 && is_passed_on(signal))
            (void)kill(command, signal); /* not reaped, so it is that process */
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
