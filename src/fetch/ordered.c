// SPDX-License-Identifier: Apache-2.0
#include "fetch/ordered.h"

#include <string.h>

#include "base/fd.h"
#include "base/imageref.h"
#include "image/document.h"

static const struct zl_field image_fields[] = {
    { "digest", zl_json_string, offsetof(struct ordered_image, digest), ZL_REQUIRED, NULL },
    { "names", zl_json_strs, offsetof(struct ordered_image, names), 0, NULL },
    { 0 },
};
static const struct zl_element image_element = { sizeof(struct ordered_image), image_fields };
static const struct zl_field fields[] = {
    { "images", zl_json_list, offsetof(struct ordered, images), ZL_REQUIRED, &image_element },
    { "docker", zl_json_bool, offsetof(struct ordered, docker), 0, NULL },
    { 0 },
};

int ordered_read(int fd, struct zl_json *doc, struct ordered *ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    *ret = (struct ordered){ .docker = false };
    if (zl_read_fd(fd, &text, "the order", err) < 0 ||
        zl_json_parse(doc, text.data, text.len, "the order", err) < 0 ||
        zl_json_decode(doc, fields, ret, err) < 0)
        return -1;
    for (size_t i = 0; i < ret->images.n; i++) {
        const char *digest = ret->images.v[i].digest;
        if (strncmp(digest, "sha256:", 7) != 0 || !zl_digest_valid(digest))
            return zl_fail(err, ZL_ERR_INVALID, "the order: '%.100s' is not a sha256 digest",
                           digest);
    }
    return 0;
}
