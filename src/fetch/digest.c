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

int digest_new(struct digest **ret, struct zl_error *err)
{
    autodigest struct digest *d = calloc(1, sizeof *d);
    if (!d)
        return zl_fail_errno(err, "compute a digest");
    d->ctx = EVP_MD_CTX_new();
    if (!d->ctx || !EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL))
        return fail(err);
    *ret = zl_take_ptr(d);
    return 0;
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
    autodigest struct digest *d = NULL;
    if (digest_new(&d, err) < 0 || digest_add(d, bytes, n, err) < 0)
        return -1;
    return digest_end(d, out, err);
}
