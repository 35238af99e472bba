// SPDX-License-Identifier: Apache-2.0
/* openat2(2) as all who resolve foreign paths call it. */
#ifndef ZL_BASE_OPENAT2_H
#define ZL_BASE_OPENAT2_H

#include <linux/openat2.h>
#include <stdint.h>

/*
 * flags and mode as open(2), resolve as openat2(2). Tried again when a rename or a mount somewhere
 * on the host made a step to ".." doubtful (EAGAIN), or a signal came, but not for ever. An fd, or
 * -1 and errno. Async-signal-safe.
 */
int zl_openat2(int dir_fd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

#endif
