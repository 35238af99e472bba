// SPDX-License-Identifier: Apache-2.0
/*
 * A process of a container that reaches /proc/PID/exe of a runtime could write the host's own
 * executable (CVE-2019-5736). So we run from a detached mount of our file that is read-only:
 * whoever opens it through /proc meets EROFS. Once we were executed from it nothing holds that
 * mount but the process itself: it is in no mount namespace any more, so nobody can change it
 * (mount_setattr(2) wants a mount that is mounted). It costs one execve; a file on a read-only file
 * system nothing.
 *
 * An ordinary user may not make mounts: then we run from a sealed copy in memory.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/weaken.h"
#include "ocicli/ocicli.h"
#include "sandbox/kernel.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10 /* Linux 6.3: executable whatever sysctl vm.memfd_noexec says */
#endif

extern char **environ;

static const char exe[] = "/proc/self/exe";

static bool is_protected(int fd)
{
    struct statvfs fs;
    int seals = fcntl(fd, F_GET_SEALS); /* -1: no file in memory */

    return (seals >= 0 && seals & F_SEAL_WRITE) ||
           (fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_RDONLY);
}

static int from_readonly_mount(char **argv)
{
    struct k_mount_attr readonly = { .attr_set = K_ATTR_RDONLY };
    zl_autoclose int fd = k_open_tree(AT_FDCWD, exe, K_OPEN_TREE_CLONE | K_OPEN_TREE_CLOEXEC);

    if (fd < 0 || k_mount_setattr(fd, "", K_AT_EMPTY_PATH, &readonly) < 0)
        return -1;
    return (int)syscall(SYS_execveat, fd, "", argv, environ, K_AT_EMPTY_PATH);
}

static int copy_of(int fd)
{
    const char name[] = "zlayer-oci";
    zl_autoclose int copy = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    struct stat st;

    if (copy < 0 && errno == EINVAL)
        copy = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (copy < 0 || fstat(fd, &st) < 0)
        return -1;
    for (off_t left = st.st_size; left > 0;) {
        ssize_t n = sendfile(copy, fd, NULL, (size_t)left);
        if (n == 0)
            errno = EIO; /* shorter than it was */
        if (n <= 0)
            return -1;
        left -= n;
    }
    if (fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -1;
    return zl_take_fd(&copy);
}

static int from_memory(int fd, char **argv)
{
    zl_autoclose int copy = copy_of(fd);

    return copy < 0 ? -1 : (int)syscall(SYS_execveat, copy, "", argv, environ, K_AT_EMPTY_PATH);
}

/* Of the first of us, which /proc/self/exe of the second does not tell. */
static void find_self(char *out)
{
    const char *told = getenv(SELF_VARIABLE);
    ssize_t n = told ? 0 : readlink(exe, out, PATH_MAX - 1);

    if (told)
        (void)snprintf(out, PATH_MAX, "%s", told);
    else
        out[n > 0 ? n : 0] = '\0';
}

int self_protect(char **argv, char *self, struct zl_error *err)
{
    zl_autoclose int fd = open(exe, O_RDONLY | O_CLOEXEC);

    find_self(self);
    if (fd < 0)
        return zl_fail_errno(err, "open '%s'", exe);
    if (!zl_weaken(SELF) && !is_protected(fd) &&
        (setenv(SELF_VARIABLE, self, 1) < 0 ||
         (from_readonly_mount(argv) < 0 && from_memory(fd, argv) < 0)))
        return zl_fail_errno(err, "execute ourselves where no container can write");
    return unsetenv(SELF_VARIABLE) < 0 ? zl_fail_errno(err, "clear our environment") : 0;
}
