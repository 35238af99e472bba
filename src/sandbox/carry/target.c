// SPDX-License-Identifier: Apache-2.0
/*
 * Paths in the container's root, which come from an image or its configuration: each is resolved by
 * openat2(2) as if the root were "/", so that no link in an image leads out, not even one swapped
 * in meanwhile. What is missing is made, also where a link of the image leads to nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/openat2.h"
#include "base/weaken.h"
#include "sandbox/carry/child.h"
#include "sandbox/kernel.h"

/* What others did before openat2(2): "/" of a link is the host's; or the way is looked at, and then
 * gone again by name. Never in what is shipped. */
static int open_weakly(struct child *k, const char *path, int flags)
{
    char link[FD_PATH_SIZE], name[PATH_MAX];
    ssize_t n;
    int fd;

    path += strspn(path, "/");
    path = *path ? path : ".";
    if (zl_weaken(TARGET))
        return openat(k->root_fd, path, flags | O_PATH | O_CLOEXEC);
    fd = zl_openat2(k->root_fd, path, (uint64_t)flags | O_PATH | O_CLOEXEC, 0, CHILD_PATH_RESOLVE);
    if (fd < 0)
        return -1;
    n = readlink(child_fd_path(fd, link), name, sizeof name - 1);
    (void)close(fd);
    if (n < 0)
        return -1;
    name[n] = '\0';
    return open(name, flags | O_PATH | O_CLOEXEC);
}

int child_open(struct child *k, const char *path, int flags)
{
    if (zl_weaken(TARGET) || zl_weaken(RACE))
        return open_weakly(k, path, flags);
    return zl_openat2(k->root_fd, path, (uint64_t)flags | O_PATH | O_CLOEXEC, 0,
                      CHILD_PATH_RESOLVE);
}

enum { LINKS_MAX = 40 }; /* as path_resolution(7) has it */

struct way { /* a path of which some is missing */
    char path[PATH_MAX];
    size_t n;
    unsigned links; /* taken so far */
};

/* 0 made, 1 something of that name is there, -1 and errno. The folder that holds it is there. */
static int make_component(int dir_fd, const char *name, bool directory)
{
    int fd;

    if (directory)
        fd = mkdirat(dir_fd, name, 0755);
    else
        fd = openat(dir_fd, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0)
        return errno == EEXIST ? 1 : -1;
    if (!directory)
        (void)close(fd); /* empty */
    return 0;
}

/* The folder in which the component that begins at `at` lies. */
static int open_above(struct child *k, struct way *w, size_t at)
{
    char first = w->path[at];
    int fd;

    w->path[at] = '\0'; /* "" is the root itself */
    fd = child_open(k, strspn(w->path, "/") == at ? "." : w->path, O_DIRECTORY);
    w->path[at] = first;
    return fd;
}

/* The component from at to end, a link to what is not there, gives way to what it says. 1, or -1
 * and errno. */
static int take_link(struct way *w, size_t at, size_t end, const char *to, size_t n)
{
    size_t before = *to == '/' ? 0 : at;

    if (++w->links > LINKS_MAX || before + n + w->n - end >= sizeof w->path) {
        errno = w->links > LINKS_MAX ? ELOOP : ENAMETOOLONG;
        return -1;
    }
    memmove(w->path + before + n, w->path + end, w->n - end + 1);
    memcpy(w->path + before, to, n);
    w->n = before + n + (w->n - end);
    return 1;
}

/* The component from at to end is made if it is missing. 0 it is there, 1 the way is another one
 * now, -1 and errno. */
static int make_step(struct child *k, struct way *w, size_t at, size_t end, bool directory)
{
    char cut = w->path[end], to[PATH_MAX];
    int fd, dir_fd, rc;
    ssize_t n;

    w->path[end] = '\0';
    fd = child_open(k, w->path, 0);
    if (fd >= 0) {
        (void)close(fd); /* O_PATH */
        w->path[end] = cut;
        return 0;
    }
    dir_fd = errno == ENOENT ? open_above(k, w, at) : -1;
    if (dir_fd < 0)
        return -1;
    rc = make_component(dir_fd, w->path + at, directory || cut);
    n = rc == 1 ? readlinkat(dir_fd, w->path + at, to, sizeof to) : 0;
    (void)close(dir_fd);
    w->path[end] = cut;
    if (n < 0)
        return errno == EINVAL ? 0 : -1; /* no link: somebody made what was missing */
    return rc == 1 ? take_link(w, at, end, to, (size_t)n) : rc;
}

/* The folder above is there most often. 0 it is made, 1 more is missing, -1 and errno. */
static int make_last(struct child *k, struct way *w, bool directory)
{
    const char *slash = strrchr(w->path, '/');
    size_t at = slash ? (size_t)(slash - w->path) + 1 : 0;
    int dir_fd = open_above(k, w, at), rc;

    if (dir_fd < 0)
        return errno == ENOENT ? 1 : -1;
    rc = make_component(dir_fd, w->path + at, directory);
    (void)close(dir_fd);
    return rc;
}

/* Makes what is missing of path, component by component, each looked up anew inside the root. */
static int make_path(struct child *k, const char *path, bool directory)
{
    struct way w = { .n = strlen(path) };
    size_t at = 0;

    if (w.n >= sizeof w.path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(w.path, path, w.n + 1);
    while (w.n > 1 && w.path[w.n - 1] == '/')
        w.path[--w.n] = '\0';
    int rc = make_last(k, &w, directory);
    if (rc <= 0)
        return rc;
    while (at += strspn(w.path + at, "/"), at < w.n) {
        size_t end = at + strcspn(w.path + at, "/");
        rc = make_step(k, &w, at, end, directory);
        if (rc < 0)
            return -1;
        at = rc ? 0 : end;
    }
    return 0;
}

int child_target(struct child *k, const char *path, bool directory)
{
    int fd = child_open(k, path, 0);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (make_path(k, path, directory) < 0)
        return -1;
    return child_open(k, path, 0);
}

/* What the kernel shows of itself lies where its paths say and nowhere else: through a link of the
 * image it would lie at a place that somebody who shares a volume may move, from under its masks.
 */
int child_plain_target(struct child *k, const char *path)
{
    int fd = child_target(k, path, true);

    if (fd < 0 || zl_weaken(PROC))
        return fd;
    (void)close(fd); /* O_PATH */
    return zl_openat2(k->root_fd, path, O_PATH | O_CLOEXEC, 0,
                      CHILD_PATH_RESOLVE | RESOLVE_NO_SYMLINKS);
}
