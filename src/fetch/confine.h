// SPDX-License-Identifier: Apache-2.0
/*
 * What zlayer-fetch gives up before it looks at the first foreign byte. It reads archives and
 * documents that anybody may have made, with libraries that had bugs; after confine() a bug in them
 * owns a process that sees the store and nothing else, and can do little but unpack.
 */
#ifndef ZL_FETCH_CONFINE_H
#define ZL_FETCH_CONFINE_H

#include "base/error.h"

/*
 * The folder `root` becomes "/" in a mount namespace of its own; no new privileges; of the
 * capabilities those that unpacking needs stay; memory is limited; system calls that unpacking
 * never makes fail. What is needed from elsewhere must be open. Needs root.
 */
int confine(const char *root, struct zl_error *err);

#endif
