// SPDX-License-Identifier: Apache-2.0
/*
 * What in an unpacked layer hides that of the layers below, as overlay has it when it is mounted
 * with userxattr (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").
 */
#ifndef ZL_IMAGE_OVERLAY_H
#define ZL_IMAGE_OVERLAY_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define OVERLAY_OPAQUE "user.overlay.opaque"

/* It stands for nothing: what has this name below is gone. */
static inline bool overlay_is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* Nothing of the folders with this name below is seen in it. */
static inline bool overlay_is_opaque(int dir_fd)
{
    char value = '\0';
    return fgetxattr(dir_fd, OVERLAY_OPAQUE, &value, 1) == 1 && value == 'y';
}

#endif
