// SPDX-License-Identifier: Apache-2.0
/* Files of credentials, and the order of zlayer-fetch. */
#include <stdint.h>
#include <stdlib.h>

#include "fetch/order.h"
#include "image/credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char *const registries[] = { "docker.io", "localhost:5000" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(registries); i++) {
        autocredentials struct credentials c = { 0 };
        zl_autofree char *helper = NULL;
        struct zl_error err;
        (void)credentials_parse((const char *)bytes, len, "config.json", registries[i], &c, &helper,
                                &err); /* must only not crash */
    }
    zl_autojson struct zl_json doc = { 0 };
    struct order order;
    struct zl_error err;
    if (order_parse((const char *)bytes, len, &doc, &order, &err) == 0 && !order.streams)
        abort();
    return 0;
}
