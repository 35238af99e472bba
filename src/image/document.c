// SPDX-License-Identifier: Apache-2.0
#include "image/document.h"

#include <string.h>

#include "base/imageref.h"

/* clang-format off */
static const struct zl_field platform_fields[] = {
    { "architecture", zl_json_string, offsetof(struct oci_descriptor, platform.architecture), 0, NULL },
    { "os",           zl_json_string, offsetof(struct oci_descriptor, platform.os),           0, NULL },
    { "variant",      zl_json_string, offsetof(struct oci_descriptor, platform.variant),      0, NULL },
    { 0 },
};

/* The members of an inner object that has no struct of its own. */
static int decode_inner(const struct zl_json_at *at, const struct zl_field *f, void *out,
                        struct zl_error *err)
{
    return zl_json_members(at, f->detail, out, err);
}

static const struct zl_field descriptor_fields[] = {
    { "mediaType",   zl_json_string, offsetof(struct oci_descriptor, media_type),  0, NULL },
    { "digest",      zl_json_string, offsetof(struct oci_descriptor, digest),      ZL_REQUIRED, NULL },
    { "size",        zl_json_u64,    offsetof(struct oci_descriptor, size),        ZL_REQUIRED, NULL },
    { "annotations", zl_json_pairs,  offsetof(struct oci_descriptor, annotations), 0, NULL },
    { "platform",    decode_inner,   0, 0, platform_fields },
    { 0 },
};
static const struct zl_element descriptor_element = { sizeof(struct oci_descriptor), descriptor_fields };

static const struct zl_field index_fields[] = {
    { "manifests", zl_json_list, offsetof(struct oci_index, manifests), ZL_REQUIRED, &descriptor_element },
    { 0 },
};

static const struct zl_field manifest_fields[] = {
    { "mediaType",    zl_json_string, offsetof(struct oci_manifest, media_type),    0, NULL },
    { "artifactType", zl_json_string, offsetof(struct oci_manifest, artifact_type), 0, NULL },
    { "config", zl_json_object, offsetof(struct oci_manifest, config), ZL_REQUIRED, descriptor_fields },
    { "layers", zl_json_list,   offsetof(struct oci_manifest, layers), ZL_REQUIRED, &descriptor_element },
    { 0 },
};

static const struct zl_field process_fields[] = {
    { "Entrypoint", zl_json_strs,   offsetof(struct oci_image_config, config.entrypoint),  0, NULL },
    { "Cmd",        zl_json_strs,   offsetof(struct oci_image_config, config.cmd),         0, NULL },
    { "Env",        zl_json_strs,   offsetof(struct oci_image_config, config.env),         0, NULL },
    { "User",       zl_json_string, offsetof(struct oci_image_config, config.user),        0, NULL },
    { "WorkingDir", zl_json_string, offsetof(struct oci_image_config, config.workdir),     0, NULL },
    { "StopSignal", zl_json_string, offsetof(struct oci_image_config, config.stop_signal), 0, NULL },
    { 0 },
};
static const struct zl_field rootfs_fields[] = {
    { "diff_ids", zl_json_strs, offsetof(struct oci_image_config, diff_ids), ZL_REQUIRED, NULL },
    { 0 },
};
static const struct zl_field config_fields[] = {
    { "architecture", zl_json_string, offsetof(struct oci_image_config, architecture), 0, NULL },
    { "os",           zl_json_string, offsetof(struct oci_image_config, os),           0, NULL },
    { "created",      zl_json_string, offsetof(struct oci_image_config, created),      0, NULL },
    { "config",       decode_inner,   0, 0, process_fields },
    { "rootfs",       decode_inner,   0, ZL_REQUIRED, rootfs_fields },
    { 0 },
};
/* clang-format on */

/* Digests become file names, so nothing but the one algorithm we write is let through. */
bool oci_digest_valid(const char *digest)
{
    return strncmp(digest, "sha256:", 7) == 0 && zl_digest_valid(digest) &&
           !digest[7 + strspn(digest + 7, "0123456789abcdef")];
}

static int check_digest(const char *digest, const char *what, struct zl_error *err)
{
    if (oci_digest_valid(digest))
        return 0;
    return zl_fail(err, ZL_ERR_INVALID, "%s: '%.100s' is not a sha256 digest", what, digest);
}

static int parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                 const struct zl_field *fields, void *ret, struct zl_error *err)
{
    if (n > OCI_DOCUMENT_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "%s is larger than %d bytes", what, OCI_DOCUMENT_MAX);
    if (zl_json_parse(doc, bytes, n, what, err) < 0)
        return -1;
    return zl_json_decode(doc, fields, ret, err);
}

int oci_index_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                    struct oci_index *ret, struct zl_error *err)
{
    *ret = (struct oci_index){ 0 };
    if (parse(doc, bytes, n, what, index_fields, ret, err) < 0)
        return -1;
    for (size_t i = 0; i < ret->manifests.n; i++) {
        if (check_digest(ret->manifests.v[i].digest, what, err) < 0)
            return -1;
    }
    return 0;
}

int oci_manifest_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                       struct oci_manifest *ret, struct zl_error *err)
{
    *ret = (struct oci_manifest){ 0 };
    if (parse(doc, bytes, n, what, manifest_fields, ret, err) < 0 ||
        check_digest(ret->config.digest, what, err) < 0)
        return -1;
    if (ret->layers.n == 0 || ret->layers.n > OCI_LAYERS_MAX)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "%s has %zu layers; 1 to %d are supported", what,
                       ret->layers.n, OCI_LAYERS_MAX);
    for (size_t i = 0; i < ret->layers.n; i++) {
        if (check_digest(ret->layers.v[i].digest, what, err) < 0)
            return -1;
    }
    return 0;
}

int oci_image_config_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                           struct oci_image_config *ret, struct zl_error *err)
{
    *ret = (struct oci_image_config){ 0 };
    if (parse(doc, bytes, n, what, config_fields, ret, err) < 0)
        return -1;
    for (size_t i = 0; i < ret->diff_ids.n; i++) {
        if (check_digest(ret->diff_ids.v[i], what, err) < 0)
            return -1;
    }
    return 0;
}

const char *oci_annotation(const struct oci_descriptor *d, const char *key)
{
    for (size_t i = 0; i < d->annotations.n; i++) {
        if (strcmp(d->annotations.v[i].key, key) == 0)
            return d->annotations.v[i].value;
    }
    return NULL;
}
