// SPDX-License-Identifier: Apache-2.0
/* A file of a module, for the commands that look at one. */
#ifndef ZL_WASM_FILE_H
#define ZL_WASM_FILE_H

#include <stddef.h>

#include "base/error.h"

struct wasm_file { /* mapped, read-only */
    void *bytes;
    size_t n;
};
int wasm_file_open(const char *path, struct wasm_file *ret, struct zl_error *err);
void wasm_file_close(struct wasm_file *f);

/* commands.c: `zlayer-wasm info|validate|compile`, of which `zlayer wasm` is the front. The exit
 * code: 0, 1 it is wrong, 125 it could not be looked at. */
int command_info(const char *path);
int command_validate(const char *path);
int command_compile(const char *path, const char *out);
int command_assemble(const char *path, const char *out); /* text to binary */
/* direct.c: `zlayer-wasm direct [OPTION…] FILE [ARG…]`: the guest in this very process, without
 * agent, cgroup or namespaces: for tests and measuring. */
int command_direct(int argc, char **argv);

#endif
