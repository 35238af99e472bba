// SPDX-License-Identifier: Apache-2.0
/* Owner, mode, extended attributes and times of what an archive entry became. */
#ifndef ZL_FETCH_TAR_ATTRIBUTES_H
#define ZL_FETCH_TAR_ATTRIBUTES_H

#include <sys/stat.h>

#include "fetch/tar/tar.h"

/*
 * Of a new file of ours that was born with the entry's mode & 0777 and 0:0 as its owner, in a
 * folder without a set-group-id bit: what is as it should be is not set again. In the order that
 * the kernel needs: a new owner clears set-user-id bits and file capabilities.
 */
int attributes_of_file(int fd, const struct tar_entry *e, struct zl_error *err);
/* Of a folder, but not its mode and time, which filling it would change or need. */
int attributes_of_folder(int fd, const struct tar_entry *e, struct zl_error *err);
/* Of what is not opened (links, devices): owner, mode and times. */
int attributes_of_node(int dir_fd, const char *name, const struct tar_entry *e,
                       struct zl_error *err);
/* Everything of one file for another: owner, mode, attributes that we keep, time. */
int attributes_copy(int from_fd, const struct stat *from, int to_fd, struct zl_error *err);

#endif
