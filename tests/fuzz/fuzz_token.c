// SPDX-License-Identifier: Apache-2.0
/* What a registry and a token server say: a challenge, and a token, which must be fit for a header.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/registry/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    zl_autobuf struct zl_buf token = ZL_BUF(TOKEN_MAX);
    zl_autofree char *text = strndup((const char *)bytes, len);
    struct challenge c;
    struct zl_error err;
    if (!text)
        abort();
    if (challenge_parse(text, &c) && (strpbrk(c.realm, "\r\n") || strpbrk(c.scope, "\r\n")))
        abort();
    if (token_parse((const char *)bytes, len, &token, &err) == 0 &&
        (!token.len || strpbrk(token.data, " \r\n")))
        abort();
    return 0;
}
