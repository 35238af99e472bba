// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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

int source_open(const char *text, struct source *ret, struct zl_error *err)
{
    static const char scheme[] = "oci:";
    struct source *s = ret;
    struct stat st;
    *s = (struct source){ .fd = -1, .is_layout = strncmp(text, scheme, strlen(scheme)) == 0 };
    const char *path = s->is_layout ? text + strlen(scheme) : text;
    if (snprintf(s->path, sizeof s->path, "%s", path) >= (int)sizeof s->path)
        return zl_fail(err, ZL_ERR_INVALID, "the path of the source is too long");
    if (path[0] != '/')
        return zl_fail(err, ZL_ERR_INVALID, "the source '%s' must be an absolute path", text);
    if (s->is_layout)
        split_tag(s);
    int fd = open(s->path, O_RDONLY | O_CLOEXEC | (s->is_layout ? O_DIRECTORY : O_NONBLOCK));
    if (fd < 0)
        return zl_fail_errno(err, "open '%s'", s->path);
    if (fstat(fd, &st) < 0 || (!s->is_layout && !S_ISREG(st.st_mode))) {
        (void)close(fd);
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not a file", s->path);
    }
    s->fd = fd;
    return 0;
}
