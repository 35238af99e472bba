// SPDX-License-Identifier: Apache-2.0
#include "fetch/layer/verify.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "fetch/input.h"
#include "fetch/layer/layer.h"
#include "fetch/parallel.h"
#include "image/wasm.h"

struct verify {
    struct work *w;
    struct layer *layers;
    size_t n;
    uint32_t numbers[OCI_LAYERS_MAX];
    atomic_bool stop;
};

/* A document of the store, which must have the digest and size that lead to it. size 0: any. */
static int read_document(const struct work *w, const char *digest, uint64_t size,
                         struct zl_buf *out, struct zl_error *err)
{
    char found[DIGEST_SIZE];
    if (layout_read_blob(&w->store, digest, out, err) < 0 ||
        digest_of(out->data, out->len, found, err) < 0)
        return -1;
    if (strcmp(found, digest) != 0 || (size && out->len != size))
        return zl_fail(err, ZL_ERR_INVALID, "blob %s is damaged: %zu bytes with the digest %s",
                       digest, out->len, found);
    return 0;
}

static int open_blob(const struct work *w, const char *digest, struct zl_error *err)
{
    int fd = openat(w->store.blobs, layout_hex(digest), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : zl_fail_errno(err, "open blob %s", digest);
}

/* ---- an artifact: blobs only ----------------------------------------------------------------- */

static int verify_blob(const struct work *w, const struct oci_descriptor *d, struct zl_error *err)
{
    char found[DIGEST_SIZE];
    zl_autoclose int fd = open_blob(w, d->digest, err);
    if (fd < 0)
        return -1;
    ZL_CLEANUP(file_input_done) struct file_input file = FILE_INPUT(fd);
    const struct input in = file_input(&file);
    if (digest_of_input(&in, found, err) < 0)
        return -1;
    if (strcmp(found, d->digest) != 0)
        return zl_fail(err, ZL_ERR_INVALID, "blob %s is damaged: its digest is %s", d->digest,
                       found);
    return 0;
}

static int verify_blobs(const struct work *w, const struct oci_manifest *m, struct zl_error *err)
{
    if (verify_blob(w, &m->config, err) < 0)
        return -1;
    for (size_t i = 0; i < m->layers.n; i++) {
        if (verify_blob(w, &m->layers.v[i], err) < 0)
            return -1;
    }
    return 0;
}

/* ---- an image: layers ------------------------------------------------------------------------ */

static int unpack_again(void *arg, size_t i, struct zl_error *err)
{
    struct verify *v = arg;
    zl_autoclose int fd = open_blob(v->w, v->layers[i].digest, err);
    if (fd < 0)
        return -1;
    ZL_CLEANUP(file_input_done) struct file_input file = FILE_INPUT(fd);
    file.stop = &v->stop;
    const struct input in = file_input(&file);
    return layer_unpack(v->w, i, &in, &v->layers[i], err) < 0
               ? zl_wrap(err, "layer %zu of %zu", i + 1, v->n)
               : 0;
}

static int set_layers(struct verify *v, const struct oci_manifest *m,
                      const struct oci_image_config *c, const char *digest, struct zl_error *err)
{
    size_t listed;
    if (layout_read_layers(&v->w->store, digest, v->numbers, OCI_LAYERS_MAX, &listed, err) < 0)
        return -1;
    if (listed != m->layers.n || c->diff_ids.n != m->layers.n)
        return zl_fail(err, ZL_ERR_INVALID,
                       "it has %zu layers, its config lists %zu, and %zu are unpacked", m->layers.n,
                       c->diff_ids.n, listed);
    for (size_t i = 0; i < v->n; i++) {
        (void)snprintf(v->layers[i].digest, DIGEST_SIZE, "%s", m->layers.v[i].digest);
        (void)snprintf(v->layers[i].diff_id, DIGEST_SIZE, "%s", c->diff_ids.v[i]);
    }
    return 0;
}

static int verify_layers(struct verify *v, const struct oci_manifest *m,
                         const struct oci_image_config *c, const char *digest, struct zl_error *err)
{
    return set_layers(v, m, c, digest, err) < 0 ||
                   parallel(v->n, unpack_again, v, &v->stop, err) < 0
               ? -1
               : layers_compare(v->w, v->layers, v->n, v->numbers, err);
}

int verify_image(struct work *w, const char *digest, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX), config = ZL_BUF(OCI_DOCUMENT_MAX);
    autoreading struct reading r = READING, config_reading = READING;
    struct oci_manifest m;
    struct oci_image_config c;
    if (read_document(w, digest, 0, &text, err) < 0 ||
        reading_manifest(w->crew, &text, "the manifest", &r, &m, err) < 0)
        return -1;
    if (image_wasm_layer(&m))
        return verify_blobs(w, &m, err);
    if (read_document(w, m.config.digest, m.config.size, &config, err) < 0 ||
        reading_config(w->crew, &config, "the image config", &config_reading, &c, err) < 0)
        return -1;
    struct verify v = { .w = w, .n = m.layers.n, .layers = layers_new(m.layers.n, err) };
    int rc = v.layers ? verify_layers(&v, &m, &c, digest, err) : -1;
    layers_free(v.layers, v.n);
    return rc;
}
