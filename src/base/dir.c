// SPDX-License-Identifier: Apache-2.0
#include "base/dir.h"

#include <fcntl.h>

DIR *zl_dir_open(int dir_fd, const char *name)
{
    zl_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir)
        (void)zl_take_fd(&fd); /* dir's now */
    return dir;
}

int zl_dir_each(int dir_fd, const char *what, zl_entry_fn fn, void *arg, struct zl_error *err)
{
    zl_autodir DIR *dir = zl_dir_open(dir_fd, ".");
    const struct dirent *d;
    if (!dir)
        return zl_fail_errno(err, "list %s", what);
    while ((errno = 0, d = readdir(dir)))
        if (!zl_is_dots(d->d_name) && fn(arg, d, err) < 0)
            return -1;
    return errno ? zl_fail_errno(err, "list %s", what) : 0;
}
