// SPDX-License-Identifier: Apache-2.0
/*
 * The three documents of OCI images (image-spec v1.1): index, manifest and config, as far as we
 * read them. Strings borrow from the zl_json they were decoded from.
 */
#ifndef ZL_IMAGE_DOCUMENT_H
#define ZL_IMAGE_DOCUMENT_H

#include "base/json.h"

#define OCI_MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define OCI_CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER_TYPE "application/vnd.oci.image.layer.v1.tar" /* "+gzip", "+zstd" */
#define OCI_REF_NAME "org.opencontainers.image.ref.name"        /* annotation: the reference */
#define OCI_CONTAINERD_NAME "io.containerd.image.name"          /* the same, never a tag alone */
#define COSIGN_SIGNATURE "dev.cosignproject.cosign/signature"   /* annotation, base64 */
#define COSIGN_KIND "kind" /* annotation of what `cosign save` puts beside an image */

enum {
    OCI_DOCUMENT_MAX = 4 << 20, /* bytes of one document: what registries accept */
    OCI_LAYERS_MAX = 120,       /* what one overlay mount takes (ARCHITECTURE 7.2) */
};

struct oci_descriptor {
    const char *media_type, *digest;
    uint64_t size;
    struct zl_pairs annotations;
    struct {
        const char *architecture, *os, *variant;
    } platform;
};

struct oci_descriptors {
    struct oci_descriptor *v;
    size_t n;
};

struct oci_index {
    struct oci_descriptors manifests;
};

struct oci_manifest {
    const char *media_type, *artifact_type; /* NULL: not said */
    struct oci_descriptor config;
    struct oci_descriptors layers; /* lowest first */
};

struct oci_image_config {
    const char *architecture, *os, *created;
    struct {
        struct zl_strs entrypoint, cmd, env;
        const char *user, *workdir, *stop_signal;
    } config;
    struct zl_strs diff_ids;
};

/* Each parses n bytes; what names the document in errors. doc is the caller's to finish. */
int oci_index_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                    struct oci_index *ret, struct zl_error *err);
/* Also checks that every descriptor has a well-formed sha256 digest and the layers are not too
 * many. */
int oci_manifest_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                       struct oci_manifest *ret, struct zl_error *err);
int oci_image_config_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                           struct oci_image_config *ret, struct zl_error *err);

/* Whether it is a sha256 digest in lower case, and so a file name after its colon. */
bool oci_digest_valid(const char *digest);
/* The value of an annotation, or NULL. */
const char *oci_annotation(const struct oci_descriptor *d, const char *key);

#endif
