// SPDX-License-Identifier: Apache-2.0
/* What the files of the tar reader share. */
#ifndef ZL_FETCH_TAR_TAR_INNER_H
#define ZL_FETCH_TAR_TAR_INNER_H

#include <stdbool.h>

#include "base/buf.h"
#include "fetch/tar/tar.h"

enum { TAR_BLOCK_SIZE = 512 };

struct tar_extent { /* a stretch of a sparse file that is stored; all else is a hole */
    uint64_t offset, length;
};

struct tar_sparse {
    bool is; /* this entry is one */
    struct tar_extent *extents;
    size_t n, cap;
    uint64_t size; /* of the file */
};

/* What a pax header said about the next entry; strings point into its bytes. */
struct tar_pax {
    const char *path, *link; /* NULL: not said, as for all here */
    const char *size, *uid, *gid, *mtime, *dev_major, *dev_minor;
    const char *sparse_major, *sparse_minor, *sparse_name, *sparse_size;
    struct tar_xattr xattrs[TAR_XATTRS_MAX];
    size_t n_xattrs;
    uint64_t sparse_offset; /* of format 0.0: the number that waits for its length */
    bool sparse_map;        /* of formats 0.0 and 0.1: extents were filled from it */
};

struct tar {
    const struct input *in;
    const uint8_t *next; /* of the piece in hand */
    size_t avail;
    uint64_t position;
    bool ended; /* the archive has */

    uint64_t left;    /* archive bytes of the content in hand that were not read */
    unsigned padding; /* behind them */
    uint64_t at;      /* where in the file the next piece belongs */
    struct tar_sparse sparse;
    size_t extent; /* the one in hand */

    uint8_t block[TAR_BLOCK_SIZE];
    struct zl_buf pax_bytes, path,
        link; /* path, link: of GNU's long names, or cut from the block */
    struct tar_pax pax;
    bool long_path, long_link; /* path, link: they came as entries of their own */
};

/* n bytes of the archive into to. */
int tar_take(struct tar *t, void *to, size_t n, struct zl_error *err);
/* n bytes of the archive into out, and the padding behind them. */
int tar_take_extra(struct tar *t, uint64_t n, struct zl_buf *out, struct zl_error *err);
/* Passes n bytes of the archive. */
int tar_skip(struct tar *t, uint64_t n, struct zl_error *err);

/* A number of a header: octal text, or in base 256 when its highest bit is set. */
int tar_number(const uint8_t *field, size_t n, int64_t *ret);
/* A number of a pax header. */
int tar_decimal(const char *text, uint64_t *ret);

/* Takes the records in t->pax_bytes apart. */
int tar_pax_parse(struct tar *t, struct zl_error *err);
int tar_pax_time(const char *text, struct timespec *ret);

int tar_sparse_add(struct tar_sparse *s, uint64_t offset, uint64_t length, struct zl_error *err);
/* GNU's own entry type 'S': the map is in the header and in blocks behind it. */
int tar_sparse_gnu(struct tar *t, struct zl_error *err);
/* As pax headers say it; format 1.0 has its map in front of the content. */
int tar_sparse_pax(struct tar *t, struct zl_error *err);
/* Whether the extents fit the file and the content. */
int tar_sparse_check(const struct tar *t, struct zl_error *err);

#endif
