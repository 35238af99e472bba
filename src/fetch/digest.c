// SPDX-License-Identifier: Apache-2.0
#include "fetch/digest.h"

#include <openssl/evp.h>
#include <stdio.h>

struct digest {
    EVP_MD_CTX *ctx;
};

static int fail(struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_INTERNAL, "OpenSSL cannot compute SHA-256");
}

struct digest *digest_new(struct zl_error *err)
{
    struct digest *d = calloc(1, sizeof *d);
    if (!d) {
        (void)zl_fail_errno(err, "compute a digest");
        return NULL;
    }
    d->ctx = EVP_MD_CTX_new();
    if (!d->ctx || !EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL)) {
        (void)fail(err);
        digest_free(d);
        return NULL;
    }
    return d;
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    free(d);
}

int digest_add(struct digest *d, const void *bytes, size_t n, struct zl_error *err)
{
    return EVP_DigestUpdate(d->ctx, bytes, n) ? 0 : fail(err);
}

int digest_end(struct digest *d, char out[DIGEST_SIZE], struct zl_error *err)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!EVP_DigestFinal_ex(d->ctx, sum, &n) || n != 32)
        return fail(err);
    char *p = out + sprintf(out, "sha256:"); /* 7 characters */
    for (unsigned i = 0; i < n; i++) {
        *p++ = hex[sum[i] >> 4];
        *p++ = hex[sum[i] & 15];
    }
    *p = '\0';
    return 0;
}

int digest_of(const void *bytes, size_t n, char out[DIGEST_SIZE], struct zl_error *err)
{
    autodigest struct digest *d = digest_new(err);
    if (!d || digest_add(d, bytes, n, err) < 0)
        return -1;
    return digest_end(d, out, err);
}
