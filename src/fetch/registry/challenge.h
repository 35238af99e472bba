// SPDX-License-Identifier: Apache-2.0
/*
 * What a registry wants to know before it answers: one WWW-Authenticate header (RFC 9110, 11.6.1)
 * of the schemes Basic and Bearer, and the answer of a token server (distribution, token.md).
 */
#ifndef ZL_FETCH_REGISTRY_CHALLENGE_H
#define ZL_FETCH_REGISTRY_CHALLENGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct challenge {
    enum { CHALLENGE_OTHER, CHALLENGE_BASIC, CHALLENGE_BEARER } scheme;
    char realm[512], service[256], scope[512]; /* "" when not said */
};

enum { TOKEN_MAX = 64 * 1024 }; /* of a token and of the answer that it came in */

/* False: it is malformed, or a part of it is too long. */
bool challenge_parse(const char *header, struct challenge *ret);

/* Appends the token of n bytes of JSON, which is checked to be fit for a header. */
int token_parse(const char *bytes, size_t n, struct zl_buf *token, struct zl_error *err);

#endif
