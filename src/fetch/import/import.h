// SPDX-License-Identifier: Apache-2.0
/* Images from local files and folders into the store. */
#ifndef ZL_FETCH_IMPORT_IMPORT_H
#define ZL_FETCH_IMPORT_IMPORT_H

#include <limits.h>

#include "fetch/import/source.h"
#include "fetch/layer/layer.h"

/* Told of each image that is in the store now, by the digest of its manifest; names are what the
 * source calls it, NULL-terminated. -1 stops. */
typedef int (*import_fn)(void *arg, const char *digest, const char *const *names,
                         struct zl_error *err);

/* All store what s holds; the index is not touched, naming is the agent's. A source of several
 * images is CONFLICT unless it says which, or `all` is asked for. */
int import_rootfs(struct work *w, const struct source *s, import_fn done, void *arg,
                  struct zl_error *err);
int import_layout(struct work *w, const struct source *s, bool all, import_fn done, void *arg,
                  struct zl_error *err);
int import_docker(struct work *w, const struct source *s, bool all, import_fn done, void *arg,
                  struct zl_error *err);
/* The one of these, or wasmfile_import(), that the source is for. */
int import_source(struct work *w, struct source *s, bool all, import_fn done, void *arg,
                  struct zl_error *err);

/* What importers share: an image whose config is known, and its layers from parts of a source. */
struct import_job {
    struct work *w;
    const struct source *s;
    struct layer *layers;    /* digest and diff_id as far as they are known */
    char (*paths)[PATH_MAX]; /* of each layer, in the source */
    size_t n;
    atomic_bool stop;
};
/* Unpacks those that the store does not have, side by side, and adds their blobs. */
int import_layers(struct import_job *j, struct zl_error *err);
/* Stores a JSON document that was made here; takes it. */
int import_put_document(struct work *w, json_t *document, char digest[DIGEST_SIZE], uint64_t *size,
                        struct zl_error *err);
/* A manifest of these layers, which have digests, sizes and types. */
int import_put_manifest(struct work *w, const char *config, uint64_t config_size,
                        const struct layer *layers, size_t n, char digest[DIGEST_SIZE],
                        struct zl_error *err);
/* The layers and everything that was added become part of the store. */
int import_commit(struct work *w, const char *digest, struct layer *layers, size_t n,
                  struct zl_error *err);

int import_check_platform(const struct oci_image_config *c, struct zl_error *err);

#endif
