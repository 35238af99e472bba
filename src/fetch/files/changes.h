// SPDX-License-Identifier: Apache-2.0
/*
 * What a container changed of its image: its overlay's upper folder against the layers below
 * (the kernel's filesystems/overlayfs.rst, "whiteouts and opaque directories").
 */
#ifndef ZL_FETCH_FILES_CHANGES_H
#define ZL_FETCH_FILES_CHANGES_H

#include <stddef.h>

#include "base/error.h"

enum change { CHANGE_MODIFIED, CHANGE_ADDED, CHANGE_DELETED }; /* the numbers of Docker's API */

/* path: absolute, as the container has it. */
typedef int (*change_fn)(void *arg, enum change kind, const char *path, struct zl_error *err);

/*
 * Folders before what is in them. below: the layers, lowest first. mounts: targets of mounts, which
 * the runtime had to make room for: not told, nor folders that differ by that alone.
 */
int changes_walk(int upper, const int *below, size_t n_below, const char *const *mounts,
                 size_t n_mounts, change_fn fn, void *arg, struct zl_error *err);

#endif
