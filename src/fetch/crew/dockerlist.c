// SPDX-License-Identifier: Apache-2.0
#include "fetch/crew/dockerlist.h"

#include "image/document.h"

static const struct zl_field image_fields[] = {
    { "Config", zl_json_string, offsetof(struct docker_image, config), ZL_REQUIRED, NULL },
    { "RepoTags", zl_json_strs, offsetof(struct docker_image, names), 0, NULL },
    { "Layers", zl_json_strs, offsetof(struct docker_image, layers), 0, NULL },
    { 0 },
};
static const struct zl_element image_element = { sizeof(struct docker_image), image_fields };

/* zl_json decodes objects: the list becomes the member of one. */
static const struct zl_field list_fields[] = {
    { "images", zl_json_list, 0, ZL_REQUIRED, &image_element },
    { 0 },
};

int docker_images_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                        struct docker_images *ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX + 64);
    struct docker_images images = { NULL, 0 };
    zl_buf_adds(&text, "{\"images\":");
    zl_buf_add(&text, bytes, n);
    zl_buf_adds(&text, "}");
    if (zl_buf_check(&text, what, err) < 0 ||
        zl_json_parse(doc, text.data, text.len, what, err) < 0 ||
        zl_json_decode(doc, list_fields, &images, err) < 0)
        return -1;
    *ret = images;
    return 0;
}
