// SPDX-License-Identifier: Apache-2.0
/*
 * Descriptors 0, 1 and 2. Where one of them is closed, the next thing that a program opens gets its
 * number, and is then taken for its standard input or output: by its messages, or by a container
 * to which it is handed on. So each of our programs fills them before it opens anything.
 */
#ifndef ZL_BASE_STDFDS_H
#define ZL_BASE_STDFDS_H

#include <stdbool.h>

#include "base/error.h"

/* Opens /dev/null as those of 0, 1 and 2 that are closed; like the others they are handed on to who
 * is executed. Call it first, with one thread. */
int zl_fill_standard_fds(struct zl_error *err);

/*
 * Whether fd may be given away as a standard descriptor of ours: what was inherited may; what one
 * of us opened meanwhile may not, and is known by being close-on-exec. False, with errno:
 * EBADF of ours as of a closed one. Async-signal-safe.
 */
bool zl_is_inherited(int fd);

#endif
