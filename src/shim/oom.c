// SPDX-License-Identifier: Apache-2.0
/* What the kernel kills in the container's cgroup for want of memory is told as it happens. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/shim.h"

bool oom_tell(struct shim *s)
{
    uint64_t kills, peak;

    if (carry_oom_kills(s->carry, &kills, &peak, NULL) < 0 || kills <= s->oom_kills)
        return false;
    s->oom_kills = kills;
    server_tell(s->server, MON_EV_OOM, NULL, 0);
    return true;
}

static void look_again(void *arg)
{
    (void)oom_tell(arg);
}

/* v1 tells that the limit was hit a moment before the kernel has chosen and counted its victim. */
static void oom_ready(void *arg, uint32_t events)
{
    struct shim *s = arg;
    char seen[512];

    (void)events;
    /* eventfd(2) is emptied by a read, a cgroup file's event by reading it from its start */
    if (read(s->oom.fd, seen, sizeof seen) < 0 || pread(s->oom.fd, seen, sizeof seen, 0) < 0) {
        if (errno != ESPIPE && errno != EAGAIN)
            loop_unwatch(&s->loop, &s->oom);
    }
    if (!oom_tell(s))
        loop_arm(&s->loop, &s->oom_timer, SHIM_OOM_LATER_MS, look_again, s);
}

void oom_watch(struct shim *s)
{
    struct stat st;
    int fd = carry_oom_fd(s->carry);

    if (fd < 0 || fstat(fd, &st) < 0)
        return; /* the exit tells of it as well */
    uint32_t events =
        S_ISREG(st.st_mode) ? EPOLLPRI : EPOLLIN; /* a cgroup file is always readable */
    (void)loop_watch(&s->loop, &s->oom, fd, events, oom_ready, s, NULL);
}

void oom_unwatch(struct shim *s)
{
    loop_unwatch(&s->loop, &s->oom);
    loop_disarm(&s->loop, &s->oom_timer);
}
