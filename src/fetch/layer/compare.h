// SPDX-License-Identifier: Apache-2.0
/* Whether two trees of files are the same, for image verify. */
#ifndef ZL_FETCH_LAYER_COMPARE_H
#define ZL_FETCH_LAYER_COMPARE_H

#include "base/error.h"

/* Types, modes, owners, times, links, devices, attributes and contents, of everything below the two
 * folders and of themselves. -1 INVALID names the first difference. */
int compare_trees(int found_fd, int wanted_fd, struct zl_error *err);

#endif
