// SPDX-License-Identifier: Apache-2.0
#include "fetch/room.h"

#include <stdint.h>
#include <sys/statvfs.h>

enum { MIB = 1 << 20 };

int room_left(int fd, struct zl_error *err)
{
    struct statvfs fs;
    if (fstatvfs(fd, &fs) < 0)
        return zl_fail_errno(err, "look at the disk");
    uint64_t all = (uint64_t)fs.f_blocks * fs.f_frsize, free = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t kept = all / 50;
    kept = kept < 8 * MIB ? 8 * MIB : kept > 1024 * (uint64_t)MIB ? 1024 * (uint64_t)MIB : kept;
    if (free >= kept)
        return 0;
    errno = ENOSPC;
    return zl_fail_errno(err, "%llu MiB are free, and %llu MiB are kept for the agent",
                         (unsigned long long)(free / MIB), (unsigned long long)(kept / MIB));
}
