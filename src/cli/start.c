// SPDX-License-Identifier: Apache-2.0
/*
 * The agent is started as tmux starts its server: by the first client that finds none. A lock file
 * beside the socket makes one of several such clients do it. The agent writes one byte into a pipe
 * when it serves, and closes it by ending when it cannot.
 */
#include "cli/start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/signals.h"

enum { START_TIMEOUT_MS = 30000, LOG_TAIL = 2048 /* bytes */ };

#define AGENT_LOG "agent.log"
#define START_LOCK "start.lock"

size_t agent_argv(const struct cli *cli, const char *program, int ready_fd, char number[12],
                  const char *argv[AGENT_ARGS])
{
    size_t n = 0;
    argv[n++] = program;
    argv[n++] = "--root-dir";
    argv[n++] = cli->root_dir;
    argv[n++] = "--runtime-dir";
    argv[n++] = cli->runtime_dir;
    argv[n++] = "--socket";
    argv[n++] = cli->socket;
    if (ready_fd >= 0) {
        (void)snprintf(number, 12, "%d", ready_fd);
        argv[n++] = "--ready-fd";
        argv[n++] = number;
    }
    argv[n] = NULL;
    return n;
}

struct launch {
    const char *argv[AGENT_ARGS];
    char number[12];
    int log_fd, null_fd, ready_fd; /* all above 3 */
};

enum { CHILD_READY_FD = 3 };

/* In the grandchild: only async-signal-safe calls. Errors go to agent.log by exit status 127. */
static _Noreturn void become_agent(const struct launch *l)
{
    if (dup2(l->null_fd, 0) < 0 || dup2(l->log_fd, 1) < 0 || dup2(l->log_fd, 2) < 0 ||
        dup2(l->ready_fd, CHILD_READY_FD) < 0 || close_range(CHILD_READY_FD + 1, ~0U, 0) < 0)
        _exit(127);
    zl_signals_to_default();
    if (chdir("/") < 0)
        _exit(127);
    execv(l->argv[0], (char *const *)(uintptr_t)l->argv); /* execv only reads it */
    const char *parts[] = { "execute '", l->argv[0], "': ", strerrordesc_np(errno), "\n" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(parts); i++)
        (void)!write(2, parts[i], strlen(parts[i])); /* into agent.log; nobody else could hear it */
    _exit(127);
}

/* A process of its own session whose parent is init: nobody has to reap it. */
static int launch_detached(const struct launch *l, struct zl_error *err)
{
    pid_t child = fork(); /* the command line has one thread */
    if (child < 0)
        return zl_fail_errno(err, "fork");
    if (child == 0) {
        if (setsid() < 0)
            _exit(127);
        pid_t grandchild = fork();
        if (grandchild == 0)
            become_agent(l);
        _exit(grandchild < 0 ? 127 : 0);
    }
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return zl_fail_errno(err, "wait for the agent's parent");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "fork a second time");
    return 0;
}

/* 0: the agent serves; -1: it has ended, or takes too long. */
static int await_ready(int fd, struct zl_error *err)
{
    uint64_t deadline = zl_mono_ms() + START_TIMEOUT_MS;
    for (;;) {
        uint64_t now = zl_mono_ms();
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int n = now < deadline ? poll(&p, 1, (int)(deadline - now)) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return zl_fail_errno(err, "wait for the agent");
        if (n == 0)
            return zl_fail(err, ZL_ERR_UNREACHABLE, "the agent does not get ready in %d s",
                           START_TIMEOUT_MS / 1000);
        char byte;
        ssize_t got = read(fd, &byte, 1);
        if (got == 1)
            return 0;
        if (got == 0)
            return zl_fail(err, ZL_ERR_UNREACHABLE, "the agent ended at its start");
        if (errno != EINTR)
            return zl_fail_errno(err, "wait for the agent");
    }
}

/* "level: message" of a line of the agent's log, which is JSON; any other line as it is. */
static void add_log_line(struct zl_buf *out, const char *line, size_t n)
{
    json_t *v = json_loadb(line, n, 0, NULL);
    const char *level = json_string_value(json_object_get(v, "level"));
    const char *message = json_string_value(json_object_get(v, "msg"));
    if (level && message)
        zl_buf_addf(out, "\n  %s: %s", level, message);
    else
        zl_buf_addf(out, "\n  %.*s", (int)n, line);
    json_decref(v);
}

/* What the agent wrote into its log since `from`, appended to the message. */
static void add_log_tail(int log_fd, off_t from, const char *path, struct zl_error *err)
{
    char text[LOG_TAIL + 1];
    zl_autobuf struct zl_buf lines = ZL_BUF(2 * LOG_TAIL);
    off_t end = lseek(log_fd, 0, SEEK_END);
    if (end - from > LOG_TAIL)
        from = end - LOG_TAIL;
    ssize_t n = pread(log_fd, text, LOG_TAIL, from);
    text[n > 0 ? n : 0] = '\0';
    for (const char *line = text; *line; line += strspn(line, "\n")) {
        size_t len = strcspn(line, "\n");
        add_log_line(&lines, line, len);
        line += len;
    }
    size_t used = strlen(err->msg);
    if (lines.len > 0)
        (void)snprintf(err->msg + used, sizeof err->msg - used, "; %s says:%s", path, lines.data);
}

static int prepare_launch(const struct cli *cli, const char *program, int root_fd, int ready_fd,
                          struct launch *l, struct zl_error *err)
{
    (void)agent_argv(cli, program, CHILD_READY_FD, l->number, l->argv);
    zl_autoclose int log =
        openat(root_fd, AGENT_LOG, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (log < 0)
        return zl_fail_errno(err, "open '%s/%s'", cli->root_dir, AGENT_LOG);
    zl_autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return zl_fail_errno(err, "open '/dev/null'");
    l->log_fd = zl_dup_above(log, CHILD_READY_FD + 1, err);
    l->null_fd = l->log_fd < 0 ? -1 : zl_dup_above(null, CHILD_READY_FD + 1, err);
    l->ready_fd = l->null_fd < 0 ? -1 : zl_dup_above(ready_fd, CHILD_READY_FD + 1, err);
    return l->ready_fd < 0 ? -1 : 0;
}

static void launch_done(struct launch *l)
{
    zl_closep(&l->log_fd);
    zl_closep(&l->null_fd);
    zl_closep(&l->ready_fd);
}

static int launch_and_wait(const struct cli *cli, const char *program, int root_fd,
                           struct zl_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return zl_fail_errno(err, "make a pipe");
    zl_autoclose int mine = ends[0];
    struct launch l = { .log_fd = -1, .null_fd = -1, .ready_fd = -1 };
    int rc = prepare_launch(cli, program, root_fd, ends[1], &l, err);
    (void)close(ends[1]);
    off_t log_start = rc < 0 ? 0 : lseek(l.log_fd, 0, SEEK_END);
    if (rc == 0)
        rc = launch_detached(&l, err);
    zl_closep(&l.ready_fd); /* so that the agent's end is the only one */
    l.ready_fd = -1;
    if (rc == 0 && (rc = await_ready(mine, err)) < 0) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", cli->root_dir, AGENT_LOG);
        add_log_tail(l.log_fd, log_start, path, err);
    }
    launch_done(&l);
    return rc;
}

/* Whoever may use the socket passes through, whatever umask the user who comes first has. */
static int make_dir(const char *path, struct zl_error *err)
{
    mode_t mask = umask(022); /* the command line has one thread */
    int fd = zl_mkdir_p(AT_FDCWD, path, 0711, err);
    (void)umask(mask);
    return fd;
}

int agent_start(const struct cli *cli, struct zl_error *err)
{
    zl_autofree char *program = NULL;
    if (zl_helper_path("zlayerd", &program, err) < 0)
        return zl_wrap(err, "start the agent");
    zl_autoclose int root_fd = make_dir(cli->root_dir, err);
    zl_autoclose int run_fd = root_fd < 0 ? -1 : make_dir(cli->runtime_dir, err);
    if (run_fd < 0)
        return zl_wrap(err, "start the agent");
    zl_autoclose int lock = openat(run_fd, START_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return zl_fail_errno(err, "start the agent: open '%s/%s'", cli->runtime_dir, START_LOCK);
    while (flock(lock, LOCK_EX) < 0)
        if (errno != EINTR)
            return zl_fail_errno(err, "start the agent: lock '%s/%s'", cli->runtime_dir,
                                 START_LOCK);

    auto_api_client struct api_client *other = NULL;
    if (api_client_open(cli->socket, &other, NULL) == 0)
        return 0; /* whoever had the lock before started it */
    if (launch_and_wait(cli, program, root_fd, err) < 0)
        return zl_wrap(err, "start the agent");
    return 0;
}
