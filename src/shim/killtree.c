// SPDX-License-Identifier: Apache-2.0
/*
 * Ends an exec with all it has started: its process group, its session, and its descendants. Those
 * that left both, by a double fork into a session of their own, are the container's own from then
 * on (the kernel gives them to its first process) and end with it.
 *
 * /proc is read until a round finds nobody new, so a process that forks meanwhile is found too. A
 * pid is never trusted: the pidfd is opened first and the entry read after it, so a signal cannot
 * hit a process that got the number later.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/dir.h"
#include "base/fd.h"
#include "shim/shim.h"

enum { TREE_MAX = 4096, ROUNDS_MAX = 16 };

struct tree {
    pid_t root;
    size_t n;
    pid_t killed[TREE_MAX];
};

static bool is_in(const struct tree *t, pid_t pid)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->killed[i] == pid)
            return true;
    }
    return false;
}

/* Parent and session of a process: fields 4 and 6 of /proc/PID/stat. */
static bool read_kin(int proc_fd, const char *pid_text, pid_t *ret_parent, pid_t *ret_session)
{
    char path[64], text[1024];

    (void)snprintf(path, sizeof path, "%s/stat", pid_text);
    zl_autoclose int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n <= 0)
        return false;
    text[n] = '\0';
    char *at = strrchr(text, ')'); /* the name in field 2 may hold anything */
    if (!at || strlen(at) < 5)
        return false;
    *ret_parent = (pid_t)strtol(at + 4, &at, 10); /* behind ") S " */
    (void)strtol(at, &at, 10);                    /* the process group */
    *ret_session = (pid_t)strtol(at, NULL, 10);
    return true;
}

/* Kills the process when it is of the tree and was not killed before. */
static bool kill_member(struct tree *t, int proc_fd, const char *pid_text)
{
    pid_t pid = (pid_t)strtol(pid_text, NULL, 10), parent, session;

    if (pid <= 1 || pid == getpid() || is_in(t, pid) || t->n == TREE_MAX)
        return false;
    zl_autoclose int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0 || !read_kin(proc_fd, pid_text, &parent, &session))
        return false;
    if (pid != t->root && session != t->root && !is_in(t, parent))
        return false;
    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0)
        return false;
    t->killed[t->n++] = pid;
    return true;
}

static bool kill_round(struct tree *t, DIR *proc)
{
    bool found = false;
    const struct dirent *d;

    rewinddir(proc);
    while ((d = readdir(proc))) {
        if (d->d_name[0] >= '1' && d->d_name[0] <= '9')
            found |= kill_member(t, dirfd(proc), d->d_name);
    }
    return found;
}

void kill_tree(pid_t pid)
{
    struct tree *t = calloc(1, sizeof *t);
    zl_autodir DIR *proc = zl_dir_open(AT_FDCWD, "/proc");

    if (t && proc) {
        t->root = pid;
        for (int i = 0; i < ROUNDS_MAX && kill_round(t, proc); i++)
            ;
    }
    (void)kill(pid, SIGKILL); /* whatever else; not reaped yet, so it is that process */
    free(t);
}
