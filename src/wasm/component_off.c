// SPDX-License-Identifier: Apache-2.0
/* Instead of component.c and rust/src where components are not built in. */
#include "wasm/component.h"

wasmtime_error_t *zl_component_load(const wasm_engine_t *engine, const char *path,
                                    struct zl_component **ret, unsigned *ret_worlds)
{
    (void)engine;
    (void)path;
    (void)ret;
    (void)ret_worlds;
    return wasmtime_error_new("components are not part of this build (meson option "
                              "wasm_components)");
}

void zl_component_free(struct zl_component *c)
{
    (void)c;
}

int component_compile(wasm_engine_t *engine, const void *bytes, size_t n, wasm_byte_vec_t *ret,
                      struct zl_error *err)
{
    (void)engine;
    (void)bytes;
    (void)n;
    (void)ret;
    return zl_fail(err, ZL_ERR_UNSUPPORTED,
                   "it is a component, and components are not part of this build (meson option "
                   "wasm_components)");
}

/* What follows is of a component, and none was ever loaded. */
int component_prepare(struct instance *i, const struct component_terms *terms, struct zl_error *err)
{
    (void)i;
    (void)terms;
    return zl_fail(err, ZL_ERR_UNSUPPORTED, "components are not part of this build");
}

wasmtime_error_t *zl_component_run(const struct zl_component_ready *r, int *ret_code)
{
    (void)r;
    (void)ret_code;
    return wasmtime_error_new("components are not part of this build");
}

wasmtime_error_t *component_serve(const struct instance *i)
{
    int code;

    (void)i;
    return zl_component_run(NULL, &code);
}

void zl_store_limit(wasmtime_store_t *store, uint64_t max_memory, uint64_t max_tables,
                    void (*refused)(uint64_t bytes), uint64_t *counter)
{
    (void)refused; /* the C API refuses in silence, and does not tell what it grants */
    (void)counter;
    enum { TABLES = 8, ANY = 1000 };
    /* nor does it know sums: one memory, and each table a part */
    wasmtime_store_limiter(store, max_memory ? (int64_t)max_memory : -1,
                           max_tables ? (int64_t)(max_tables / TABLES) : -1, 1,
                           max_tables ? TABLES : ANY, max_memory ? 1 : ANY);
}
