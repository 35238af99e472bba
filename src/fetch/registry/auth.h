// SPDX-License-Identifier: Apache-2.0
/*
 * Being let in by one host: Basic, or a bearer token from the token server that the host names
 * (distribution, token.md). What was obtained is used until the host refuses it.
 */
#ifndef ZL_FETCH_REGISTRY_AUTH_H
#define ZL_FETCH_REGISTRY_AUTH_H

#include "fetch/registry/http.h"

struct login { /* what is known of the user; NULL: not that. Borrowed */
    const char *username, *password;
    const char *identity_token; /* to be exchanged for tokens (OAuth 2 refresh token) */
    const char *registry_token; /* sent as it is */
};

struct auth {
    struct login login;
    const char *scope; /* "repository:team/app:pull" */
    const char *ca_pem;
    bool unverified, plain; /* how the host itself may be spoken to: plain: without TLS */
    char *header;           /* "Bearer …"; NULL: nothing yet */
};

void auth_done(struct auth *a);
/* Answers a 401: gets something better for a->header. -1 DENIED when there is nothing better; host
 * is for messages. */
int auth_answer(struct auth *a, struct http *h, const struct http_answer *refusal, const char *host,
                struct zl_error *err);

#endif
