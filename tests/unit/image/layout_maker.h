// SPDX-License-Identifier: Apache-2.0
/* OCI image layouts made in a test, of layers that are archives in memory. */
#ifndef ZL_TEST_IMAGE_LAYOUT_MAKER_H
#define ZL_TEST_IMAGE_LAYOUT_MAKER_H

#include "shelf.h"

#include "base/json.h"
#include "image/document.h"

struct maker {
    int dir, blobs;
    json_t *layers, *diff_ids, *manifests;
};

static inline struct maker maker_open(struct shelf *s, const char *name)
{
    struct zl_error err;
    char blobs[100];
    struct maker m = { .layers = json_array(),
                       .diff_ids = json_array(),
                       .manifests = json_array() };
    (void)snprintf(blobs, sizeof blobs, "%s/blobs/sha256", name);
    m.blobs = zl_mkdir_p(s->dir.fd, blobs, 0755, &err);
    m.dir = zl_open_dir(s->dir.fd, name, &err);
    assert_true(m.blobs >= 0 && m.dir >= 0);
    return m;
}

static inline json_t *maker_blob(struct maker *m, const char *type, const void *bytes, size_t n)
{
    struct zl_error err;
    char digest[DIGEST_SIZE];
    assert_int_equal(digest_of(bytes, n, digest, &err), 0);
    assert_int_equal(zl_write_atomic(m->blobs, digest + 7, bytes, n, 0644, false, &err), 0);
    return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size", (json_int_t)n);
}

/* Ends t; plain archives only, so that the diff id is the digest. */
static inline void maker_layer(struct maker *m, struct tarball *t)
{
    tar_end(t);
    json_t *d = maker_blob(m, OCI_LAYER_TYPE, t->bytes, t->n);
    tarball_free(t);
    assert_int_equal(json_array_append(m->diff_ids, json_object_get(d, "digest")), 0);
    assert_int_equal(json_array_append_new(m->layers, d), 0);
}

static inline json_t *maker_document(struct maker *m, const char *type, json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT);
    assert_non_null(text);
    json_t *d = maker_blob(m, type, text, strlen(text));
    free(text);
    json_decref(document);
    return d;
}

/* The image of the layers so far, which are forgotten: a descriptor of its manifest. */
static inline json_t *maker_manifest(struct maker *m, const char *architecture)
{
    json_t *config = maker_document(
        m, OCI_CONFIG_TYPE,
        json_pack("{s:s, s:s, s:s, s:{s:[s], s:[ss], s:[s], s:s, s:s, s:s}, s:{s:s, s:o}}",
                  "created", "2024-05-06T07:08:09Z", "architecture", architecture, "os", "linux",
                  "config", "Entrypoint", "/init", "Cmd", "-a", "b", "Env", "PATH=/bin", "User",
                  "app", "WorkingDir", "/srv", "StopSignal", "SIGINT", "rootfs", "type", "layers",
                  "diff_ids", m->diff_ids));
    json_t *d = maker_document(m, OCI_MANIFEST_TYPE,
                               json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType",
                                         OCI_MANIFEST_TYPE, "config", config, "layers", m->layers));
    m->layers = json_array();
    m->diff_ids = json_array();
    return d;
}

static inline void maker_name(struct maker *m, json_t *descriptor, const char *name)
{
    if (name)
        assert_int_equal(
            json_object_set_new(descriptor, "annotations", json_pack("{s:s}", OCI_REF_NAME, name)),
            0);
    assert_int_equal(json_array_append_new(m->manifests, descriptor), 0);
}

static inline void maker_close(struct maker *m)
{
    struct zl_error err;
    json_t *index = json_pack("{s:i, s:o}", "schemaVersion", 2, "manifests", m->manifests);
    char *text = json_dumps(index, JSON_COMPACT);
    assert_non_null(text);
    assert_int_equal(zl_write_atomic(m->dir, "index.json", text, strlen(text), 0644, false, &err),
                     0);
    free(text);
    json_decref(index);
    json_decref(m->layers);
    json_decref(m->diff_ids);
    (void)close(m->dir);
    (void)close(m->blobs);
}

#endif
