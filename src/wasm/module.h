// SPDX-License-Identifier: Apache-2.0
/*
 * Compiled modules, loaded: mapped from the cache and linked with what the host offers, so that an
 * instance needs nothing but memory of its own. Loading runs nothing of the guest. A fork has all
 * that was loaded before it.
 */
#ifndef ZL_WASM_MODULE_H
#define ZL_WASM_MODULE_H

#include "wasm/cache.h"
#include "wasm/engine.h"

/* How the guest is entered, the first that it exports; runtimes reference: "Entry points". */
enum module_entry {
    ENTRY_START,     /* _start: () → () */
    ENTRY_MAIN,      /* main: () → () */
    ENTRY_MAIN_CODE, /* main: () → i32 */
    ENTRY_MAIN_ARGS, /* main: (i32 argc, i32 argv) → i32 */
    ENTRY_RUN,       /* a component's wasi:cli/run */
    ENTRY_HTTP,      /* a component's wasi:http/incoming-handler */
};

enum { MODULE_FDS_MAX = 16 };
struct zl_component;
struct module {
    struct module *next;
    char digest[65];
    unsigned variant;
    enum module_entry entry;
    bool has_start;          /* instantiating it runs its start function */
    wasm_engine_t *engine;   /* borrowed */
    wasmtime_module_t *code; /* of a core module; else NULL */
    wasmtime_instance_pre_t *pre;
    struct zl_component *component; /* else NULL */
    int fds[MODULE_FDS_MAX]; /* the engine's own, from which it maps memory for each instance */
    size_t n_fds;
};

/* Engines and linkers by variant, made when first needed, and every module that was loaded. */
struct modules {
    wasm_engine_t *engines[WASM_VARIANTS];
    wasmtime_linker_t *linkers[WASM_VARIANTS];
    struct module *first; /* used last, first */
    size_t n;
};
enum { MODULES_MAX = 256 }; /* more are loaded when the longest unused one is dropped */

struct module *modules_find(struct modules *m, const char *digest, unsigned variant);
/*
 * From a verified entry of the cache. INVALID: it imports what nobody offers, or exports nothing to
 * start at; UNSUPPORTED: a component, and this build has none. The name is for messages.
 */
int modules_load(struct modules *m, const char *digest, unsigned variant, int fd,
                 const struct cache_entry *entry, struct module **ret, struct zl_error *err);
void modules_done(struct modules *m);

#endif
