// SPDX-License-Identifier: Apache-2.0
/*
 * WebAssembly guests, each held by a monitor that `zlayer-wasm host` forks. To this side a guest is
 * a container whose monitor comes from elsewhere: records, connections and all operations but
 * CREATE, PULL and EXEC are the native runtime's own.
 */
#ifndef ZL_RUNTIME_WASM_H
#define ZL_RUNTIME_WASM_H

#include "runtime/native.h"

#define WASM_EPOCH_DEADLINE_DEFAULT 1000000 /* ticks of 10 ms */
#define WASM_MAX_EXECUTION_MS_DEFAULT (3600 * 1000)

struct wasm_config {           /* zeros: the defaults of all */
    const char *cache_dir;     /* compiled modules; NULL: <root_dir>/wasm */
    bool disable_epochs;       /* a guest that computes can only be killed then */
    uint64_t epoch_deadline;   /* in ticks of 10 ms */
    uint64_t max_execution_ms; /* of what is expected to end: jobs, cron jobs, `zlayer run` */
    bool unlimited;            /* no limit of time by default: max_execution_ms is not looked at */
};

/* Nothing is started before the first guest. Both are read during the call only. */
int wasm_new(const struct native_config *cfg, const struct wasm_config *wasm, struct runtime **ret,
             struct zl_error *err);
/* Whether this service of this image is a guest; the image wins, except that a service of a wasm_*
 * type is one whatever its image turns out to be. */
bool wasm_is_for(const struct spec_service *service, const struct image *image);

#endif
