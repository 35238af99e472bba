// SPDX-License-Identifier: Apache-2.0
/* What lies in a directory. */
#ifndef ZL_BASE_DIR_H
#define ZL_BASE_DIR_H

#include <dirent.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

/*
 * The directory dir_fd/name, "." for dir_fd itself, for readdir(3) from its beginning: it shares no
 * read offset with dir_fd, which stays the caller's. A symlink is not followed. NULL and errno.
 */
DIR *zl_dir_open(int dir_fd, const char *name);
/* It was only read, so nothing can be lost; NULL is fine. */
static inline void zl_dir_close(DIR *dir)
{
    if (dir)
        (void)closedir(dir);
}
ZL_DEFINE_CLEANUP(DIR *, zl_dir_close)
#define zl_autodir ZL_CLEANUP(zl_dir_closep)

static inline bool zl_is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Of one entry, which it may remove. -1 with err filled ends the walk. */
typedef int (*zl_entry_fn)(void *arg, const struct dirent *entry, struct zl_error *err);
/* Calls fn for each entry of dir_fd but "." and "..", in no order. `what` names the directory in
 * errors ("list the layers"). -1 from fn is handed on as it is. */
int zl_dir_each(int dir_fd, const char *what, zl_entry_fn fn, void *arg, struct zl_error *err);

#endif
