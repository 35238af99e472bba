// SPDX-License-Identifier: Apache-2.0
/*
 * A tar archive into a folder of a container that may run meanwhile. Every path is resolved by the
 * kernel as if the container's root were "/" (openat2(2), RESOLVE_IN_ROOT, no magic links), so what
 * links the container has or swaps in lead nowhere else; ".." in the archive is refused.
 */
#ifndef ZL_FETCH_FILES_PLACE_H
#define ZL_FETCH_FILES_PLACE_H

#include <stdbool.h>

#include "fetch/tar/tar.h"

struct place_options {
    bool keep_owner; /* the archive's; else these: */
    uint32_t uid, gid;
    bool same_types;  /* a folder never replaces what is none, nor the other way: CONFLICT */
    const char *name; /* what the first folder of each path becomes; NULL: it stays */
};

/* folder: of the container, must exist: NOT_FOUND, or INVALID when it is none. The process's umask
 * must be 0. */
int place_tar(struct tar *tar, int root_fd, const char *folder, const struct place_options *o,
              struct zl_error *err);

#endif
