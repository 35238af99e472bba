// SPDX-License-Identifier: Apache-2.0
/*
 * A module on wasmtime's own WASI preview 1, with the options of `zlayer-wasm direct`: what ours is
 * compared with.
 *
 *   wasi-reference [--env K=V] [--dir HOST::GUEST[::ro]] MODULE [ARG…]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wasmtime.h>

enum { BROKEN = 125, TRAPPED = 134, MODULE_MAX = 32 << 20, ENV_MAX = 64, ARGS_MAX = 64 };

static void check(wasmtime_error_t *error, wasm_trap_t *trap)
{
    wasm_byte_vec_t message;
    int code;

    if (error && wasmtime_error_exit_status(error, &code))
        exit(code);
    if (!error && !trap)
        return;
    if (error)
        wasmtime_error_message(error, &message);
    else
        wasm_trap_message(trap, &message);
    (void)fprintf(stderr, "wasi-reference: %.*s\n", (int)message.size, message.data);
    exit(trap ? TRAPPED : BROKEN);
}

static wasmtime_module_t *load(wasm_engine_t *engine, const char *path)
{
    static char bytes[MODULE_MAX];
    wasmtime_module_t *module;
    FILE *f = fopen(path, "rbe");

    if (!f)
        exit(BROKEN);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    (void)fclose(f);
    check(wasmtime_module_new(engine, (const uint8_t *)bytes, n, &module), NULL);
    return module;
}

struct environment {
    const char *names[ENV_MAX], *values[ENV_MAX];
    size_t n;
};

static void take_option(wasi_config_t *config, struct environment *env, const char *name,
                        char *value)
{
    char *split = strstr(value, strcmp(name, "--dir") == 0 ? "::" : "=");

    if (!split || env->n == ENV_MAX)
        exit(BROKEN);
    *split = '\0';
    if (strcmp(name, "--dir") == 0) {
        char *guest = split + 2, *mode = strstr(guest, "::");
        if (mode)
            *mode = '\0';
        if (!wasi_config_preopen_dir(config, value, guest, !mode))
            exit(BROKEN);
    } else {
        env->names[env->n] = value;
        env->values[env->n++] = split + 1;
    }
}

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();
    wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_context_t *context = wasmtime_store_context(store);
    wasmtime_linker_t *linker = wasmtime_linker_new(engine);
    wasi_config_t *config = wasi_config_new();
    struct environment env = { 0 };
    wasmtime_instance_t instance;
    wasmtime_extern_t start;
    wasm_trap_t *trap = NULL;
    int i = 1;

    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2)
        take_option(config, &env, argv[i], argv[i + 1]);
    if (i >= argc || argc - i > ARGS_MAX)
        return BROKEN;
    const char *args[ARGS_MAX]; /* with const, as the engine wants them */
    for (int k = i; k < argc; k++)
        args[k - i] = argv[k];
    (void)wasi_config_set_argv(config, (size_t)(argc - i), args);
    (void)wasi_config_set_env(config, env.n, env.names, env.values);
    wasi_config_inherit_stdin(config);
    wasi_config_inherit_stdout(config);
    wasi_config_inherit_stderr(config);
    check(wasmtime_context_set_wasi(context, config), NULL);
    check(wasmtime_linker_define_wasi(linker), NULL);
    wasmtime_module_t *module = load(engine, argv[i]);
    check(wasmtime_linker_instantiate(linker, context, module, &instance, &trap), trap);
    if (!wasmtime_instance_export_get(context, &instance, "_start", strlen("_start"), &start))
        return BROKEN;
    wasmtime_error_t *failed = wasmtime_func_call(context, &start.of.func, NULL, 0, NULL, 0, &trap);
    check(failed, trap);
    wasmtime_module_delete(module);
    wasmtime_linker_delete(linker);
    wasmtime_store_delete(store);
    wasm_engine_delete(engine);
    return 0;
}
