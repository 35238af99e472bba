// SPDX-License-Identifier: Apache-2.0
/* Owner, mode, extended attributes and times of what an archive entry became. */
#ifndef ZL_FETCH_ATTRIBUTES_H
#define ZL_FETCH_ATTRIBUTES_H

#include <archive.h>
#include <archive_entry.h>

#include <time.h>

#include "base/error.h"

/* Its times, as utimensat(2) takes them: both the time of change, which is what images are about.
 */
void attributes_times(struct archive_entry *e, struct timespec ret[2]);
/* Of an open file or folder, all of them, in the order the kernel needs. */
int attributes_set(int fd, struct archive_entry *e, struct zl_error *err);
/* Of what is not opened (links, devices): owner and times; its mode came with its birth. */
int attributes_set_at(int dir_fd, const char *name, struct archive_entry *e, struct zl_error *err);

#endif
