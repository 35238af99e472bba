// SPDX-License-Identifier: Apache-2.0
/*
 * A directory tree as a tar archive: POSIX ustar, with a pax header where that cannot say it (long
 * names, big files, times finer than seconds, extended attributes), as pax(1p) describes and every
 * tool of today reads. Names are bytes and stay as they are. A second name of a file becomes a hard
 * link. Sockets are left out; so is what was removed while it was looked for.
 *
 * The tree may be changed by others all the while: it is walked by descriptor, and what is opened
 * is what was looked at, so nothing outside of it is ever read.
 */
#ifndef ZL_FETCH_TAR_PACK_H
#define ZL_FETCH_TAR_PACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct pack_out { /* takes all n bytes, or -1 */
    int (*write)(void *arg, const void *bytes, size_t n, struct zl_error *err);
    void *arg;
};

enum {                     /* flags */
       PACK_ONE_MOUNT = 1, /* other mounts in the tree are empty folders */
       PACK_CONTENT = 2,   /* what is in the folder; the folder itself is called "." */
};

/*
 * What stands at dir_fd/name, called `as` in the archive ("etc", "f.txt"); no link in name is
 * followed at its end. proc, sysfs and cgroup file systems are empty folders: they tell of the
 * host. fds: an open folder /proc/self/fd, for a process whose /proc is out of reach.
 */
int pack_tree(int dir_fd, const char *name, const char *as, unsigned flags, int fds,
              const struct pack_out *out, struct zl_error *err);
/* The end of the archive. */
int pack_end(const struct pack_out *out, struct zl_error *err);

#endif
