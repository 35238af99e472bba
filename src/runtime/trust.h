// SPDX-License-Identifier: Apache-2.0
/*
 * Which images have to be signed, and by whom: rules by the beginning of a name, of which the
 * longest that fits holds. The image itself is verified by zlayer-fetch, when it is pulled.
 */
#ifndef ZL_RUNTIME_TRUST_H
#define ZL_RUNTIME_TRUST_H

#include <jansson.h>

#include "base/imageref.h"
#include "image/store.h"

struct trust;

/*
 * rules: [{"prefix": "registry.example.net/team", "keys": [PEM, …]} or {"prefix", "unsigned":
 * true}, …]; a prefix is a registry, with or without the first parts of a repository, or "*", which
 * fits everything. Borrowed for the life of it; NULL: there are none. INVALID: a key is no key.
 */
int trust_new(const json_t *rules, struct trust **ret, struct zl_error *err);
void trust_free(struct trust *t);
ZL_DEFINE_CLEANUP(struct trust *, trust_free)

/* The keys, PEM in a JSON array, by one of which it has to be signed; NULL: by nobody. */
const json_t *trust_keys(const struct trust *t, const struct zl_imageref *ref);
/* All keys of all rules, each once: for images whose names are not known yet. A new array; NULL: no
 * memory. */
json_t *trust_all_keys(const struct trust *t);
/* Whether a signature by one of the keys is known of the manifest. keys NULL: yes. */
bool trust_is_met(const json_t *keys, struct image_store *images, const char *digest);

#endif
