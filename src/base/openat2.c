// SPDX-License-Identifier: Apache-2.0
#include "base/openat2.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A try takes microseconds, and most succeed even beside one who does nothing but rename. */
enum { TRIES = 4096 };

int zl_openat2(int dir_fd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = { .flags = flags, .mode = mode, .resolve = resolve };
    int fd = -1;

    for (int i = 0; i < TRIES; i++) {
        fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return fd;
}
