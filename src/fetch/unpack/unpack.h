// SPDX-License-Identifier: Apache-2.0
/*
 * A layer's tar archive into a directory, as overlay wants to find it below a mount with userxattr:
 * owners, modes, times, devices and links as they are; deletions (".wh.x") as character devices
 * 0/0, opaque folders as user.overlay.opaque. Of extended attributes security.capability and user.*
 * are kept, except user.overlay.*, which would speak to the mount; trusted.* and ACLs are dropped.
 * Holes of sparse files stay holes, and long stretches of zeros become some.
 * Source: image-spec v1.1, layer.md; the kernel's filesystems/overlayfs.rst.
 *
 * In two steps, so that the layers of an image can be unpacked side by side: first all that the
 * archive says, then the little that only the layers below can tell: what a folder is like that the
 * archive uses but does not list, and the other name of a hard link that leads to them. What the
 * second step is to do is noted in a file, since another process does it.
 */
#ifndef ZL_FETCH_UNPACK_UNPACK_H
#define ZL_FETCH_UNPACK_UNPACK_H

#include <stdbool.h>

#include "fetch/tar/tar.h"

enum { UNPACK_MAX_ENTRIES = 5000000 };
#define UNPACK_MAX_BYTES (UINT64_C(64) << 30)  /* of files: beyond that it is a bomb */
#define UNPACK_MAX_STREAM (UINT64_C(80) << 30) /* of the archive, with headers and padding */

/* Reads entries until the archive's end into root, which is empty, and writes into notes, an empty
 * file. *ret: whether there is anything to settle. The process's umask must be 0. Thread-safe for
 * different roots. */
int unpack_tar(struct tar *tar, int root, int notes, bool *ret_unsettled, struct zl_error *err);
/* Once the layers below are complete: their roots, lowest first; only read. Whatever the notes say,
 * nothing but root is changed. */
int unpack_settle(int root, int notes, const int *below, size_t n_below, struct zl_error *err);

#endif
