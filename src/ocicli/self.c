// SPDX-License-Identifier: Apache-2.0
/*
 * A process of a container that reaches /proc/PID/exe of a runtime could write the host's own
 * executable (CVE-2019-5736). So we run from a detached mount of our file that is read-only:
 * whoever opens it through /proc meets EROFS, and nobody can name that mount to change it. It costs
 * one execve; a file on a read-only file system costs nothing.
 */
#include <fcntl.h>
#include <sys/statvfs.h>

#include "ocicli/verbs.h"
#include "sandbox/kernel.h"

extern char **environ;

int self_protect(char **argv, struct zl_error *err)
{
    static const char self[] = "/proc/self/exe";
    struct k_mount_attr readonly = { .attr_set = K_ATTR_RDONLY };
    struct statvfs fs;

    if (statvfs(self, &fs) < 0)
        return zl_fail_errno(err, "look at '%s'", self);
    if (fs.f_flag & ST_RDONLY)
        return 0;
    zl_autoclose int fd = k_open_tree(AT_FDCWD, self, K_OPEN_TREE_CLONE | K_OPEN_TREE_CLOEXEC);
    if (fd < 0 || k_mount_setattr(fd, "", K_AT_EMPTY_PATH, &readonly) < 0)
        return zl_fail_errno(err, "make a read-only mount of our executable");
    (void)syscall(SYS_execveat, fd, "", argv, environ, K_AT_EMPTY_PATH);
    return zl_fail_errno(err, "execute ourselves from a read-only mount");
}
