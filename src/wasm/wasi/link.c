// SPDX-License-Identifier: Apache-2.0
/* The functions as a linker has them. */
#include <string.h>

#include "wasm/error.h"
#include "wasm/wasi/abi.h"
#include "wasm/wasi/wasi.h"

static const char module[] = "wasi_snapshot_preview1";

static const struct wasi_function *const tables[] = {
    wasi_process_functions, wasi_io_functions,   wasi_stat_functions, wasi_dir_functions,
    wasi_path_functions,    wasi_poll_functions, wasi_sock_functions,
};

/* The memory is the guest's export of that name, as the witx document demands. */
static bool find_memory(struct wasi *w, wasmtime_caller_t *caller)
{
    wasmtime_extern_t item;

    if (w->has_memory)
        return true;
    if (!wasmtime_caller_export_get(caller, "memory", strlen("memory"), &item))
        return false;
    w->has_memory = item.kind == WASMTIME_EXTERN_MEMORY;
    if (w->has_memory)
        w->memory = item.of.memory;
    else
        wasmtime_extern_delete(&item);
    return w->has_memory;
}

static wasm_trap_t *called(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *a, size_t n)
{
    const struct wasi_function *f = env;
    wasmtime_context_t *context = wasmtime_caller_context(caller);
    struct wasi *w = wasmtime_context_get_data(context);

    (void)n;
    w->base = NULL;
    w->size = 0;
    if (find_memory(w, caller)) {
        w->base = wasmtime_memory_data(context, &w->memory);
        w->size = wasmtime_memory_data_size(context, &w->memory);
    }
    w->trap = NULL;
    uint32_t rc = f->call(w, a);
    if (rc == WASI_TRAPS) {
        if (!w->has_memory)
            w->trap = "a system call needs the module's memory, which it does not export";
        else if (*w->expired)
            return wasmtime_trap_new_code(WASMTIME_TRAP_CODE_INTERRUPT);
        return wasmtime_trap_new(w->trap, strlen(w->trap));
    }
    a[0].i32 = (int32_t)rc; /* the place is there: each function has a parameter, or this result */
    return NULL;
}

static wasm_functype_t *type_of(const struct wasi_function *f)
{
    wasm_valtype_t *params[16], *results[1] = { wasm_valtype_new(WASM_I32) };
    wasm_valtype_vec_t in, out;
    size_t n = strcspn(f->params, "!");

    for (size_t i = 0; i < n; i++)
        params[i] = wasm_valtype_new(f->params[i] == 'I' ? WASM_I64 : WASM_I32);
    wasm_valtype_vec_new(&in, n, params);
    if (f->params[n] == '!') {
        wasm_valtype_delete(results[0]);
        wasm_valtype_vec_new_empty(&out);
    } else {
        wasm_valtype_vec_new(&out, 1, results);
    }
    return wasm_functype_new(&in, &out);
}

int wasi_define(wasmtime_linker_t *linker, struct zl_error *err)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(tables); i++)
        for (const struct wasi_function *f = tables[i]; f->name; f++) {
            wasm_functype_t *type = type_of(f);
            wasmtime_error_t *failed = wasmtime_linker_define_func_unchecked(
                linker, module, strlen(module), f->name, strlen(f->name), type, called,
                (void *)(uintptr_t)f, NULL);
            wasm_functype_delete(type);
            if (failed)
                return wasm_fail_consume(failed, err, "define '%s'", f->name);
        }
    return 0;
}
