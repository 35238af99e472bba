// SPDX-License-Identifier: Apache-2.0
/*
 * WebAssembly in a registry's clothes: which manifests hold a module, and where it is. Two forms:
 * an artifact whose first layer of a WebAssembly type is the module (media types of the CNCF's wasm
 * artifacts and of those before them), and an ordinary image for the platform "wasm", whose
 * entrypoint names a file ".wasm" in it.
 */
#ifndef ZL_IMAGE_WASM_H
#define ZL_IMAGE_WASM_H

#include "image/document.h"

#define WASM_CONFIG_TYPE "application/vnd.wasm.config.v0+json"
#define WASM_LAYER_TYPE "application/wasm"
#define WASM_MODULE_TYPE "application/vnd.wasm.module.v1+wasm" /* artifactType */
#define WASM_COMPONENT_TYPE "application/vnd.wasm.component.v1+wasm"
#define OCI_TITLE "org.opencontainers.image.title" /* annotation: a file's name */

/* The layer that is the module of an artifact; NULL: it is none. */
const struct oci_descriptor *image_wasm_layer(const struct oci_manifest *m);
/* The file that is the module of an image; NULL: it is none. */
const char *image_wasm_entry(const struct oci_image_config *c);

#endif
