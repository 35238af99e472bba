// SPDX-License-Identifier: Apache-2.0
/* Image references. The normalized form of what is accepted is accepted, and is its own. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/imageref.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char once[ZL_IMAGEREF_MAX], twice[ZL_IMAGEREF_MAX];
    const char *why = NULL;
    zl_autofree char *text = calloc(1, len + 1);
    if (!text)
        return 0;
    memcpy(text, bytes, len);
    if (zl_imageref_normalize(text, once, &why) < 0) {
        if (!why)
            abort();
        return 0;
    }
    if (zl_imageref_normalize(once, twice, &why) < 0 || strcmp(once, twice) != 0)
        abort();
    return 0;
}
