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
 * archive uses but does not list, and the other name of a hard link that leads to them.
 */
#ifndef ZL_FETCH_UNPACK_H
#define ZL_FETCH_UNPACK_H

#include "fetch/tar.h"
#include "fetch/tree.h"

enum { UNPACK_MAX_ENTRIES = 5000000 };
#define UNPACK_MAX_BYTES (UINT64_C(64) << 30)  /* of files: beyond that it is a bomb */
#define UNPACK_MAX_STREAM (UINT64_C(80) << 30) /* of the archive, with headers and padding */

struct unpack;

/* Reads entries until the archive's end into root, which is empty and borrowed as long as *ret
 * lives. The process's umask must be 0. Thread-safe for different roots. */
int unpack_tar(struct tar *tar, int root, struct unpack **ret, struct zl_error *err);
/* Once the layers below are complete: their roots, lowest first; only read. */
int unpack_settle(struct unpack *u, const int *below, size_t n_below, struct zl_error *err);
void unpack_free(struct unpack *u);
ZL_DEFINE_CLEANUP(struct unpack *, unpack_free)
#define autounpack ZL_CLEANUP(unpack_freep)

#endif
