// SPDX-License-Identifier: Apache-2.0
/*
 * Part of the disk is kept free, for the agent's own state and for whoever else lives there: a
 * fiftieth of it, 8 MiB at least and 1 GiB at most.
 */
#ifndef ZL_FETCH_ROOM_H
#define ZL_FETCH_ROOM_H

#include "base/error.h"

enum { ROOM_STEP = 1 << 20 };
/* Of the disk that fd is on; to be asked every ROOM_STEP bytes that are written. -1 SYSTEM, ENOSPC:
 * the part that is kept is reached. Thread-safe. */
int room_left(int fd, struct zl_error *err);

#endif
