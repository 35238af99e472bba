// SPDX-License-Identifier: Apache-2.0
/* A response of whoever answers a health probe, or of an agent that is none. The first byte says in
 * how large pieces it arrives. */
#include <stddef.h>
#include <stdint.h>

#include "base/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    zl_autohttp1 struct zl_http1 *h = NULL;
    if (n == 0 || zl_http1_new(bytes[0] & 1, 4096, &h, NULL) < 0)
        return 0;
    size_t step = bytes[0] / 2 + 1, used = 0;
    int rc = 0;
    for (size_t at = 1; rc == 0 && at < n; at += step) {
        size_t piece = n - at < step ? n - at : step;
        rc = zl_http1_feed(h, (const char *)bytes + at, piece, &used, NULL);
        (void)zl_http1_header(h, "Content-Length");
        if (used > piece)
            __builtin_trap();
    }
    if (rc == 0)
        (void)zl_http1_feed(h, "", 0, NULL, NULL);
    return 0;
}
