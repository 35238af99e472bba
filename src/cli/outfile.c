// SPDX-License-Identifier: Apache-2.0
#include "cli/outfile.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Where a link leads, so that the link stays; what does not exist yet is called as it is. */
static char *place_of(const char *path)
{
    char *real = realpath(path, NULL);
    return real ? real : strdup(path);
}

/* mkostemp(3) makes it for us alone. */
static int give_usual_mode(int fd)
{
    mode_t mask = umask(0); /* the command line has one thread */
    (void)umask(mask);
    return fchmod(fd, 0666 & ~mask);
}

static int make_temporary(struct outfile *f)
{
    if (asprintf(&f->tmp, "%s.XXXXXX", f->path) < 0) {
        f->tmp = NULL;
        return -1;
    }
    f->fd = mkostemp(f->tmp, O_CLOEXEC);
    if (f->fd < 0) {
        free(zl_take_ptr(f->tmp)); /* nothing of that name is ours */
        return -1;
    }
    return give_usual_mode(f->fd);
}

int outfile_open(const char *path, struct outfile *ret, struct zl_error *err)
{
    autooutfile struct outfile f = { .fd = -1, .path = place_of(path) };
    struct stat st;

    if (!f.path)
        return zl_fail_errno(err, "create '%s'", path);
    bool special = stat(f.path, &st) == 0 && !S_ISREG(st.st_mode);
    if (special)
        f.fd = open(f.path, O_WRONLY | O_CLOEXEC);
    if (special ? f.fd < 0 : make_temporary(&f) < 0)
        return zl_fail_errno(err, "create '%s'", path);
    *ret = f;
    f = (struct outfile){ .fd = -1 };
    return 0;
}

int outfile_keep(struct outfile *f, struct zl_error *err)
{
    if (f->tmp && rename(f->tmp, f->path) < 0)
        return zl_fail_errno(err, "create '%s'", f->path);
    free(zl_take_ptr(f->tmp));
    return 0;
}

void outfile_done(struct outfile *f)
{
    if (f->tmp)
        (void)unlink(f->tmp); /* the failure that brought us here is the one to tell */
    free(f->tmp);
    free(f->path);
    zl_closep(&f->fd);
    *f = (struct outfile){ .fd = -1 };
}
