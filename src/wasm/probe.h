// SPDX-License-Identifier: Apache-2.0
/*
 * What a file is and what it asks for, from its bytes alone: core module, component or text, its
 * imports and exports. Reads the sections' frames and names and no code (WebAssembly core
 * specification, chapter "Binary Format"; component-model Binary.md). Nothing is executed or
 * compiled, every length is checked, no memory is taken.
 */
#ifndef ZL_WASM_PROBE_H
#define ZL_WASM_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum probe_kind { PROBE_MODULE, PROBE_COMPONENT, PROBE_TEXT };

/* The magic, the version and the layer say it. INVALID: neither, and not text either. */
int probe_kind_of(const void *bytes, size_t n, enum probe_kind *ret, struct zl_error *err);

struct probe_name { /* borrowed from the bytes, not NUL-terminated, UTF-8 not checked */
    const char *v;
    size_t n;
};
struct probe_events { /* either may be NULL */
    /* what: "function", "memory", …; module is empty in a component */
    void (*import)(void *arg, struct probe_name module, struct probe_name name, const char *what);
    void (*export)(void *arg, struct probe_name name, const char *what);
};
struct probe {
    enum probe_kind kind;
    uint32_t sections, n_imports, n_exports;
    bool partial;   /* a section holds what this reader does not know: newer than it, or wrong */
    bool has_start; /* a core module: a function that runs when it is instantiated */
    bool has_memory;
    uint64_t memory_min, memory_max; /* pages of the first memory; max UINT64_MAX: none */
};

/* INVALID names the section and the offset where the file is cut off. Text is not looked into. */
int probe_bytes(const void *bytes, size_t n, const struct probe_events *on, void *arg,
                struct probe *ret, struct zl_error *err);

#endif
