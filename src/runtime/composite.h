// SPDX-License-Identifier: Apache-2.0
/*
 * Several runtimes behind one door: which of them gets a container is decided by what its image is,
 * when it is made; from then on whoever has it is asked. A pull is the
 * puller's; then who will have the image makes ready what it can.
 */
#ifndef ZL_RUNTIME_COMPOSITE_H
#define ZL_RUNTIME_COMPOSITE_H

#include "image/store.h"
#include "runtime/runtime.h"

struct puller;

/* The store and the puller are borrowed. Takes the runtimes over, also on failure; wasm NULL: this
 * build has none, and why_no_wasm says so to whoever wants one. */
int composite_new(struct event_base *base, struct image_store *images, struct puller *puller,
                  struct runtime *native, struct runtime *wasm, const char *why_no_wasm,
                  struct runtime **ret, struct zl_error *err);

#endif
