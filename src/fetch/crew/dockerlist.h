// SPDX-License-Identifier: Apache-2.0
/* manifest.json of an archive of `docker save`: its images (moby, image/spec/v1.2.md). */
#ifndef ZL_FETCH_CREW_DOCKERLIST_H
#define ZL_FETCH_CREW_DOCKERLIST_H

#include "base/json.h"

struct docker_image {
    const char *config;           /* its path in the archive */
    struct zl_strs names, layers; /* layers: the paths of their tars, lowest first */
};

struct docker_images {
    struct docker_image *v;
    size_t n;
};

/* Parses n bytes; doc is the caller's to finish, ret borrows from it. */
int docker_images_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                        struct docker_images *ret, struct zl_error *err);

#endif
