// SPDX-License-Identifier: Apache-2.0
/*
 * Who has signed an image, as zlayer-fetch found when it pulled it: images/signed/<hex> of the
 * manifest has the public keys, one a line, each as the body of its PEM without line breaks. The
 * agent compares them with the keys that it demands, which takes no cryptography.
 */
#ifndef ZL_IMAGE_SIGNED_H
#define ZL_IMAGE_SIGNED_H

#include "image/layout.h"

enum { SIGNED_KEY_SIZE = 2048 }; /* RSA of 8192 bits has 1412 characters */

/* From "-----BEGIN PUBLIC KEY-----" to the end of it. INVALID: it is no such text, or too long. */
int signed_key_body(const char *pem, char ret[SIGNED_KEY_SIZE], struct zl_error *err);

/* False also when that cannot be read. */
bool signed_is_by(const struct layout *l, const char *digest, const char *key_body);
/* Adds a key to those that are noted; durable. */
int signed_note(const struct layout *l, const char *digest, const char *key_body,
                struct zl_error *err);

#endif
