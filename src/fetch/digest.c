// SPDX-License-Identifier: Apache-2.0
#include "fetch/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "fetch/input.h"

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

static void write_hex(char *out, const unsigned char *sum, unsigned n)
{
    static const char hex[] = "0123456789abcdef";
    for (unsigned i = 0; i < n; i++) {
        *out++ = hex[sum[i] >> 4];
        *out++ = hex[sum[i] & 15];
    }
    *out = '\0';
}

int digest_end(struct digest *d, char out[DIGEST_SIZE], struct zl_error *err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!EVP_DigestFinal_ex(d->ctx, sum, &n) || n != 32)
        return fail(err);
    write_hex(out + sprintf(out, "sha256:"), sum, n); /* 7 characters */
    return 0;
}

int digest_of(const void *bytes, size_t n, char out[DIGEST_SIZE], struct zl_error *err)
{
    autodigest struct digest *d = digest_new(err);
    if (!d || digest_add(d, bytes, n, err) < 0)
        return -1;
    return digest_end(d, out, err);
}

int digest_of_input(const struct input *in, char out[DIGEST_SIZE], struct zl_error *err)
{
    autodigest struct digest *d = digest_new(err);
    const void *bytes;
    ssize_t n;
    if (!d)
        return -1;
    while ((n = in->read(in->arg, &bytes, err)) > 0)
        if (digest_add(d, bytes, (size_t)n, err) < 0)
            return -1;
    return n < 0 ? -1 : digest_end(d, out, err);
}

int digest_fits(const void *bytes, size_t n, const char *wanted, struct zl_error *err)
{
    const struct {
        const char *prefix;
        const EVP_MD *kind;
    } kinds[] = { { "sha256:", EVP_sha256() },
                  { "sha384:", EVP_sha384() },
                  { "sha512:", EVP_sha512() } };
    for (size_t i = 0; i < ZL_ARRAY_LEN(kinds); i++) {
        size_t prefix = strlen(kinds[i].prefix);
        unsigned char sum[EVP_MAX_MD_SIZE];
        char found[2 * EVP_MAX_MD_SIZE + 1];
        unsigned size = 0;
        if (strncmp(wanted, kinds[i].prefix, prefix) != 0)
            continue;
        if (!EVP_Digest(bytes, n, sum, &size, kinds[i].kind, NULL))
            return zl_fail(err, ZL_ERR_INTERNAL, "OpenSSL cannot compute %s", wanted);
        write_hex(found, sum, size);
        return strcmp(wanted + prefix, found) == 0;
    }
    return zl_fail(err, ZL_ERR_UNSUPPORTED, "the digest %.100s is of no known algorithm", wanted);
}
