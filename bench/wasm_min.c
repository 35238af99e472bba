// SPDX-License-Identifier: Apache-2.0
/*
 * The smallest host of wasmtime's C API, to measure against: one process a run, with wasmtime's own
 * WASI, without any limit, namespace or cgroup.
 *
 *   wasm-min compile MODULE OUT
 *   wasm-min run COMPILED
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wasmtime.h>

static void check(wasmtime_error_t *error)
{
    wasm_byte_vec_t message;
    int code;

    if (!error)
        return;
    if (wasmtime_error_exit_status(error, &code))
        exit(code);
    wasmtime_error_message(error, &message);
    (void)fprintf(stderr, "wasm-min: %.*s\n", (int)message.size, message.data);
    exit(125);
}

static void compile(wasm_engine_t *engine, const char *in, const char *out)
{
    static char bytes[32 << 20];
    wasmtime_module_t *module;
    wasm_byte_vec_t code;
    FILE *f = fopen(in, "rbe");

    if (!f)
        exit(125);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    (void)fclose(f);
    check(wasmtime_module_new(engine, (const uint8_t *)bytes, n, &module));
    check(wasmtime_module_serialize(module, &code));
    f = fopen(out, "wbe");
    if (!f || fwrite(code.data, 1, code.size, f) != code.size || fclose(f) != 0)
        exit(125);
}

static void run(wasm_engine_t *engine, const char *path)
{
    wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_context_t *context = wasmtime_store_context(store);
    wasmtime_linker_t *linker = wasmtime_linker_new(engine);
    wasi_config_t *wasi = wasi_config_new();
    wasmtime_module_t *module;
    wasmtime_instance_t instance;
    wasmtime_extern_t start;
    wasm_trap_t *trap = NULL;

    wasi_config_inherit_stdout(wasi);
    check(wasmtime_context_set_wasi(context, wasi));
    check(wasmtime_linker_define_wasi(linker));
    check(wasmtime_module_deserialize_file(engine, path, &module));
    check(wasmtime_linker_instantiate(linker, context, module, &instance, &trap));
    if (trap || !wasmtime_instance_export_get(context, &instance, "_start", 6, &start))
        exit(125);
    check(wasmtime_func_call(context, &start.of.func, NULL, 0, NULL, 0, &trap));
    exit(trap ? 134 : 0);
}

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();

    if (argc == 4 && strcmp(argv[1], "compile") == 0)
        compile(engine, argv[2], argv[3]);
    else if (argc == 3 && strcmp(argv[1], "run") == 0)
        run(engine, argv[2]);
    else
        return 2;
    return 0;
}
