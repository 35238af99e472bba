// SPDX-License-Identifier: Apache-2.0
/* Documents of an image: index, manifest, config. What is accepted has digests that are file names.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/imageref.h"
#include "image/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const char *text = (const char *)bytes;
    zl_autojson struct zl_json index_doc = { 0 }, manifest_doc = { 0 }, config_doc = { 0 };
    struct oci_index index;
    struct oci_manifest manifest;
    struct oci_image_config config;
    struct zl_error err;
    if (oci_index_parse(&index_doc, text, len, "index", &index, &err) == 0) {
        for (size_t i = 0; i < index.manifests.n; i++) {
            if (!zl_digest_valid(index.manifests.v[i].digest))
                abort();
            (void)oci_annotation(&index.manifests.v[i], OCI_REF_NAME); /* reads what was decoded */
        }
    }
    if (oci_manifest_parse(&manifest_doc, text, len, "manifest", &manifest, &err) == 0 &&
        (manifest.layers.n == 0 || strchr(manifest.config.digest, '/')))
        abort();
    (void)oci_image_config_parse(&config_doc, text, len, "config", &config,
                                 &err); /* must only not crash */
    return 0;
}
