// SPDX-License-Identifier: Apache-2.0
#include "sandbox/carry/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "sandbox/carry/clone.h"

enum { MAP = 16384, RESULT = 64 }; /* bytes; the result lies below the stack, which ends aligned */

enum progress { NETNS_NONE, NETNS_UNSHARED, NETNS_LOOPBACK, NETNS_OPENED, NETNS_SENT };

static const char *const next_step[] = {
    [NETNS_NONE] = "make a network namespace",
    [NETNS_UNSHARED] = "bring up the loopback interface",
    [NETNS_LOOPBACK] = "open the network namespace",
    [NETNS_OPENED] = "send the network namespace",
    [NETNS_SENT] = "enter the network namespace",
};

struct netns_result { /* below the helper's stack; read when its end of the socket is closed */
    int socket, errnum;
    enum progress progress;
};

/* In the helper: our memory and our errno, so raw calls only. */
static long raise_loopback(void)
{
    struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    long fd = clone_raw(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    long rc = clone_raw(SYS_ioctl, fd, SIOCSIFFLAGS, (long)&lo);
    (void)clone_raw(SYS_close, fd, 0, 0);
    return rc;
}

static long send_fd(int socket, int fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS } };
    char byte = 0;
    struct iovec one = { &byte, 1 };
    struct msghdr m = { .msg_iov = &one,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof control.room };
    *(int *)(void *)CMSG_DATA(&control.head) = fd;
    return clone_raw(SYS_sendmsg, socket, (long)&m, MSG_NOSIGNAL);
}

static long make(struct netns_result *r)
{
    long fd, rc = clone_raw(SYS_unshare, CLONE_NEWNET, 0, 0);
    if (rc < 0)
        return rc;
    r->progress = NETNS_UNSHARED;
    if ((rc = raise_loopback()) < 0)
        return rc;
    r->progress = NETNS_LOOPBACK;
    fd = clone_raw(SYS_openat, AT_FDCWD, (long)"/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fd;
    r->progress = NETNS_OPENED;
    if ((rc = send_fd(r->socket, (int)fd)) < 0)
        return rc;
    r->progress = NETNS_SENT;
    return 0;
}

__attribute__((no_sanitize("address"))) static void helper(void *arg)
{
    struct netns_result *r = arg;
    r->errnum = (int)-make(r);
    (void)clone_raw(SYS_exit, 0, 0, 0);
}

static int start(struct netns_making *m, void *map, int socket, struct zl_error *err)
{
    struct netns_result *r = map;
    _Static_assert(sizeof *r <= RESULT, "the result grew");
    *r = (struct netns_result){ .socket = socket };
    const struct clone3_args a = {
        .flags = CLONE_VM,
        .stack = (uintptr_t)map + RESULT,
        .stack_size = MAP - RESULT,
    };
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before); /* no handler of ours runs in the helper */
    long pid = clone3_call(&a, helper, r);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        errno = (int)-pid;
        return zl_fail_errno(err, "%s", next_step[NETNS_NONE]);
    }
    m->pid = (pid_t)pid;
    m->result = r;
    return 0;
}

int netns_begin(struct netns_making *m, struct zl_error *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return zl_fail_errno(err, "%s", next_step[NETNS_NONE]);
    zl_autoclose int ours = pair[0], theirs = pair[1];
    void *map =
        mmap(NULL, MAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (map == MAP_FAILED)
        return zl_fail_errno(err, "%s", next_step[NETNS_NONE]);
    if (start(m, map, theirs, err) < 0) {
        (void)munmap(map, MAP);
        return -1;
    }
    m->socket = zl_take_fd(&ours);
    return 0;
}

/* The helper's end of the socket is closed by its end at the latest. -1 and errno: no descriptor
 * comes, EPIPE when the helper has ended. */
static int receive_fd(int socket)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec one = { &byte, 1 };
    struct msghdr m = { .msg_iov = &one,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof control.room };
    ssize_t n;
    do
        n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    const struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c && c->cmsg_type == SCM_RIGHTS)
        return *(const int *)(const void *)CMSG_DATA(c);
    errno = n < 0 ? errno : EPIPE;
    return -1;
}

void netns_done(struct netns_making *m)
{
    siginfo_t info;
    if (!m->pid)
        return;
    while (waitid(P_PID, (id_t)m->pid, &info, WEXITED | __WALL) < 0 && errno == EINTR)
        ;
    zl_closep(&m->socket);
    (void)munmap(m->result, MAP);
    *m = (struct netns_making){ 0 };
}

int netns_enter(struct netns_making *m, struct zl_error *err)
{
    if (!m->pid)
        return 0;
    zl_autoclose int fd = receive_fd(m->socket);
    if (fd >= 0 && setns(fd, CLONE_NEWNET) == 0)
        return 0;
    if (fd >= 0) /* the helper, which has sent it, may not have noted that yet */
        return zl_fail_errno(err, "%s", next_step[NETNS_SENT]);
    if (m->result->errnum)
        errno = m->result->errnum;
    return zl_fail_errno(err, "%s", next_step[m->result->progress]);
}
