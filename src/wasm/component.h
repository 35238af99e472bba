// SPDX-License-Identifier: Apache-2.0
/*
 * Components (WASI 0.2), of which wasmtime's C API offers too little: running wasi:cli/run with a
 * filter of addresses, serving wasi:http/incoming-handler, hosts that may be asked. Implemented in
 * rust/src. What is started here has threads (tokio): only in the process that is the guest's.
 */
#ifndef ZL_WASM_COMPONENT_H
#define ZL_WASM_COMPONENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wasmtime.h>

struct zl_component;
enum { ZL_COMPONENT_RUN = 1, ZL_COMPONENT_HTTP = 2 };

/* Limits of a core module's store, as wasmtime_store_limiter; 0: none. `refused` is told when the
 * guest asked for memory past its limit and was told no. */
void zl_store_limit(wasmtime_store_t *store, uint64_t max_memory, uint64_t max_tables,
                    void (*refused)(uint64_t bytes));

/* From compiled code at path. *ret_worlds: what it exports of the two. NULL and a text in why. */
struct zl_component *zl_component_load(const wasm_engine_t *engine, const char *path,
                                       unsigned *ret_worlds, char *why, size_t why_size);
void zl_component_free(struct zl_component *c);

struct zl_component_preopen {
    const char *host_path, *guest_path; /* opened by zl_component_prepare */
    bool readonly;
};
struct zl_component_how {                 /* borrowed until zl_component_prepare returns */
    const char *const *argv, *const *env; /* NULL-terminated */
    const struct zl_component_preopen *preopens;
    size_t n_preopens;
    const char *const *allowed_hosts; /* NULL-terminated "host" or "host:port"; empty: all */
    bool outgoing_http, tcp, udp;
    uint64_t max_memory, max_tables; /* bytes, elements; 0: no limit */
    uint64_t fuel;                   /* 0: unlimited */
    uint64_t request_timeout_ms;     /* of one HTTP request; 0: none */
    uint32_t max_requests;           /* served at once */
};

/* Makes what needs the host's paths. NULL and a text in why. */
struct zl_component_ready *zl_component_prepare(const struct zl_component *c,
                                                const struct zl_component_how *how, char *why,
                                                size_t why_size);
/* wasi:cli/run to its end: its exit code, or -1 and the trap's text in why. */
int zl_component_run(struct zl_component_ready *r, char *why, size_t why_size);
/* Serves HTTP/1 on these listening sockets for ever; returns only with an error in why. */
int zl_component_serve(struct zl_component_ready *r, const int *sockets, size_t n_sockets,
                       char *why, size_t why_size);

#endif
