// SPDX-License-Identifier: Apache-2.0
/*
 * The engine's settings. Compiled code belongs to exactly one of them: whoever compiles and whoever
 * runs make their engine here.
 */
#ifndef ZL_WASM_ENGINE_H
#define ZL_WASM_ENGINE_H

#include <wasmtime.h>

enum wasm_variant { /* bits */
                    WASM_EPOCHS =
                        1, /* the guest looks at each loop and call whether its time is over */
                    WASM_FUEL =
                        2, /* it counts its instructions: slower, for services with max_fuel */
                    WASM_VARIANTS = 4
};

/* Never NULL: the engine ends the process when it cannot be made. */
wasm_engine_t *engine_new(unsigned variant);

enum { ENGINE_KEY_SIZE = 17 };
/* What compiled code depends on beside the module, hashed: the engine's version, the variant, the
 * processor and its features. */
void engine_key(unsigned variant, char out[ENGINE_KEY_SIZE]);

#endif
