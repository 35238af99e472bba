// SPDX-License-Identifier: Apache-2.0
#include "wasm/engine.h"

#include <sys/resource.h>

enum { STACK_MAX = 4 << 20, STACK_OF_HOST = 1 << 20 };

/* How deep a guest may call: half of the stack that its process has, so that what it calls of ours
 * has room as well. The engine's own half a megabyte is too little for what others compile: Go's
 * tests of its library need more. Memory is used only by who goes so deep. */
static size_t stack_size(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur / 2 > STACK_MAX)
        return STACK_MAX;
    return (size_t)limit.rlim_cur / 2;
}

wasm_engine_t *engine_new(unsigned variant)
{
    wasm_config_t *c = wasm_config_new();

    wasmtime_config_epoch_interruption_set(c, variant & WASM_EPOCHS);
    wasmtime_config_consume_fuel_set(c, variant & WASM_FUEL);
    /* Nobody unwinds through a guest: traps are told by frame pointers. Without the tables loading
     * is faster and the code smaller. */
    wasmtime_config_native_unwind_info_set(c, false);
    wasmtime_config_max_wasm_stack_set(c, stack_size());
    wasmtime_config_async_stack_size_set(c, stack_size() + STACK_OF_HOST); /* of components */
    return wasm_engine_new_with_config(c);
}
