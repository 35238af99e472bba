// SPDX-License-Identifier: Apache-2.0
/*
 * Image references, "[domain/]path[:tag][@digest]": docs/spec.md, "Image reference". Equality is
 * equality of the normalized text; the user's own spelling is kept by whoever asked.
 */
#ifndef ZL_BASE_IMAGEREF_H
#define ZL_BASE_IMAGEREF_H

#include <stdbool.h>

enum { ZL_IMAGEREF_MAX = 256 + 256 + 130 + 140 }; /* of a normalized text, its NUL included */

struct zl_imageref {
    char registry[256];   /* "docker.io"; lower case */
    char repository[256]; /* "library/busybox" */
    char tag[129];        /* "latest"; "" when there is only a digest */
    char digest[140];     /* "sha256:…", lower case; "" when there is none */
    bool qualified;       /* a registry was written */
};

/* 0, or -1 with *why, static text. Absent parts are filled as the rules say. */
int zl_imageref_parse(const char *text, struct zl_imageref *ret, const char **why);
/* "docker.io/library/busybox:latest", with "@sha256:…" when there is a digest. */
void zl_imageref_format(const struct zl_imageref *r, char out[ZL_IMAGEREF_MAX]);
/* Both in one: 0, or -1 with *why. */
int zl_imageref_normalize(const char *text, char out[ZL_IMAGEREF_MAX], const char **why);
/* Whether text is "sha256:" (384, 512) and as many hexadecimal digits as that needs. */
bool zl_digest_valid(const char *text);

#endif
