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
#include "image/collect.h"

static int write_index(struct image_store *s, const json_t *root, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    if (zl_json_dump(root, JSON_INDENT(1), &text, err) < 0)
        return -1;
    return zl_write_atomic(s->layout.images, LAYOUT_INDEX, text.data, text.len, 0600, true, err);
}

static const char *name_in(const json_t *entry)
{
    return json_string_value(json_object_get(json_object_get(entry, "annotations"), OCI_REF_NAME));
}

static const char *digest_in(const json_t *entry)
{
    const char *digest = json_string_value(json_object_get(entry, "digest"));
    return digest ? digest : ""; /* the index was decoded: there is one */
}

static bool has_name(const json_t *entry, const char *normalized)
{
    const char *name = name_in(entry);
    return name && strcmp(name, normalized) == 0;
}

/* NULL: it is not known. */
static const char *resolved_in(const json_t *entry)
{
    return json_string_value(
        json_object_get(json_object_get(entry, "annotations"), IMAGE_RESOLVED));
}

/* Whether this name means this manifest already, for this reason. */
static bool is_named(const json_t *manifests, const char *normalized, const char *digest,
                     const char *resolved)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(manifests, i, entry)
    {
        if (!has_name(entry, normalized))
            continue;
        const char *known = resolved_in(entry);
        return strcmp(digest_in(entry), digest) == 0 &&
               strcmp(known ? known : "", resolved ? resolved : "") == 0;
    }
    return false;
}

/* Drops the entries with this name. */
static void drop_name(json_t *manifests, const char *normalized)
{
    for (size_t i = json_array_size(manifests); i > 0; i--) {
        if (has_name(json_array_get(manifests, i - 1), normalized))
            (void)json_array_remove(manifests, i - 1); /* the index is in range */
    }
}

static size_t count_digest(const json_t *manifests, const char *digest)
{
    size_t i, n = 0;
    const json_t *entry;
    json_array_foreach(manifests, i, entry)
    {
        n += strcmp(digest_in(entry), digest) == 0;
    }
    return n;
}

/* Takes the name away; an image that has no other one stays, nameless. */
static void unname(json_t *manifests, const char *normalized)
{
    for (size_t i = json_array_size(manifests); i > 0; i--) {
        json_t *entry = json_array_get(manifests, i - 1);
        if (!has_name(entry, normalized))
            continue;
        if (count_digest(manifests, digest_in(entry)) > 1)
            (void)json_array_remove(manifests, i - 1); /* the index is in range */
        else
            (void)json_object_del(json_object_get(entry, "annotations"), OCI_REF_NAME); /* it is */
    }
}

/* Drops entries of this manifest that have no name: it gets one. */
static void drop_unnamed(json_t *manifests, const char *digest)
{
    for (size_t i = json_array_size(manifests); i > 0; i--) {
        const json_t *entry = json_array_get(manifests, i - 1);
        if (!name_in(entry) && strcmp(digest_in(entry), digest) == 0)
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
              const char *resolved, struct zl_error *err)
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
    if (is_named(manifests, name, digest, resolved))
        return 0;
    unname(manifests, name);
    drop_unnamed(manifests, digest);
    json_t *entry = json_pack("{s:s, s:s, s:I, s:{s:s, s:s*}}", "mediaType", OCI_MANIFEST_TYPE,
                              "digest", digest, "size", (json_int_t)size, "annotations",
                              OCI_REF_NAME, name, IMAGE_RESOLVED, resolved);
    if (!entry || json_array_append_new(manifests, entry) < 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "tag '%s': out of memory", reference);
    return write_index(s, doc.root, err);
}

/* Drops the entries of this manifest. */
static void drop_digest(json_t *manifests, const char *digest)
{
    for (size_t i = json_array_size(manifests); i > 0; i--) {
        if (strcmp(digest_in(json_array_get(manifests, i - 1)), digest) == 0)
            (void)json_array_remove(manifests, i - 1); /* the index is in range */
    }
}

/* The index without the entry d, or without all of its image's. d is of the same document, whose
 * strings go with their entries. */
static int forget(struct image_store *s, json_t *root, const struct oci_descriptor *d, bool by_name,
                  struct zl_error *err)
{
    json_t *manifests = json_object_get(root, "manifests");
    zl_autofree char *key = strdup(by_name ? oci_annotation(d, OCI_REF_NAME) : d->digest);
    if (!key)
        return zl_fail_errno(err, "change the index");
    if (by_name)
        drop_name(manifests, key);
    else
        drop_digest(manifests, key);
    return write_index(s, root, err);
}

int image_remove(struct image_store *s, const char *reference,
                 int (*in_use)(void *arg, uint32_t layer), void *arg, struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 }, left_doc = { 0 };
    struct oci_index index, left;
    struct image_freed freed = { 0 };
    const struct image_collecting how = { .in_use = in_use, .arg = arg };
    zl_autoclose int lock = layout_lock(&s->layout, LAYOUT_LOCK, LOCK_EX, err);
    const struct oci_descriptor *d = NULL;
    if (lock >= 0 && image_read_index(s, &doc, &index, err) == 0)
        d = image_lookup(&index, reference, err);
    if (!d)
        return zl_wrap(err, "remove image '%s'", reference);
    const char *name = oci_annotation(d, OCI_REF_NAME);
    char text[ZL_IMAGEREF_MAX];
    const char *why;
    bool by_name = name && zl_imageref_normalize(reference, text, &why) == 0 &&
                   strcmp(text, name) == 0; /* else it was found by its digest */
    if (forget(s, doc.root, d, by_name, err) < 0 ||
        image_read_index(s, &left_doc, &left, err) < 0 ||
        image_collect(s, &left, &how, &freed, err) < 0)
        return zl_wrap(err, "remove image '%s'", reference);
    return 0;
}

/* ---- pruning --------------------------------------------------------------------------------- */

/* Drops from the list what nobody needs. */
static void drop_unneeded(json_t *manifests, const struct image_prune *how, unsigned *dropped)
{
    for (size_t i = json_array_size(manifests); i > 0; i--) {
        const json_t *entry = json_array_get(manifests, i - 1);
        const char *name = name_in(entry), *digest = digest_in(entry);
        if ((name && !how->all) || (how->needed && how->needed(how->arg, name, digest)))
            continue;
        if (how->gone)
            how->gone(how->arg, name, digest);
        (void)json_array_remove(manifests, i - 1); /* the index is in range */
        ++*dropped;
    }
}

int image_prune(struct image_store *s, const struct image_prune *how, struct image_freed *ret,
                struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 }, left_doc = { 0 };
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    struct oci_index index, left;
    const struct image_collecting collecting = { how->plan, true, how->in_use, how->arg };
    *ret = (struct image_freed){ 0 };
    zl_autoclose int lock = layout_lock(&s->layout, LAYOUT_LOCK, LOCK_EX, err);
    if (lock < 0 || image_read_index(s, &doc, &index, err) < 0)
        return zl_wrap(err, "prune images");
    drop_unneeded(json_object_get(doc.root, "manifests"), how, &ret->images);
    /* What is left is read anew from its text, in a plan from the text that would be written. */
    if (zl_json_dump(doc.root, JSON_INDENT(1), &text, err) < 0 ||
        (!how->plan && ret->images && write_index(s, doc.root, err) < 0) ||
        oci_index_parse(&left_doc, text.data, text.len, "images/index.json", &left, err) < 0 ||
        image_collect(s, &left, &collecting, ret, err) < 0)
        return zl_wrap(err, "prune images");
    return 0;
}
