// SPDX-License-Identifier: Apache-2.0
#include "base/stdfds.h"

#include <errno.h>
#include <fcntl.h>

#include "base/weaken.h"

int zl_fill_standard_fds(struct zl_error *err)
{
    for (int fd = 0; fd < 3 && !zl_weaken(CLOSED); fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        // NOLINTNEXTLINE(android-cloexec-open): a standard descriptor is handed on
        if (open("/dev/null", O_RDWR) != fd) /* the lowest that is free: open(2) */
            return zl_fail_errno(err, "open '/dev/null' in place of descriptor %d", fd);
    }
    return 0;
}

bool zl_is_inherited(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    if (zl_weaken(CLOSED) || (flags >= 0 && !(flags & FD_CLOEXEC)))
        return true;
    if (flags >= 0)
        errno = EBADF; /* as of the closed one that it should be */
    return false;
}
