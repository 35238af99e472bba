// SPDX-License-Identifier: Apache-2.0
#include "base/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fd.h"

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool find_below(const char *dirs, const char *name, char ret[PATH_MAX])
{
    for (size_t n; *dirs; dirs += n, dirs += *dirs == ':') {
        n = strcspn(dirs, ":");
        int m = snprintf(ret, PATH_MAX, "%.*s/%s", (int)n, dirs, name);
        if (n && m > 0 && m < PATH_MAX && is_program(ret))
            return true;
    }
    return false;
}

int zl_find_program(const char *name, char ret[PATH_MAX], struct zl_error *err)
{
    const char *dirs = getenv("PATH");
    if (strchr(name, '/')) {
        if (snprintf(ret, PATH_MAX, "%s", name) < PATH_MAX && is_program(ret))
            return 0;
        return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no program '%s'", name);
    }
    if (find_below(dirs ? dirs : "/usr/local/bin:/usr/bin:/bin", name, ret))
        return 0;
    return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no program '%s' in $PATH", name);
}

struct attributes {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
};

static int set_attributes(struct attributes *a, const struct zl_launch *s)
{
    sigset_t none, all;
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;

    (void)sigemptyset(&none);
    /* Not sigfillset(): it leaves out the two that glibc keeps for its threads, and posix_spawn(3)
     * would have them ignored in the child and in all that it starts. */
    (void)memset(&all, 0xff, sizeof all);
    if (s->session)
        flags |= POSIX_SPAWN_SETSID;
    (void)posix_spawnattr_setsigmask(&a->attr, &none); /* these three only store their arguments */
    (void)posix_spawnattr_setsigdefault(&a->attr, &all);
    (void)posix_spawnattr_setflags(&a->attr, flags);
    return s->cwd ? posix_spawn_file_actions_addchdir_np(&a->files, s->cwd) : 0;
}

/* from: copies above all targets, so that none is overwritten before it was used. */
static int set_files(struct attributes *a, const struct zl_launch *s, const int *from)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < s->n_fds; i++)
        rc = from[i] < 0
                 ? posix_spawn_file_actions_addopen(&a->files, (int)i, "/dev/null", O_RDWR, 0)
                 : posix_spawn_file_actions_adddup2(&a->files, from[i], (int)i);
    return rc;
}

/* 0 or the number of an error, as posix_spawn(3). */
static int spawn(const struct zl_launch *s, const int *from, pid_t *ret)
{
    extern char **environ;
    struct attributes a;
    int rc = posix_spawn_file_actions_init(&a.files);

    if (rc)
        return rc;
    rc = posix_spawnattr_init(&a.attr);
    if (rc) {
        (void)posix_spawn_file_actions_destroy(&a.files);
        return rc;
    }
    rc = set_attributes(&a, s);
    if (rc == 0)
        rc = set_files(&a, s, from);
    if (rc == 0)
        rc = posix_spawn(ret, s->program, &a.files, &a.attr, s->argv, s->env ? s->env : environ);
    (void)posix_spawnattr_destroy(&a.attr);
    (void)posix_spawn_file_actions_destroy(&a.files);
    return rc;
}

static int lift(const struct zl_launch *s, int *from, struct zl_error *err)
{
    for (size_t i = 0; i < s->n_fds; i++) {
        from[i] = s->fds[i] < 0 ? -1 : zl_dup_above(s->fds[i], ZL_LAUNCH_FDS, err);
        if (s->fds[i] >= 0 && from[i] < 0)
            return -1;
    }
    return 0;
}

int zl_launch(const struct zl_launch *s, struct zl_child *ret, struct zl_error *err)
{
    int from[ZL_LAUNCH_FDS];
    struct zl_child c = { .pidfd = -1 };
    int rc;

    for (size_t i = 0; i < ZL_LAUNCH_FDS; i++)
        from[i] = -1;
    rc = lift(s, from, err);
    if (rc == 0 && (errno = spawn(s, from, &c.pid)))
        rc = zl_fail_errno(err, "start '%s'", s->program);
    for (size_t i = 0; i < ZL_LAUNCH_FDS; i++)
        zl_closep(&from[i]);
    if (rc < 0)
        return -1;
    c.pidfd = (int)syscall(SYS_pidfd_open, c.pid, 0);
    if (c.pidfd < 0) {
        (void)zl_fail_errno(err, "watch '%s'", s->program);
        (void)kill(c.pid, SIGKILL); /* ours and not waited for: the pid is still its own */
        (void)waitpid(c.pid, NULL, 0);
        return -1;
    }
    *ret = c;
    return 0;
}
