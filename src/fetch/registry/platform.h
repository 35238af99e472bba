// SPDX-License-Identifier: Apache-2.0
/*
 * Which entry of an index is for a machine: the same system and architecture, and of the variants
 * the highest that the machine can run. Levels: amd64 v1 to v4 (none: v1), arm v5 to v8 (none: v7,
 * as those who build them mean it), arm64 v8 and v9 (none: v8). Source: image-spec v1.1,
 * image-index.md, "platform"; the names are those of Go's GOARCH, GOAMD64, GOARM.
 */
#ifndef ZL_FETCH_REGISTRY_PLATFORM_H
#define ZL_FETCH_REGISTRY_PLATFORM_H

#include "image/document.h"

struct platform {
    const char *architecture; /* "amd64" */
    unsigned level;           /* of it; 0 for architectures that have none */
};

/* "amd64", "arm64", …: this machine, as image configs call it. */
const char *platform_architecture(void);
/* Of this machine. */
struct platform platform_here(void);
/* "linux/arm/v7", "linux/arm64", "arm64". The text is borrowed for the time of the result. INVALID
 * when it is for another system. */
int platform_parse(char *text, struct platform *ret, struct zl_error *err);
/* How well d suits: higher is better; 0: not at all. */
unsigned platform_match(const struct platform *p, const struct oci_descriptor *d);
/* The best entry, the first of equals; NULL: none. */
const struct oci_descriptor *platform_choose(const struct platform *p,
                                             const struct oci_index *index);

#endif
