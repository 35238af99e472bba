// SPDX-License-Identifier: Apache-2.0
#include "image/wasm.h"

#include <string.h>

/* clang-format off */
static const struct {
    const char *text;
    enum { IS, BEGINS, ENDS } how;
} layer_types[] = {
    { WASM_LAYER_TYPE,                          IS },
    { "application/vnd.wasm.content.layer.",    BEGINS },
    { "+wasm",                                  ENDS },
}, config_types[] = {
    { "application/vnd.wasm.config.",           BEGINS },
}, artifact_types[] = {
    { "application/vnd.wasm.",                  BEGINS },
    { "+wasm",                                  ENDS },
    { WASM_LAYER_TYPE,                          IS },
};
/* clang-format on */

static bool matches(const char *type, const char *text, int how)
{
    size_t n = strlen(type), m = strlen(text);

    if (how == IS)
        return strcmp(type, text) == 0;
    return n >= m && memcmp(how == BEGINS ? type : type + n - m, text, m) == 0;
}

#define IS_OF(type, table)                                                                         \
    ({                                                                                             \
        bool found_ = false;                                                                       \
        for (size_t i_ = 0; (type) && i_ < ZL_ARRAY_LEN(table); i_++)                              \
            found_ |= matches(type, (table)[i_].text, (int)(table)[i_].how);                       \
        found_;                                                                                    \
    })

const struct oci_descriptor *image_wasm_layer(const struct oci_manifest *m)
{
    for (size_t i = 0; i < m->layers.n; i++)
        if (IS_OF(m->layers.v[i].media_type, layer_types))
            return &m->layers.v[i];
    /* a single layer of a type of somebody's own, in what says that it is WebAssembly */
    bool says =
        IS_OF(m->artifact_type, artifact_types) || IS_OF(m->config.media_type, config_types);
    return says && m->layers.n == 1 ? &m->layers.v[0] : NULL;
}

const char *image_wasm_entry(const struct oci_image_config *c)
{
    const char *file = c->config.entrypoint.n ? c->config.entrypoint.v[0]
                       : c->config.cmd.n      ? c->config.cmd.v[0]
                                              : NULL;
    size_t n = file ? strlen(file) : 0;
    bool platform = (c->architecture && strncmp(c->architecture, "wasm", 4) == 0) ||
                    (c->os && strncmp(c->os, "wasi", 4) == 0);

    return platform && n > 5 && strcmp(file + n - 5, ".wasm") == 0 ? file : NULL;
}
