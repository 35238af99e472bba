// SPDX-License-Identifier: Apache-2.0
/* What `run` does for WebAssembly before it makes a container. */
#ifndef ZL_CLI_IMAGE_WASM_H
#define ZL_CLI_IMAGE_WASM_H

#include "cli/cli.h"

enum cli_runtime { CLI_RUNTIME_AUTO, CLI_RUNTIME_NATIVE, CLI_RUNTIME_WASM };

/*
 * What is to be run, an image's name or the path of a module, becomes the name of an image: a
 * module is imported as localhost/NAME:HASH, text is assembled before. INVALID when it is not what
 * the runtime runs. Allocated.
 */
int wasm_resolve(struct cli *cli, const char *what, enum cli_runtime runtime, char **ret,
                 struct zl_error *err);

#endif
