// SPDX-License-Identifier: Apache-2.0
/* What the files of this folder share about the store. */
#ifndef ZL_IMAGE_INTERNAL_H
#define ZL_IMAGE_INTERNAL_H

#include <sys/stat.h>

#include "image/layout.h"
#include "image/store.h"

#define IMAGE_RESOLVED "zlayer.resolved" /* annotation: what the registry means by the name */

enum { IMAGES_FOUND = 8, FILES_FOUND = 8 };

/* Where a file of an image is: a digest stands for the same layers always, so it stays there. */
struct found_file {
    char image[80]; /* digest; "": unused */
    char path[40];  /* as it was asked for */
    char at[40];    /* in the layer, without a link in it */
    size_t layer;   /* of the image's, by which its number is found */
};

struct image_store {
    struct layout layout;
    /* What was found last, the newest first, good as long as the index is the same file: one start
     * asks by name and by digest, several times, and most starts are of few images. */
    struct image *found[IMAGES_FOUND];
    struct stat found_index;
    struct found_file files[FILES_FOUND]; /* of images that start: passwd, group */
    size_t next_file;                     /* to be taken for another */
};

int image_read_index(struct image_store *s, struct zl_json *doc, struct oci_index *ret,
                     struct zl_error *err);
/* The entry that reference means: by name, digest or its prefix. NULL: NOT_FOUND, CONFLICT,
 * INVALID. */
const struct oci_descriptor *image_lookup(const struct oci_index *index, const char *reference,
                                          struct zl_error *err);

#endif
