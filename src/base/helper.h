// SPDX-License-Identifier: Apache-2.0
/*
 * Where the other programs of zlayer lie. Each is run by its own path, never by $PATH: an agent and
 * its helpers belong to one build. Looked for, first hit wins:
 *   1. $ZLAYER_LIBEXEC/<name>
 *   2. the directory of the running executable
 *   3. the configured libexecdir (/usr/local/libexec/zlayer)
 *   4. <directory of the running executable>/../<folder of the program's source>: a build tree
 */
#ifndef ZL_BASE_HELPER_H
#define ZL_BASE_HELPER_H

#include "base/error.h"

/*
 * The absolute path of an executable file called name ("zlayer-shim", "zlayer-fetch", "zlayerd"),
 * allocated into *ret. NOT_FOUND, naming the places, when there is none. Reads the environment:
 * to be called before threads change it.
 */
int zl_helper_path(const char *name, char **ret, struct zl_error *err);
/* The same for an executable that runs from elsewhere than its file: self is that file's path. */
int zl_helper_path_from(const char *self, const char *name, char **ret, struct zl_error *err);

#endif
