// SPDX-License-Identifier: Apache-2.0
#include "image/helper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/launch.h"

enum { LIMIT_MS = 30000 };

/* A program of $PATH; NULL: none. A name with a slash would be a path, and is refused. */
static char *find_program(const char *name)
{
    const char *path = getenv("PATH");
    zl_autofree char *dirs = strdup(path ? path : "/usr/local/bin:/usr/bin:/bin");
    char *rest = NULL, *found = NULL;
    if (!dirs || strchr(name, '/'))
        return NULL;
    for (char *dir = strtok_r(dirs, ":", &rest); dir && !found; dir = strtok_r(NULL, ":", &rest)) {
        if (asprintf(&found, "%s/docker-credential-%s", dir, name) < 0)
            return NULL;
        if (access(found, X_OK) < 0) {
            free(found);
            found = NULL;
        }
    }
    return found;
}

static int read_answer(int fd, struct zl_buf *out, struct zl_error *err)
{
    uint64_t until = zl_mono_ms() + LIMIT_MS;
    for (;;) {
        struct pollfd p = { fd, POLLIN, 0 };
        uint64_t now = zl_mono_ms();
        if (now >= until)
            return zl_fail(err, ZL_ERR_TIMEOUT, "it does not answer");
        if (poll(&p, 1, (int)(until - now)) <= 0)
            continue; /* a signal, or the time is up */
        char *room = zl_buf_reserve(out, 4096);
        ssize_t n = room ? read(fd, room, 4096) : -1;
        if (!room)
            return zl_fail(err, ZL_ERR_PROTOCOL, "it says too much");
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return zl_fail_errno(err, "read its answer");
        if (n == 0)
            return 0;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
    }
}

static int input_fd(const char *input, struct zl_error *err)
{
    zl_autoclose int fd = memfd_create("credentials", MFD_CLOEXEC);
    if (fd < 0)
        return zl_fail_errno(err, "hold the input in memory");
    if (zl_write_all(fd, input, strlen(input), "input", err) < 0)
        return -1;
    return lseek(fd, 0, SEEK_SET) < 0 ? zl_fail_errno(err, "rewind the input") : zl_take_fd(&fd);
}

static int run(char *program, const char *verb, const char *input, struct zl_buf *out, int *code,
               struct zl_error *err)
{
    int pair[2];
    siginfo_t info = { 0 };
    struct zl_child child;
    zl_autofree char *word = strdup(verb);
    char *const argv[] = { program, word, NULL };
    zl_autoclose int in = input_fd(input, err);
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
    int rc = read_answer(ours, out, err);
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
    zl_autofree char *program = find_program(name);
    int code = 0;
    if (!program)
        return zl_fail(err, ZL_ERR_CONFIGURATION,
                       "there is no credential helper 'docker-credential-%s' in $PATH", name);
    if (run(program, verb, input, out, &code, err) < 0)
        return zl_wrap(err, "credential helper '%s'", program);
    if (code == 0)
        return 0;
    out->data[strcspn(out->data, "\r\n")] = '\0'; /* a terminated text, if only an empty one */
    bool unknown = strstr(out->data, "credentials not found") != NULL;
    return zl_fail(err, unknown ? ZL_ERR_NOT_FOUND : ZL_ERR_DENIED,
                   "credential helper '%s' %s: %.200s", program, verb, out->data);
}
