// SPDX-License-Identifier: Apache-2.0
/* In place of rust/src in a build without components (meson option wasm_components). */
#include <stdio.h>

#include "wasm/component.h"

struct zl_component *zl_component_load(const wasm_engine_t *engine, const char *path,
                                       unsigned *ret_worlds, char *why, size_t why_size)
{
    (void)engine;
    (void)path;
    (void)ret_worlds;
    (void)snprintf(why, why_size,
                   "components are not part of this build (meson option wasm_components)");
    return NULL;
}

void zl_component_free(struct zl_component *c)
{
    (void)c;
}

struct zl_component_ready *zl_component_prepare(const struct zl_component *c,
                                                const struct zl_component_how *how, char *why,
                                                size_t why_size)
{
    unsigned worlds;

    (void)c;
    (void)how;
    (void)zl_component_load(NULL, NULL, &worlds, why, why_size);
    return NULL;
}

int zl_component_run(struct zl_component_ready *r, char *why, size_t why_size)
{
    (void)r;
    (void)why;
    (void)why_size;
    return -1; /* none was ever loaded */
}

int zl_component_serve(struct zl_component_ready *r, const int *sockets, size_t n_sockets,
                       char *why, size_t why_size)
{
    (void)sockets;
    (void)n_sockets;
    return zl_component_run(r, why, why_size);
}

void zl_store_limit(wasmtime_store_t *store, uint64_t max_memory, uint64_t max_tables,
                    void (*refused)(uint64_t bytes))
{
    (void)refused; /* the C API refuses in silence */
    wasmtime_store_limiter(store, max_memory ? (int64_t)max_memory : -1,
                           max_tables ? (int64_t)max_tables : -1, 1, 64, 8);
}
