// SPDX-License-Identifier: Apache-2.0
/*
 * What zlayer-fetch says on stdout while it works: one JSON object a line.
 *   {"status":"layer","digest":"sha256:…","current":N,"total":N}     digest null while not known
 *   {"status":"image","digest":"sha256:…","reference":"…"}   one of several is in the store; the
 *                                                            reference is null when it has none
 *   {"status":"verified","digest":"sha256:…","reference":"…","damage":null}
 *   {"status":"done","digest":"sha256:…","reference":"…","resolved":"sha256:…"}   the last line,
 *                     exit 0; resolved, of a pull, is what the reference means: perhaps an index
 *   {"status":"error","kind":"invalid","message":"…"}                the last line, exit 1
 * When nobody reads any more, SIGPIPE ends the program; what it leaves, the next one removes.
 */
#ifndef ZL_FETCH_PROGRESS_H
#define ZL_FETCH_PROGRESS_H

#include <stdint.h>

#include "base/error.h"

struct progress {
    const char *digest; /* of the layer in hand; NULL: not known before its end */
    uint64_t current, total, last_ms;
};

/* Bytes of the layer; prints at most ten lines a second, and one when current reaches total. */
void progress_layer(struct progress *p, uint64_t more);
void progress_image(const char *digest, const char *reference);
/* damage: what is wrong with it; NULL: nothing. */
void progress_verified(const char *digest, const char *reference, const char *damage);
/* resolved NULL: not said. */
void progress_done(const char *digest, const char *reference, const char *resolved);
void progress_error(const struct zl_error *cause);

#endif
