// SPDX-License-Identifier: Apache-2.0
/*
 * Changing the index: read, change a copy, replace the file, all under the lock. Entries of other
 * tools and annotations we do not know are kept.
 */
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/imageref.h"
#include "image/internal.h"

static int write_index(struct image_store *s, const json_t *root, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    if (zl_json_dump(root, JSON_INDENT(1), &text, err) < 0)
        return -1;
    return zl_write_atomic(s->layout.images, LAYOUT_INDEX, text.data, text.len, 0600, true, err);
}

static bool has_name(const json_t *entry, const char *normalized)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(entry, "annotations"), OCI_REF_NAME));
    return name && strcmp(name, normalized) == 0;
}

/* Drops the entries with this name. */
static void drop_name(json_t *manifests, const char *normalized)
{
    for (size_t i = json_array_size(manifests); i > 0; i--) {
        if (has_name(json_array_get(manifests, i - 1), normalized))
            (void)json_array_remove(manifests, i - 1); /* the index is in range */
    }
}

static int normalize(const char *reference, char out[ZL_IMAGEREF_MAX], struct zl_error *err)
{
    const char *why;
    if (zl_imageref_normalize(reference, out, &why) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not an image reference: %s", reference, why);
    return 0;
}

/* Whether the manifest and the list of its layers are there; its size. */
static int check_stored(struct image_store *s, const char *digest, uint64_t *size,
                        struct zl_error *err)
{
    struct stat st;
    uint32_t layers[OCI_LAYERS_MAX];
    size_t n;
    if (strncmp(digest, "sha256:", 7) != 0 || !zl_digest_valid(digest))
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not a sha256 digest", digest);
    if (fstatat(s->layout.blobs, layout_hex(digest), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no manifest %s in the store", digest);
    *size = (uint64_t)st.st_size;
    return layout_read_layers(&s->layout, digest, layers, OCI_LAYERS_MAX, &n, err);
}

int image_tag(struct image_store *s, const char *reference, const char *digest,
              struct zl_error *err)
{
    char name[ZL_IMAGEREF_MAX];
    uint64_t size = 0;
    zl_autojson struct zl_json doc = { 0 };
    struct oci_index index;
    if (normalize(reference, name, err) < 0)
        return -1;
    zl_autoclose int lock = layout_lock(&s->layout, LAYOUT_LOCK, LOCK_EX, err);
    if (lock < 0 || check_stored(s, digest, &size, err) < 0 ||
        image_read_index(s, &doc, &index, err) < 0)
        return zl_wrap(err, "tag '%s'", reference);

    json_t *manifests = json_object_get(doc.root, "manifests");
    drop_name(manifests, name);
    json_t *entry = json_pack("{s:s, s:s, s:I, s:{s:s}}", "mediaType", OCI_MANIFEST_TYPE, "digest",
                              digest, "size", (json_int_t)size, "annotations", OCI_REF_NAME, name);
    if (!entry || json_array_append_new(manifests, entry) < 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "tag '%s': out of memory", reference);
    return write_index(s, doc.root, err);
}

/* The index without the entry that reference means: all of its names when it is a digest. */
static int forget(struct image_store *s, json_t *root, const struct oci_descriptor *d,
                  struct zl_error *err)
{
    json_t *manifests = json_object_get(root, "manifests");
    const char *name = oci_annotation(d, OCI_REF_NAME);
    if (name) {
        drop_name(manifests, name);
    } else {
        for (size_t i = json_array_size(manifests); i > 0; i--) {
            const json_t *digest = json_object_get(json_array_get(manifests, i - 1), "digest");
            if (strcmp(json_string_value(digest), d->digest) == 0)
                (void)json_array_remove(manifests, i - 1); /* the index is in range */
        }
    }
    return write_index(s, root, err);
}

int image_remove(struct image_store *s, const char *reference,
                 int (*in_use)(void *arg, uint32_t layer), void *arg, struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 }, left_doc = { 0 };
    struct oci_index index, left;
    zl_autoclose int lock = layout_lock(&s->layout, LAYOUT_LOCK, LOCK_EX, err);
    const struct oci_descriptor *d = NULL;
    if (lock >= 0 && image_read_index(s, &doc, &index, err) == 0)
        d = image_lookup(&index, reference, err);
    if (!d || forget(s, doc.root, d, err) < 0 || image_read_index(s, &left_doc, &left, err) < 0 ||
        image_collect(s, &left, in_use, arg, err) < 0)
        return zl_wrap(err, "remove image '%s'", reference);
    return 0;
}
