// SPDX-License-Identifier: Apache-2.0
/* What lies beside an image as its signature: what is said to be signed, the signature in base64,
 * and a file that is said to be a key. Nothing is ever signed by the key of this file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/registry/signature.h"
#include "image/signed.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define DIGEST "sha256:" A16 A16 A16 A16
#define A16 "aaaaaaaaaaaaaaaa"

static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                          "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsKrjTcVn07pbkMMeIqTbTIPDngxj\n"
                          "9FpnN0z4zbNFKStgOz3DcRkbIc20YybXDTGzK+IFqB4eJ1ReS/8djq6SIg==\n"
                          "-----END PUBLIC KEY-----\n";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    zl_autofree char *text = strndup((const char *)bytes, len);
    char key[SIGNED_KEY_SIZE];
    struct zl_error err;
    if (!text)
        abort();
    if (signature_check_payload((const char *)bytes, len, DIGEST, &err) == 0 &&
        !strstr(text, "docker-manifest-digest"))
        abort();
    if (signature_verify(pem, bytes, len, text, &err) == 0)
        abort();
    if (signed_key_body(text, key, &err) == 0 && strpbrk(key, "\r\n -"))
        abort();
    (void)signature_verify(text, bytes, len, "AAAA", &err); /* must only not crash */
    return 0;
}
