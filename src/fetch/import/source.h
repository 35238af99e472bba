// SPDX-License-Identifier: Apache-2.0
/*
 * Where an image comes from: a file or folder of this host, opened before the process confines
 * itself, and looked into only afterwards.
 */
#ifndef ZL_FETCH_IMPORT_SOURCE_H
#define ZL_FETCH_IMPORT_SOURCE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/json.h"
#include "fetch/store/work.h"
#include "fetch/tar/members.h"

enum source_kind {
    SOURCE_ROOTFS,         /* /abs/rootfs.tar[.gz|.zst], /abs/module.wasm */
    SOURCE_LAYOUT,         /* oci:/abs/DIR[:TAG]             an OCI image layout */
    SOURCE_OCI_ARCHIVE,    /* oci-archive:/abs/FILE[:TAG]    one in a tar */
    SOURCE_DOCKER_ARCHIVE, /* docker-archive:/abs/FILE[:REFERENCE]    as `docker save` makes them */
    SOURCE_DIR,            /* dir:/abs/DIR                   as `skopeo copy` makes them */
    SOURCE_ARCHIVE,        /* archive:/abs/FILE              one of the two, whichever it is */
};

struct source {
    int fd; /* of the file or folder */
    enum source_kind kind;
    const char *tag;     /* which image; NULL: the only one */
    struct zl_strs keys; /* PEM: signatures that come along are checked with them: one has to be
                          * right if there are some; when all images are taken, whose names decide
                          * that later, what is right is noted. Borrowed */
    char path[4096];
    struct members *members; /* of an archive, once it was looked into */
};

#define SOURCE_CLOSED                                                                              \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
/* A folder is opened as a mount of its own, which needs CAP_SYS_ADMIN. */
int source_open(const char *text, struct source *ret, struct zl_error *err);
void source_close(struct source *s);

/* Looks into an archive: decompresses one that is packed as a whole into the work folder, finds its
 * members, and which kind it is. Nothing for other sources. */
int source_look(struct source *s, const struct work *w, struct zl_error *err);

/* A stretch of a file. */
struct part {
    int fd;
    uint64_t at, size;
};
static inline void part_close(struct part *p)
{
    zl_closep(&p->fd);
}
#define autopart ZL_CLEANUP(part_close)

/* A file by its path in the source: a regular one, below its folder. NOT_FOUND when it is not
 * there. A root file system is one file, whatever the path. */
int source_part(const struct source *s, const char *path, struct part *ret, struct zl_error *err);
/* All of it, at most out->max bytes. */
int source_read(const struct source *s, const char *path, struct zl_buf *out, struct zl_error *err);

#endif
