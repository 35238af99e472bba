// SPDX-License-Identifier: Apache-2.0
/* SHA-256 over a stream, written as OCI writes digests. */
#ifndef ZL_FETCH_DIGEST_H
#define ZL_FETCH_DIGEST_H

#include <stddef.h>

#include "base/error.h"

enum { DIGEST_SIZE = 7 + 64 + 1 }; /* "sha256:", hex, NUL */

struct digest;                                   /* a running sum */
struct digest *digest_new(struct zl_error *err); /* NULL: *err says why */
void digest_free(struct digest *d);
ZL_DEFINE_CLEANUP(struct digest *, digest_free)
#define autodigest ZL_CLEANUP(digest_freep)

int digest_add(struct digest *d, const void *bytes, size_t n, struct zl_error *err);
/* "sha256:…" of all that was added; d is only to be freed afterwards. */
int digest_end(struct digest *d, char out[DIGEST_SIZE], struct zl_error *err);
/* All three for one piece. */
int digest_of(const void *bytes, size_t n, char out[DIGEST_SIZE], struct zl_error *err);
/* Of what the input gives, which is read to its end. */
struct input;
int digest_of_input(const struct input *in, char out[DIGEST_SIZE], struct zl_error *err);
/* Whether the bytes have this digest, of any algorithm that zl_digest_valid() knows: 1 or 0. -1: it
 * is of another one, or cannot be computed. */
int digest_fits(const void *bytes, size_t n, const char *wanted, struct zl_error *err);

#endif
