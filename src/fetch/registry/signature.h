// SPDX-License-Identifier: Apache-2.0
/*
 * Signatures as cosign makes them with a key: beside repository@sha256:<hex> lies the tag
 * sha256-<hex>.sig, a manifest whose layers are signed payloads ("simple signing"), each with its
 * signature in an annotation. Nothing but the key and what the registry has is asked. Source:
 * sigstore/cosign specs/SIGNATURE_SPEC.md; containers/image docs/containers-signature.5.
 */
#ifndef ZL_FETCH_REGISTRY_SIGNATURE_H
#define ZL_FETCH_REGISTRY_SIGNATURE_H

#include "base/json.h"
#include "fetch/crew/crew.h"
#include "fetch/registry/talk.h"
#include "image/document.h"

/* Whether signature, base64, is that of n bytes by the key, PEM: ECDSA or RSA (PKCS #1 v1.5, 2048
 * bits and more) with SHA-256, or Ed25519. 0; -1 DENIED: it is not; INVALID: no such key. */
int signature_verify(const char *pem, const void *bytes, size_t n, const char *signature,
                     struct zl_error *err);
/* Whether the payload is about the manifest with this digest. 0, or -1 and why not. */
int signature_check_payload(const char *bytes, size_t n, const char *digest, struct zl_error *err);

/* Fills out with the blob that d names, checked against it. */
typedef int (*signature_read_fn)(void *arg, const struct oci_descriptor *d, struct zl_buf *out,
                                 struct zl_error *err);
/* Whether a manifest, text, has a signature of digest by one of the keys; ret: which. 0, or -1. */
int signature_check_manifest(const struct crew *c, const struct zl_buf *text,
                             const struct zl_strs *keys, const char *digest, signature_read_fn read,
                             void *arg, const char **ret, struct zl_error *err);

/* Whether one of n_digests, which all mean the same image, is signed in the repository by one of
 * the keys; ret: which. -1 DENIED: it is not, and the reason; whatever kept us from knowing is a
 * failure, too. */
int signature_check(const struct crew *c, struct talk *t, const struct zl_strs *keys,
                    const char *const *digests, size_t n_digests, const char **ret,
                    struct zl_error *err);

#endif
