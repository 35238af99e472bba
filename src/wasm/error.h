// SPDX-License-Identifier: Apache-2.0
/* Errors and traps of the engine as ours: one line each, the cause last. */
#ifndef ZL_WASM_ERROR_H
#define ZL_WASM_ERROR_H

#include <wasmtime.h>

#include "base/buf.h"

/* "<act>: <what the engine says>"; frees `failed`. Returns -1. */
int wasm_fail_consume(wasmtime_error_t *failed, struct zl_error *err, const char *act, ...)
    ZL_PRINTF(3, 4);

/*
 * Why the guest ended, as a person reads it: the words of the trap in the first line, then the
 * guest's stack, a line a frame: "wasm trap: unreachable\n  0: inner (0x3c)\n…". Frees the trap.
 */
void wasm_trap_text_consume(wasm_trap_t *trap, struct zl_buf *out);
/* The same of an error of a component's call, which may be a trap or not. Frees it. */
void wasm_error_text_consume(wasmtime_error_t *failed, struct zl_buf *out);
/* Whether time was over (an interrupt); the trap stays the caller's. */
bool wasm_trap_is_interrupt(const wasm_trap_t *trap);

#endif
