// SPDX-License-Identifier: Apache-2.0
/* Which manifests and images are WebAssembly. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "image/wasm.h"

#define D                                                                                          \
    "\"digest\":\"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","      \
    "\"size\":2"
#define LAYER(type) "{\"mediaType\":\"" type "\"," D "}"
#define MANIFEST(artifact, config, layers)                                                         \
    "{" artifact "\"config\":{\"mediaType\":\"" config "\"," D "},\"layers\":[" layers "]}"
#define TAR "application/vnd.oci.image.layer.v1.tar+gzip"

static void manifests_of_modules_are_known_by_their_types(void **unused)
{
    static const struct {
        const char *manifest;
        int layer; /* -1: no module */
    } cases[] = {
        { MANIFEST("", OCI_CONFIG_TYPE, LAYER(TAR)), -1 },
        { MANIFEST("", WASM_CONFIG_TYPE, LAYER(WASM_LAYER_TYPE)), 0 },
        { MANIFEST("", OCI_CONFIG_TYPE, LAYER(WASM_LAYER_TYPE)), 0 },
        { MANIFEST("", "application/vnd.wasm.config.v1+json",
                   LAYER("application/vnd.wasm.content.layer.v1+wasm")),
          0 },
        { MANIFEST("", "application/octet-stream", LAYER("application/x-mine+wasm")), 0 },
        { MANIFEST("\"artifactType\":\"application/vnd.wasm.component.v1+wasm\",",
                   "application/vnd.oci.empty.v1+json", LAYER("application/octet-stream")),
          0 },
        { MANIFEST("\"artifactType\":\"application/vnd.other\",", OCI_CONFIG_TYPE, LAYER(TAR)),
          -1 },
        /* the first WebAssembly layer is the module */
        { MANIFEST("", WASM_CONFIG_TYPE, LAYER("text/plain") "," LAYER(WASM_LAYER_TYPE)), 1 },
        /* two of a kind that says nothing: which one? */
        { MANIFEST("", WASM_CONFIG_TYPE, LAYER("text/plain") "," LAYER("text/plain")), -1 },
    };
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        zl_autojson struct zl_json doc = { 0 };
        struct oci_manifest m;
        struct zl_error err;
        const char *text = cases[i].manifest;
        assert_int_equal(oci_manifest_parse(&doc, text, strlen(text), "manifest", &m, &err), 0);
        const struct oci_descriptor *layer = image_wasm_layer(&m);
        assert_ptr_equal(layer, cases[i].layer < 0 ? NULL : &m.layers.v[cases[i].layer]);
    }
}

static void images_for_wasm_name_their_module(void **unused)
{
#define CONFIG(arch, os, config)                                                                   \
    "{\"architecture\":\"" arch "\",\"os\":\"" os "\",\"config\":{" config                         \
    "},\"rootfs\":{\"diff_ids\":[]}}"
    static const struct {
        const char *config, *file;
    } cases[] = {
        { CONFIG("wasm", "wasi", "\"Entrypoint\":[\"/app.wasm\",\"x\"]"), "/app.wasm" },
        { CONFIG("wasm32", "wasi", "\"Entrypoint\":[\"/app.wasm\"]"), "/app.wasm" },
        { CONFIG("wasm", "wasip1", "\"Cmd\":[\"app.wasm\"]"), "app.wasm" },
        { CONFIG("wasm", "linux", "\"Entrypoint\":[\"/app.wasm\"]"), "/app.wasm" },
        { CONFIG("amd64", "linux", "\"Entrypoint\":[\"/app.wasm\"]"), NULL },
        { CONFIG("wasm", "wasi", "\"Entrypoint\":[\"/bin/sh\"]"), NULL },
        { CONFIG("wasm", "wasi", ""), NULL },
    };
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        zl_autojson struct zl_json doc = { 0 };
        struct oci_image_config c;
        struct zl_error err;
        const char *text = cases[i].config;
        assert_int_equal(oci_image_config_parse(&doc, text, strlen(text), "config", &c, &err), 0);
        const char *file = image_wasm_entry(&c);
        if (cases[i].file)
            assert_string_equal(file, cases[i].file);
        else
            assert_null(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifests_of_modules_are_known_by_their_types),
        cmocka_unit_test(images_for_wasm_name_their_module),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
