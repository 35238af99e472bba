// SPDX-License-Identifier: Apache-2.0
/*
 * From a module's bytes to code. Whoever calls it runs the compiler over foreign bytes: it is done
 * in a process of its own that holds nothing else (compile_fork), never in the one that forks.
 */
#ifndef ZL_WASM_COMPILE_H
#define ZL_WASM_COMPILE_H

#include "base/buf.h"
#include "wasm/cache.h"

enum { WASM_SOURCE_MAX = 512 << 20 };

/* Compiles binary or text into fd, a file of cache_begin(), and seals it. */
int compile_into(const void *bytes, size_t n, unsigned variant, int fd, struct zl_error *err);
/* Text as binary into fd; binary as it is. */
int compile_assemble(const void *bytes, size_t n, int fd, struct zl_error *err);
/* Whether it is well-formed and valid; for text: whether it can be assembled too. */
int compile_validate(const void *bytes, size_t n, struct zl_error *err);

struct confine_empty;
struct compiling {
    int source;  /* the module's bytes, a file */
    int out;     /* of cache_begin() */
    int problem; /* a pipe: what is wrong with the module is written to it */
    unsigned variant;
    const struct confine_empty *empty; /* where the process goes */
};
/* Forks a process that compiles and ends, with exit code 0 when `out` is sealed. Its pid, or -1.
 * The descriptors stay the caller's. */
int compile_fork(const struct compiling *c, struct zl_error *err);

#endif
