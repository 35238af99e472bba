// SPDX-License-Identifier: Apache-2.0
#include "fetch/registry/signature.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "image/layout.h"

enum { PAYLOAD_MAX = 64 * 1024, SIGNATURE_MAX = 2048, RSA_BITS_MIN = 2048 };
#define PAYLOAD_TYPE "application/vnd.dev.cosign.simplesigning.v1+json"
#define CRITICAL_TYPE "cosign container image signature"

/* ---- keys --------------------------------------------------------------------------------- */

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}
#define autokey ZL_CLEANUP(free_key)

static void free_context(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}
#define autocontext ZL_CLEANUP(free_context)

static EVP_PKEY *read_key(const char *pem)
{
    BIO *text = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = text ? PEM_read_bio_PUBKEY(text, NULL, NULL, NULL) : NULL;
    (void)BIO_free(text); /* frees nothing of ours */
    return key;
}

/* What the bytes are summed with before they are signed. False: no kind of key that we take. */
static bool hash_of(const EVP_PKEY *key, const EVP_MD **ret)
{
    const struct {
        int kind;
        const EVP_MD *hash; /* NULL: the kind has its own */
    } kinds[] = { { EVP_PKEY_EC, EVP_sha256() },
                  { EVP_PKEY_RSA, EVP_sha256() },
                  { EVP_PKEY_ED25519, NULL } };
    for (size_t i = 0; i < ZL_ARRAY_LEN(kinds); i++) {
        *ret = kinds[i].hash;
        if (EVP_PKEY_base_id(key) == kinds[i].kind)
            return kinds[i].kind != EVP_PKEY_RSA || EVP_PKEY_bits(key) >= RSA_BITS_MIN;
    }
    return false;
}

/* The number of bytes, or -1: it is no base64, or too long. */
static int decode(const char *text, unsigned char out[SIGNATURE_MAX])
{
    size_t n = strlen(text), padding = 0;
    if (!n || n % 4 || n / 4 * 3 > SIGNATURE_MAX)
        return -1;
    while (padding < 2 && text[n - 1 - padding] == '=')
        padding++;
    int length = EVP_DecodeBlock(out, (const unsigned char *)text, (int)n);
    return length < 0 ? -1 : length - (int)padding;
}

int signature_verify(const char *pem, const void *bytes, size_t n, const char *signature,
                     struct zl_error *err)
{
    unsigned char raw[SIGNATURE_MAX];
    const EVP_MD *hash;
    autokey EVP_PKEY *key = read_key(pem);
    autocontext EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx)
        return zl_fail(err, ZL_ERR_SYSTEM, "verify a signature: out of memory");
    if (!key || !hash_of(key, &hash))
        return zl_fail(err, ZL_ERR_INVALID,
                       "the key is no public key of ECDSA, of RSA with %d bits or more, or of "
                       "Ed25519",
                       RSA_BITS_MIN);
    int length = decode(signature, raw);
    if (length < 0)
        return zl_fail(err, ZL_ERR_DENIED, "its signature is not base64");
    if (EVP_DigestVerifyInit(ctx, NULL, hash, NULL, key) != 1)
        return zl_fail(err, ZL_ERR_INTERNAL, "OpenSSL cannot verify with this key");
    if (EVP_DigestVerify(ctx, raw, (size_t)length, bytes, n) != 1)
        return zl_fail(err, ZL_ERR_DENIED, "its signature is not of a key that is trusted");
    return 0;
}

/* ---- the payload -------------------------------------------------------------------------- */

struct payload {
    const char *type, *digest;
};

static int decode_members(const struct zl_json_at *at, const struct zl_field *f, void *out,
                          struct zl_error *err)
{
    return zl_json_members(at, f->detail, out, err);
}

/* clang-format off */
static const struct zl_field image_fields[] = {
    { "docker-manifest-digest", zl_json_string, offsetof(struct payload, digest), ZL_REQUIRED, NULL },
    { 0 },
};
static const struct zl_field critical_fields[] = {
    { "type",  zl_json_string, offsetof(struct payload, type), ZL_REQUIRED, NULL },
    { "image", decode_members, 0, ZL_REQUIRED, image_fields },
    { 0 },
};
static const struct zl_field payload_fields[] = {
    { "critical", decode_members, 0, ZL_REQUIRED, critical_fields },
    { 0 },
};
/* clang-format on */

int signature_check_payload(const char *bytes, size_t n, const char *digest, struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    struct payload p = { NULL, NULL };
    if (zl_json_parse(&doc, bytes, n, "what is signed", err) < 0 ||
        zl_json_decode(&doc, payload_fields, &p, err) < 0)
        return -1;
    if (strcmp(p.type, CRITICAL_TYPE) != 0)
        return zl_fail(err, ZL_ERR_DENIED, "what is signed is no image, but a '%.100s'", p.type);
    if (strcmp(p.digest, digest) != 0)
        return zl_fail(err, ZL_ERR_DENIED, "the signature is of another image, %.100s", p.digest);
    return 0;
}

/* ---- a manifest of signatures ------------------------------------------------------------- */

struct reader {
    signature_read_fn read;
    void *arg;
};

static int check_by_keys(const struct zl_strs *keys, const struct zl_buf *payload,
                         const char *signature, const char **ret, struct zl_error *err)
{
    for (size_t i = 0; i < keys->n; i++) {
        if (signature_verify(keys->v[i], payload->data, payload->len, signature, err) == 0) {
            *ret = keys->v[i];
            return 0;
        }
        if (err->kind != ZL_ERR_DENIED)
            return -1;
    }
    return -1;
}

/* One of the signatures. What is not by a key that we trust is not even parsed. */
static int check_one(const struct reader *r, const struct oci_descriptor *d,
                     const struct zl_strs *keys, const char *digest, const char **ret,
                     struct zl_error *err)
{
    zl_autobuf struct zl_buf payload = ZL_BUF(PAYLOAD_MAX);
    const char *signature = oci_annotation(d, COSIGN_SIGNATURE);
    const char *key = NULL;
    if (!d->media_type || strcmp(d->media_type, PAYLOAD_TYPE) != 0 || !signature)
        return zl_fail(err, ZL_ERR_DENIED, "what lies there is no signature of cosign");
    if (d->size > PAYLOAD_MAX)
        return zl_fail(err, ZL_ERR_DENIED, "what is signed is larger than %d bytes", PAYLOAD_MAX);
    if (r->read(r->arg, d, &payload, err) < 0 ||
        check_by_keys(keys, &payload, signature, &key, err) < 0 ||
        signature_check_payload(payload.data, payload.len, digest, err) < 0)
        return -1;
    *ret = key;
    return 0;
}

int signature_check_manifest(const struct crew *c, const struct zl_buf *text,
                             const struct zl_strs *keys, const char *digest, signature_read_fn read,
                             void *arg, const char **ret, struct zl_error *err)
{
    autoreading struct reading found = READING;
    const struct reader r = { read, arg };
    struct oci_manifest m;
    if (reading_manifest(c, text, "the signatures", &found, &m, err) < 0)
        return -1;
    for (size_t i = 0; i < m.layers.n; i++) {
        if (check_one(&r, &m.layers.v[i], keys, digest, ret, err) == 0)
            return 0;
    }
    return -1; /* the last one's reason; there is one: a manifest has layers */
}

/* ---- the registry ------------------------------------------------------------------------- */

static int read_from_registry(void *arg, const struct oci_descriptor *d, struct zl_buf *out,
                              struct zl_error *err)
{
    return talk_document(arg, d->digest, d->size, out, err);
}

static int check_digest(const struct crew *c, struct talk *t, const struct zl_strs *keys,
                        const char *digest, const char **ret, struct zl_error *err)
{
    char tag[80], own[DIGEST_SIZE], type[128];
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    (void)snprintf(tag, sizeof tag, "sha256-%s.sig", layout_hex(digest)); /* fits: 64 digits */
    if (talk_manifest(t, tag, &text, own, type, err) < 0)
        return -1;
    return signature_check_manifest(c, &text, keys, digest, read_from_registry, t, ret, err);
}

int signature_check(const struct crew *c, struct talk *t, const struct zl_strs *keys,
                    const char *const *digests, size_t n_digests, const char **ret,
                    struct zl_error *err)
{
    for (size_t i = 0; i < n_digests; i++) {
        if (check_digest(c, t, keys, digests[i], ret, err) == 0)
            return 0;
        if (err->kind != ZL_ERR_NOT_FOUND)
            return -1;
    }
    return zl_fail(err, ZL_ERR_DENIED, "it is not signed: its repository has no sha256-%s.sig",
                   layout_hex(digests[0]));
}
