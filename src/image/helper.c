// SPDX-License-Identifier: Apache-2.0
#include "image/helper.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/launch.h"

enum { LIMIT_MS = 30000 };

static int run(char *program, const char *verb, const char *input, struct zl_buf *out, int *code,
               struct zl_error *err)
{
    int pair[2];
    siginfo_t info = { 0 };
    struct zl_child child;
    zl_autofree char *word = strdup(verb);
    char *const argv[] = { program, word, NULL };
    zl_autoclose int in = zl_memory_file("input", input, strlen(input), err);
    if (in < 0 || !word)
        return -1;
    if (pipe2(pair, O_CLOEXEC) < 0)
        return zl_fail_errno(err, "make a pipe");
    zl_autoclose int ours = pair[0], theirs = pair[1];
    const struct zl_launch launch = {
        .program = program, .argv = argv, .fds = { in, theirs, 2 }, .n_fds = 3
    };
    if (zl_launch(&launch, &child, err) < 0)
        return -1;
    zl_autoclose int pidfd = child.pidfd;
    zl_closep(&theirs);
    theirs = -1;
    int rc = zl_read_until(ours, out, zl_mono_ms() + LIMIT_MS, "its answer", err);
    if (rc < 0)
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0); /* it may have ended */
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
        return zl_fail_errno(err, "wait for it");
    *code = info.si_code == CLD_EXITED ? info.si_status : 128;
    return rc;
}

int credential_helper(const char *name, const char *verb, const char *input, struct zl_buf *out,
                      struct zl_error *err)
{
    char wanted[NAME_MAX + 1], program[PATH_MAX];
    int code = 0;
    if (strchr(name, '/') ||
        snprintf(wanted, sizeof wanted, "docker-credential-%s", name) >= (int)sizeof wanted)
        return zl_fail(err, ZL_ERR_CONFIGURATION, "'%.100s' is no name of a credential helper",
                       name);
    if (zl_find_program(wanted, program, NULL) < 0)
        return zl_fail(err, ZL_ERR_CONFIGURATION, "there is no credential helper '%s' in $PATH",
                       wanted);
    if (run(program, verb, input, out, &code, err) < 0)
        return zl_wrap(err, "credential helper '%s'", program);
    if (code == 0)
        return 0;
    out->data[strcspn(out->data, "\r\n")] = '\0'; /* a terminated text, if only an empty one */
    bool unknown = strstr(out->data, "credentials not found") != NULL;
    return zl_fail(err, unknown ? ZL_ERR_NOT_FOUND : ZL_ERR_DENIED,
                   "credential helper '%s' %s: %.200s", program, verb, out->data);
}
