// SPDX-License-Identifier: Apache-2.0
/*
 * Components (WASI 0.2), of which wasmtime's C API offers too little: running wasi:cli/run with a
 * filter of addresses, serving wasi:http/incoming-handler, asking other hosts. zl_… is in rust/src.
 * What is started here has threads (tokio): only in the process that is the guest's.
 */
#ifndef ZL_WASM_COMPONENT_H
#define ZL_WASM_COMPONENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wasmtime.h>

#include "base/error.h"

enum { ZL_COMPONENT_TICK_MS = 10 }; /* of the epoch, by which a request's time is counted */
struct zl_component;
enum { ZL_COMPONENT_RUN = 1, ZL_COMPONENT_HTTP = 2 };

/* Limits of a core module's store, as wasmtime_store_limiter; 0: none. `refused` is told when the
 * guest asked for memory past its limit and was told no. What it has is counted up and down at
 * `counter`, in bytes and atomically; NULL: it is not counted. */
void zl_store_limit(wasmtime_store_t *store, uint64_t max_memory, uint64_t max_tables,
                    void (*refused)(uint64_t bytes), uint64_t *counter);

/* From compiled code at path, into *ret, which is NULL before. *ret_worlds: what it exports of the
 * two. */
wasmtime_error_t *zl_component_load(const wasm_engine_t *engine, const char *path,
                                    struct zl_component **ret, unsigned *ret_worlds);
void zl_component_free(struct zl_component *c);

#define ZL_COMPONENT_NO_TIMEOUT (UINT64_MAX / 4)
struct zl_component_how {
    /* Arguments, environment, streams, network, and the folders when they are asked for: a new one
     * each time. From any thread, without folders after the first time. */
    wasi_config_t *(*config)(void *arg, bool with_folders);
    void (*failed)(void *arg, wasmtime_error_t *failed); /* an HTTP request did, which frees it */
    /* Whether a request may go out to this host, n bytes of text. From any thread, as the next. */
    bool (*may_ask)(void *arg, const char *host, size_t n, uint16_t port);
    /* A request begins to run, or has run. Between the two the epoch has to go on, tick by tick. */
    void (*busy)(void *arg, bool begins);
    void *arg;
    bool tcp, udp;
    uint64_t max_memory, max_tables; /* bytes, elements; 0: no limit */
    uint64_t fuel;                   /* 0: unlimited */
    uint64_t request_timeout_ms;     /* of one HTTP request, up to ZL_COMPONENT_NO_TIMEOUT */
    uint32_t max_requests;           /* served at once, at least 1 */
    uint64_t *counter;               /* as above, of all its stores */
};
/* Makes what needs the host's paths; how is read during the call, what it points to later. */
struct zl_component_ready *zl_component_prepare(const struct zl_component *c,
                                                const struct zl_component_how *how);
/* wasi:cli/run to its end. An error that is no trap may be an exit (wasmtime_error_exit_status). */
wasmtime_error_t *zl_component_run(const struct zl_component_ready *r, int *ret_code);
/* Serves HTTP/1 on these sockets, which listen and do not block, for ever; returns only with an
 * error. */
wasmtime_error_t *zl_component_serve(struct zl_component_ready *r, const int *sockets,
                                     size_t n_sockets);

/* ---- component.c: the same from an instance, whose `component` it fills ---- */

struct component_terms {
    const char *const *allowed_hosts; /* NULL-terminated "host" or "host:port"; NULL, empty: all */
    bool outgoing_http, tcp, udp;
    uint64_t request_timeout_ms; /* 0: none */
    uint32_t max_requests;       /* 0: 1 */
};
struct instance;
/* Its code, to be kept. UNSUPPORTED: this build has no components. */
int component_compile(wasm_engine_t *engine, const void *bytes, size_t n, wasm_byte_vec_t *ret,
                      struct zl_error *err);
/* Needs /proc; everything that i points to stays until the guest's end. */
int component_prepare(struct instance *i, const struct component_terms *terms,
                      struct zl_error *err);
/* zl_component_serve on i's sockets, with what counts the time of requests: a thread that sleeps
 * while none runs. */
wasmtime_error_t *component_serve(const struct instance *i);

#endif
