// SPDX-License-Identifier: Apache-2.0
/*
 * Which images a command of zlayer-fetch is about, as the agent says it: it alone reads the index.
 *   {"images":[{"digest":"sha256:…","names":["docker.io/library/x:1"]}],"docker":true}
 */
#ifndef ZL_FETCH_ORDERED_H
#define ZL_FETCH_ORDERED_H

#include <stdbool.h>

#include "base/json.h"

struct ordered_image {
    const char *digest; /* checked */
    struct zl_strs names;
};

struct ordered {
    struct {
        struct ordered_image *v;
        size_t n;
    } images;
    bool docker; /* of save: also as docker load reads it */
};

/* From an open file; strings borrow from doc, which is the caller's to finish. */
int ordered_read(int fd, struct zl_json *doc, struct ordered *ret, struct zl_error *err);

#endif
