// SPDX-License-Identifier: Apache-2.0
/*
 * What a user is known by at a registry, from where Docker and the containers tools keep it. The
 * first that knows the registry:
 *   1. $ZLAYER_REGISTRY_USERNAME and $ZLAYER_REGISTRY_PASSWORD, for the registry $ZLAYER_REGISTRY,
 *      or when that is not set the default one ($ZLAYER_DEFAULT_REGISTRY, docker.io)
 *   2. $REGISTRY_AUTH_FILE
 *   3. $DOCKER_CONFIG/config.json, $HOME/.docker/config.json
 *   4. $XDG_RUNTIME_DIR/containers/auth.json, $HOME/.config/containers/auth.json
 * A file may name a helper (credHelpers, credsStore), a program docker-credential-<name> of $PATH.
 */
#ifndef ZL_IMAGE_CREDENTIALS_H
#define ZL_IMAGE_CREDENTIALS_H

#include <stddef.h>

#include "base/error.h"

struct credentials { /* owned; NULL: not that */
    char *username, *password;
    char *identity_token; /* of Docker: to be exchanged for access tokens */
};

void credentials_done(struct credentials *c);
static inline void credentials_donep(struct credentials *c)
{
    credentials_done(c);
}
#define autocredentials ZL_CLEANUP(credentials_donep)

/* registry: as references name it, "docker.io". All NULL in ret: nobody knows it, which is no
 * error; a file that cannot be read or a helper that fails is. */
int credentials_find(const char *registry, struct credentials *ret, struct zl_error *err);

/* Keeps them where credentials_find() looks, in the first of the files 2 and 3, or in its helper.
 * where (of size bytes): what to say about that. */
int credentials_keep(const char *registry, const struct credentials *c, char *where, size_t size,
                     struct zl_error *err);
/* Takes them out of there. NOT_FOUND: they were not. */
int credentials_forget(const char *registry, struct zl_error *err);

/* Of one document, for tests and fuzzing: what the file says itself, and the helper it names. */
int credentials_parse(const char *bytes, size_t n, const char *what, const char *registry,
                      struct credentials *ret, char **helper, struct zl_error *err);

#endif
