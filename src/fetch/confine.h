// SPDX-License-Identifier: Apache-2.0
/*
 * What zlayer-fetch gives up before it looks at the first foreign byte. It reads archives and
 * documents that anybody may have made, with libraries that had bugs; after confine() a bug in them
 * owns a process that sees the state folder and nothing else, and can do
 * little but unpack.
 */
#ifndef ZL_FETCH_CONFINE_H
#define ZL_FETCH_CONFINE_H

#include "base/error.h"

/*
 * A file system that holds nothing but the folder `root`, which becomes the current one, is "/" in
 * a mount namespace of its own; no new privileges; of the
 * capabilities those that unpacking needs stay; memory is limited; system calls that unpacking
 * never makes fail. What is needed from elsewhere must be open. Needs root.
 */
int confine(const char *root, struct zl_error *err);
/* The same for one who talks with registries: it keeps sockets, and finds the resolver's files of
 * this host, as they are now, in /etc. */
int confine_with_network(const char *root, struct zl_error *err);

#endif
