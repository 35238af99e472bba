// SPDX-License-Identifier: Apache-2.0
/* An image as people want to see it: what its documents say, and where its layers lie. */
#include <string.h>

#include "base/imageref.h"
#include "image/internal.h"

/* A document of the store as a JSON value; NULL: *err says why. The caller's. */
static json_t *read_document(struct image_store *s, const char *digest, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    json_error_t why;
    if (layout_read_blob(&s->layout, digest, &text, err) < 0)
        return NULL;
    json_t *v = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    if (!v)
        (void)zl_fail(err, ZL_ERR_INVALID, "%s: %s", digest, why.text);
    return v;
}

/* Every name that the index has for the manifest. */
static json_t *names_of(const struct oci_index *index, const char *digest)
{
    json_t *names = json_array();
    for (size_t i = 0; names && i < index->manifests.n; i++) {
        const struct oci_descriptor *d = &index->manifests.v[i];
        const char *name = oci_annotation(d, OCI_REF_NAME);
        if (name && strcmp(d->digest, digest) == 0)
            (void)json_array_append_new(names, json_string(name)); /* a name less is no lie */
    }
    return names;
}

/* The manifest's layers, each with its diff id and its folder if it is unpacked. */
static json_t *shape_layers(struct image_store *s, const char *digest, const json_t *manifest,
                            const json_t *config)
{
    uint32_t numbers[OCI_LAYERS_MAX];
    size_t n = 0, i;
    json_t *out = json_array(), *layer;
    const json_t *diff_ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
    if (layout_read_layers(&s->layout, digest, numbers, OCI_LAYERS_MAX, &n, NULL) < 0)
        n = 0;
    json_array_foreach(json_object_get(manifest, "layers"), i, layer)
    {
        json_t *row =
            json_pack("{s:O?, s:O?, s:O?, s:O?}", "media_type", json_object_get(layer, "mediaType"),
                      "digest", json_object_get(layer, "digest"), "size",
                      json_object_get(layer, "size"), "diff_id", json_array_get(diff_ids, i));
        if (row && i < n)
            (void)json_object_set_new(row, "number", json_integer(numbers[i])); /* or it lacks it */
        if (out && row)
            (void)json_array_append_new(out, row);
    }
    return out;
}

static json_t *shape(struct image_store *s, const struct oci_index *index, const char *digest,
                     const json_t *manifest, const json_t *config)
{
    return json_pack(
        "{s:s, s:o, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:o, s:O?}", "digest", digest, "references",
        names_of(index, digest), "media_type", json_object_get(manifest, "mediaType"),
        "annotations", json_object_get(manifest, "annotations"), "created_at",
        json_object_get(config, "created"), "architecture", json_object_get(config, "architecture"),
        "os", json_object_get(config, "os"), "config", json_object_get(config, "config"), "layers",
        shape_layers(s, digest, manifest, config), "history", json_object_get(config, "history"));
}

int image_inspect(struct image_store *s, const char *reference, json_t **ret, struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    struct oci_index index;
    if (image_read_index(s, &doc, &index, err) < 0)
        return -1;
    const struct oci_descriptor *d = image_lookup(&index, reference, err);
    json_t *manifest = d ? read_document(s, d->digest, err) : NULL;
    if (!manifest)
        return -1;
    const char *named =
        json_string_value(json_object_get(json_object_get(manifest, "config"), "digest"));
    json_t *config = named && zl_digest_valid(named) && strncmp(named, "sha256:", 7) == 0
                         ? read_document(s, named, err)
                         : NULL;
    int rc = config ? 0 : zl_wrap(err, "inspect image '%s'", reference);
    if (rc == 0 && !(*ret = shape(s, &index, d->digest, manifest, config)))
        rc = zl_fail(err, ZL_ERR_SYSTEM, "inspect image '%s': out of memory", reference);
    json_decref(manifest);
    json_decref(config);
    return rc;
}
