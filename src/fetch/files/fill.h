// SPDX-License-Identifier: Apache-2.0
/*
 * The first use of an empty volume: what the image has at the place where it will be mounted is
 * copied into it, with owners, modes, times, extended attributes and hard links; the volume gets
 * owner and mode of that folder. The order, on stdin:
 *   {"layers":[3,7],"fills":[{"from":"/data","volume":"db"},{"from":"/tmp/x","container":"<id>/volumes/0"}]}
 *
 * A volume with a name is never half a copy, wherever we are killed:
 *   1. volumes/.new-<random> is filled, under a flock that tells it from what a dead one left;
 *   2. it is on the disk (syncfs), and becomes volumes/.full-<name>: that is the commit;
 *   3. what is in that moves over one by one, owner and mode follow, the empty folder goes.
 * Who finds a .full-<name> goes on with 3. The volume itself stays the same folder all the time,
 * since others may have mounted it. A container's own volume is filled where it is: without us the
 * container does not come to be.
 *
 * The image's folder is found as the container would find it, links in it lead nowhere else; it is
 * read, and written, by two processes that have nothing but these two folders (confine.h).
 */
#ifndef ZL_FETCH_FILES_FILL_H
#define ZL_FETCH_FILES_FILL_H

#include "base/error.h"

/* root: the state folder. Needs root, and a umask of 0. */
int fill_volumes(const char *root, int order_fd, struct zl_error *err);

#endif
