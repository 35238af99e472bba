// SPDX-License-Identifier: Apache-2.0
/*
 * The documents of an image are read by hands (crew.h): whoever made the image made them, and a
 * parser may have a bug. A hand gets the bytes of one document and writes down what it found there,
 * in a form without nesting, in which the keeper looks at every length, count and digest: no more
 * of it is believed than the document itself could have said.
 *
 * One hand for each document, since documents vouch for each other by digest: what an index that
 * nobody signed takes over must not read the manifest that somebody has signed.
 */
#ifndef ZL_FETCH_CREW_READING_H
#define ZL_FETCH_CREW_READING_H

#include "base/arena.h"
#include "fetch/crew/dockerlist.h"
#include "image/document.h"

enum reading_kind {
    READING_INDEX,
    READING_MANIFEST,
    READING_CONFIG, /* of its process only what is started, as one entrypoint */
    READING_DOCKER, /* manifest.json of `docker save` */
    READING_KINDS
};

enum { READING_FOUND_MAX = 2 * OCI_DOCUMENT_MAX };

/* What was found in one document; the structs below borrow from it. */
struct reading {
    struct zl_buf found;
    struct zl_arena arena;
};
#define READING                                                                                    \
    {                                                                                              \
        .found = ZL_BUF(READING_FOUND_MAX), .arena = ZL_ARENA(8 * READING_FOUND_MAX)               \
    }
static inline void reading_done(struct reading *r)
{
    zl_buf_done(&r->found);
    zl_arena_done(&r->arena);
}
#define autoreading ZL_CLEANUP(reading_done)

struct crew;
/* Each has a hand read text, an index or what the name says, which `what` names in errors. Of
 * annotations there are those that zlayer-fetch looks at. r is fresh; it is the caller's to finish
 * in any case. */
int reading_index(const struct crew *c, const struct zl_buf *text, const char *what,
                  struct reading *r, struct oci_index *ret, struct zl_error *err);
int reading_manifest(const struct crew *c, const struct zl_buf *text, const char *what,
                     struct reading *r, struct oci_manifest *ret, struct zl_error *err);
int reading_config(const struct crew *c, const struct zl_buf *text, const char *what,
                   struct reading *r, struct oci_image_config *ret, struct zl_error *err);
int reading_docker(const struct crew *c, const struct zl_buf *text, const char *what,
                   struct reading *r, struct docker_images *ret, struct zl_error *err);

/* The hand's half: parses n bytes, and adds what it found to found. */
int reading_find(enum reading_kind kind, const char *bytes, size_t n, const char *what,
                 struct zl_buf *found, struct zl_error *err);
/* The keeper's half, of r->found, from whoever wrote it. ret is the struct of the kind. PROTOCOL:
 * it is nothing that reading_find() writes. */
int reading_take(enum reading_kind kind, struct reading *r, void *ret, struct zl_error *err);

#endif
