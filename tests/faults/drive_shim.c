// SPDX-License-Identifier: Apache-2.0
/*
 * A monitor's life with one container, as its agent would ask for it: create, start, forget.
 *
 *   drive_shim FOLDER ROOTFS CGROUP PROGRAM ARG...
 *
 * PROGRAM gets the control socket as descriptor 3: zlayer-shim, or failcall with it. Prints what
 * the first request that failed was answered with ("create: ..."), or "done", and ends when PROGRAM
 * has ended: 0 all went well, 1 a request was refused, 2 PROGRAM did not answer, 3 it did not end.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "monitor/client.h"
#include "tinyplan.h"

enum { PATIENCE_MS = 20 * 1000, REFUSED = 1, SILENT = 2, STUCK = 3 };

struct drive {
    struct mon_client *agent;
    uint64_t op;
    int fds[4]; /* plan, run, state, log */
    pid_t child;
};

static int folder(const char *parent, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", parent, name);
    (void)mkdir(path, 0755);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int spawn_program(struct drive *d, char **argv)
{
    posix_spawn_file_actions_t actions;
    struct zl_error err;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
        posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, pair[1], 3) != 0 ||
        posix_spawn(&d->child, argv[0], &actions, NULL, argv, (char *[]){ NULL }) != 0)
        return -1;
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(pair[1]);
    return mon_client_adopt(pair[0], &d->agent, &err);
}

/* 0, or how it failed, which was printed. */
static int answer(struct drive *d, const char *what, int sent, struct zl_error *err)
{
    struct mon_message m = { .fd = -1 };

    if (sent == 0 && mon_client_await(d->agent, d->op, zl_mono_ms() + PATIENCE_MS, &m, err) == 0)
        return 0;
    (void)printf("%s: %s\n", what, err->msg);
    return err->kind == ZL_ERR_UNREACHABLE || err->errnum == EPIPE || err->errnum == ECONNRESET
               ? SILENT
               : REFUSED;
}

static int life(struct drive *d)
{
    struct mon_create create = { .id = "c", .log_name = "c.log" };
    struct zl_error err = { 0 };
    int rc = answer(d, "hello", mon_client_send_hello(d->agent, ++d->op, false, NULL, &err), &err);

    if (rc == 0)
        rc = answer(d, "create",
                    mon_client_send_create(d->agent, ++d->op, &create, d->fds, 4, &err), &err);
    if (rc)
        return rc;
    rc = answer(d, "start", mon_client_send_start(d->agent, ++d->op, &err), &err);
    int forgotten = answer(d, "forget", mon_client_send_forget(d->agent, ++d->op, &err), &err);
    return rc ? rc : forgotten;
}

/* The connection is lost, the monitor may live: its agent comes back by the socket that it serves.
 */
static void forget_anew(struct drive *d)
{
    struct zl_error err;

    if (mon_client_open(d->fds[1], &d->agent, &err) < 0)
        return; /* it has created nothing, or has ended */
    int rc = answer(d, "hello", mon_client_send_hello(d->agent, ++d->op, false, NULL, &err), &err);
    if (rc == 0)
        (void)answer(d, "forget", mon_client_send_forget(d->agent, ++d->op, &err), &err);
    mon_client_free(d->agent);
}

static int ended(pid_t child)
{
    int status;

    for (uint64_t end = zl_mono_ms() + PATIENCE_MS; zl_mono_ms() < end; (void)poll(NULL, 0, 2))
        if (waitpid(child, &status, WNOHANG) == child)
            return 0;
    (void)kill(child, SIGKILL);
    return -1;
}

int main(int argc, char **argv)
{
    static const char *const command[] = { "/bin/sleep", "1000", NULL };
    struct drive d = { 0 };

    if (argc < 5)
        return SILENT;
    d.fds[0] = tiny_plan(&(struct tiny_options){
        .root = argv[2], .cgroup = argv[3], .memory_max = "67108864", .argv = command });
    (void)folder(argv[1], "run");
    d.fds[1] = folder(argv[1], "run/c");
    d.fds[2] = folder(argv[1], "state");
    d.fds[3] = folder(argv[1], "logs");
    if (spawn_program(&d, argv + 4) < 0)
        return SILENT;
    int rc = life(&d);
    if (rc == 0)
        (void)printf("done\n");
    mon_client_free(d.agent);
    if (rc == SILENT)
        forget_anew(&d);
    return ended(d.child) < 0 ? STUCK : rc;
}
