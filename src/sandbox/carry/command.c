// SPDX-License-Identifier: Apache-2.0
/* The command: found in PATH as the container sees it, and executed. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/carry/child.h"

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static const char *command_of(const struct child *k)
{
    const char *command = plan_text(k->base, k->process->command);

    return command ? command : k->argv[0];
}

static const char *search_path(char *const *envp)
{
    for (; *envp; envp++)
        if (strncmp(*envp, "PATH=", 5) == 0)
            return *envp + 5;
    return default_path;
}

/* Where one look-up ended. */
typedef int (*try_fn)(struct child *k, const char *path);

static int try_exec(struct child *k, const char *path)
{
    return execve(path, k->argv, k->envp);
}

static int try_access(struct child *k, const char *path)
{
    struct stat st;

    (void)k;
    /* real and effective ids are the same here, and access(2) is in every seccomp profile */
    if (access(path, X_OK) < 0 || stat(path, &st) < 0)
        return -1;
    if (S_ISREG(st.st_mode))
        return 0;
    errno = EACCES; /* as execve(2) says of a directory */
    return -1;
}

/* A folder of PATH and the name; an empty folder means the working directory. */
static int try_in(struct child *k, const char *dir, size_t n, const char *name, try_fn try)
{
    char path[PATH_MAX];
    size_t m = strlen(name);

    if (n + m + 2 > sizeof path) {
        errno = ENOENT; /* no such file could be there */
        return -1;
    }
    memcpy(path, dir, n);
    if (n)
        path[n++] = '/';
    memcpy(path + n, name, m + 1);
    return try(k, path);
}

/* 0 when try succeeded; else errno tells the most interesting failure, as execvp(3) does. */
static int search(struct child *k, try_fn try)
{
    const char *name = command_of(k);
    const char *dir = search_path(k->envp);
    int result = ENOENT;

    if (!name[0] || strchr(name, '/'))
        return try(k, name);
    for (;; dir++) {
        size_t n = strcspn(dir, ":");
        if (try_in(k, dir, n, name, try) == 0)
            return 0;
        if (errno == EACCES)
            result = EACCES; /* somewhere else may be a better one */
        else if (errno != ENOENT && errno != ENOTDIR)
            return -1;
        dir += n;
        if (!*dir)
            break;
    }
    errno = result;
    return -1;
}

int child_find(struct child *k)
{
    return search(k, try_access) < 0 ? child_fail(k, STEP_EXEC, command_of(k), NULL) : 0;
}

int child_exec(struct child *k)
{
    (void)search(k, try_exec); /* comes back only when it failed */
    return child_fail(k, STEP_EXEC, command_of(k), NULL);
}

int child_exec_init(struct child *k)
{
    enum { REPORT_FD = 3 }; /* nobody's by now; without close-on-exec */

    if (dup2(k->init_report, REPORT_FD) >= 0)
        (void)syscall(SYS_execveat, k->init_exe, "", k->init_argv, k->envp, AT_EMPTY_PATH);
    return child_fail(k, STEP_EXEC, k->init_argv[0], NULL);
}
