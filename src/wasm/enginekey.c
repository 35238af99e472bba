// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/fd.h"
#include "base/hash.h"
#include "wasm/engine.h"

/* Raised whenever engine_new() sets anything differently. */
#define SETTINGS "1"

/* The line of the first processor; all have the same on what Linux runs on together. */
static uint64_t add_processor(uint64_t h)
{
    zl_autobuf struct zl_buf text = ZL_BUF(64 << 10);

    if (zl_read_file(AT_FDCWD, "/proc/cpuinfo", &text, NULL) < 0 && text.len == 0)
        return h; /* many processors: more than fits; the first is in it */
    static const char *const keys[] = { "\nflags", "\nFeatures" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(keys); i++) {
        const char *line = strstr(text.data, keys[i]);
        if (line)
            h = zl_hash_bytes(h, line + 1, strcspn(line + 1, "\n"));
    }
    return h;
}

void engine_key(unsigned variant, char out[ENGINE_KEY_SIZE])
{
    char text[256];
    struct utsname u;

    (void)uname(&u); /* cannot fail */
    int n = snprintf(text, sizeof text,
                     "wasmtime " WASMTIME_VERSION " settings " SETTINGS " variant %u on %s",
                     variant, u.machine);
    uint64_t h = zl_hash_bytes(ZL_HASH_START, text, (size_t)n);
    (void)snprintf(out, ENGINE_KEY_SIZE, "%016" PRIx64, add_processor(h));
}
