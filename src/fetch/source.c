// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "fetch/import.h"

/* "oci:/DIR[:TAG]": a ':' that is followed by a '/' is part of the path. */
static void split_tag(struct source *s)
{
    char *colon = strrchr(s->path, ':');
    if (!colon || strchr(colon, '/'))
        return;
    *colon = '\0';
    s->tag = colon + 1;
}

/* A mount of its own, read-only: ".." from its root leads nowhere, also for a process that was
 * taken over after its own root had changed (open_tree(2); mount_setattr(2), Linux 5.12). */
static int open_folder(const char *path, struct zl_error *err)
{
    struct mount_attr locked = {
        .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
    };
    struct stat st;
    zl_autoclose int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return zl_fail_errno(err, "open '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not a folder", path);
    if (mount_setattr(fd, "", AT_EMPTY_PATH, &locked, sizeof locked) < 0)
        return zl_fail_errno(err, "make '%s' read-only", path);
    return zl_take_fd(&fd);
}

static int open_archive(const char *path, struct zl_error *err)
{
    struct stat st;
    zl_autoclose int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return zl_fail_errno(err, "open '%s'", path);
    if (!S_ISREG(st.st_mode))
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not a file", path);
    return zl_take_fd(&fd);
}

int source_open(const char *text, struct source *ret, struct zl_error *err)
{
    static const char scheme[] = "oci:";
    struct source *s = ret;
    *s = (struct source){ .fd = -1, .is_layout = strncmp(text, scheme, strlen(scheme)) == 0 };
    const char *path = s->is_layout ? text + strlen(scheme) : text;
    if (snprintf(s->path, sizeof s->path, "%s", path) >= (int)sizeof s->path)
        return zl_fail(err, ZL_ERR_INVALID, "the path of the source is too long");
    if (path[0] != '/')
        return zl_fail(err, ZL_ERR_INVALID, "the source '%s' must be an absolute path", text);
    if (s->is_layout)
        split_tag(s);
    zl_autoclose int fd = s->is_layout ? open_folder(s->path, err) : open_archive(s->path, err);
    if (fd < 0)
        return -1;
    s->fd = zl_take_fd(&fd);
    return 0;
}
