// SPDX-License-Identifier: Apache-2.0
/* What the keeper takes from a hand that has read a document: the first byte says which kind, the
 * rest is what the hand may say if the document took it over. And what an honest hand says of any
 * bytes at all, which is to be taken. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/crew/reading.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

union document {
    struct oci_index index;
    struct oci_manifest manifest;
    struct oci_image_config config;
    struct docker_images docker;
};

static size_t look_at_texts(const struct zl_strs *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += strlen(s->v[i]); /* each is there, and ends */
    return n;
}

static void look_at(const struct oci_descriptors *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const char *name = oci_annotation(&d->v[i], OCI_REF_NAME);
        if (!oci_digest_valid(d->v[i].digest) || d->v[i].size > INT64_MAX)
            abort();
        (void)strlen(name ? name : ""); /* it ends */
    }
}

static void look(enum reading_kind kind, const union document *d)
{
    if (kind == READING_INDEX)
        look_at(&d->index.manifests);
    if (kind == READING_MANIFEST) {
        look_at(&d->manifest.layers);
        if (!d->manifest.layers.n || d->manifest.layers.n > OCI_LAYERS_MAX)
            abort();
    }
    if (kind == READING_CONFIG)
        (void)(look_at_texts(&d->config.diff_ids) + look_at_texts(&d->config.config.entrypoint));
    for (size_t i = 0; kind == READING_DOCKER && i < d->docker.n; i++)
        (void)(strlen(d->docker.v[i].config) + look_at_texts(&d->docker.v[i].names) +
               look_at_texts(&d->docker.v[i].layers));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct zl_error err;
    union document lied, honest;
    autoreading struct reading liar = READING, reading = READING;
    if (!len)
        return 0;
    enum reading_kind kind = bytes[0] % READING_KINDS;
    zl_buf_add(&liar.found, bytes + 1, len - 1);
    if (reading_take(kind, &liar, &lied, &err) == 0)
        look(kind, &lied);
    if (reading_find(kind, (const char *)bytes + 1, len - 1, "it", &reading.found, &err) < 0)
        return 0;
    if (reading_take(kind, &reading, &honest, &err) < 0)
        abort();
    look(kind, &honest);
    return 0;
}
