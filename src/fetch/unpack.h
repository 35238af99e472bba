// SPDX-License-Identifier: Apache-2.0
/*
 * A layer's tar archive into a directory, as overlay wants to find it below a mount with userxattr:
 * owners, modes, times, devices and links as they are; deletions (".wh.x") as character devices
 * 0/0, opaque folders as user.overlay.opaque. Of extended attributes security.capability and user.*
 * are kept, except user.overlay.*, which would speak to the mount; trusted.* and ACLs are dropped.
 * Source: image-spec v1.1, layer.md; the kernel's filesystems/overlayfs.rst.
 */
#ifndef ZL_FETCH_UNPACK_H
#define ZL_FETCH_UNPACK_H

#include <archive.h>

#include "fetch/tree.h"

enum { UNPACK_MAX_ENTRIES = 5000000 };
#define UNPACK_MAX_BYTES (UINT64_C(64) << 30)  /* of files: beyond that it is a bomb */
#define UNPACK_MAX_STREAM (UINT64_C(80) << 30) /* of the archive, with headers and padding */

/* Reads entries from `tar` until its end. */
int unpack_tar(struct archive *tar, struct tree *t, struct zl_error *err);

#endif
