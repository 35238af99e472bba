// SPDX-License-Identifier: Apache-2.0
#include "wasm/engine.h"

wasm_engine_t *engine_new(unsigned variant)
{
    wasm_config_t *c = wasm_config_new();

    wasmtime_config_epoch_interruption_set(c, variant & WASM_EPOCHS);
    wasmtime_config_consume_fuel_set(c, variant & WASM_FUEL);
    /* Nobody unwinds through a guest: traps are told by frame pointers. Without the tables loading
     * is faster and the code smaller. */
    wasmtime_config_native_unwind_info_set(c, false);
    return wasm_engine_new_with_config(c);
}
