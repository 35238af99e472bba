// SPDX-License-Identifier: Apache-2.0
/* Modules and components of anybody: what the prober says of them. */
#include "wasm/probe.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void touch(void *arg, struct probe_name module, struct probe_name name, const char *what)
{
    size_t *sum = arg;
    for (size_t i = 0; i < module.n; i++)
        *sum += (unsigned char)module.v[i];
    for (size_t i = 0; i < name.n; i++)
        *sum += (unsigned char)name.v[i];
    *sum += strlen(what);
}

static void touch_export(void *arg, struct probe_name name, const char *what)
{
    touch(arg, (struct probe_name){ 0 }, name, what);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const struct probe_events on = { touch, touch_export };
    struct probe p;
    struct zl_error err;
    size_t sum = 0;

    (void)probe_bytes(bytes, n, &on, &sum, &p, &err);
    return 0;
}
