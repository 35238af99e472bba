// SPDX-License-Identifier: Apache-2.0
/* A WebAssembly file becomes an artifact as registries hold them: one layer, the module as it is.
 */
#ifndef ZL_FETCH_IMPORT_WASMFILE_H
#define ZL_FETCH_IMPORT_WASMFILE_H

#include "fetch/import/import.h"

/* Whether the file begins as a core module or a component does. */
bool wasmfile_is(int fd);
/* Stores it, called after the last component of the source's path. */
int wasmfile_import(struct work *w, const struct source *s, import_fn done, void *arg,
                    struct zl_error *err);

#endif
