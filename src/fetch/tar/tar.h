// SPDX-License-Identifier: Apache-2.0
/*
 * Reading tar: POSIX ustar and pax (pax(1p), "ustar Interchange Format" and "pax Header"), GNU's
 * long names, large numbers and sparse files (GNU tar manual, "Basic Tar Format" and "Storing
 * Sparse Files"), and what is older. Names are bytes: nothing is converted or normalized, so what
 * is not UTF-8 stays as it is. Where tools disagree this does what Go's archive/tar does, since
 * that is what made and what unpacks nearly every image.
 */
#ifndef ZL_FETCH_TAR_TAR_H
#define ZL_FETCH_TAR_TAR_H

#include <time.h>

#include "fetch/input.h"

enum {
    TAR_EXTRA_MAX = 1 << 20,  /* bytes of one pax header or long name */
    TAR_XATTRS_MAX = 256,     /* of one entry */
    TAR_EXTENTS_MAX = 1 << 20 /* of one sparse file */
};

enum tar_type { TAR_FILE, TAR_HARDLINK, TAR_SYMLINK, TAR_CHAR, TAR_BLOCK, TAR_DIR, TAR_FIFO };

struct tar_xattr {
    const char *name;
    const void *value;
    size_t n;
};

struct tar_entry { /* borrowed until the next entry */
    enum tar_type type;
    const char *path, *link; /* link: of hard and symbolic ones, else "" */
    unsigned mode;           /* 07777 at most */
    uint32_t uid, gid;
    struct timespec mtime;
    unsigned dev_major, dev_minor;
    uint64_t size; /* of the file, holes included */
    const struct tar_xattr *xattrs;
    size_t n_xattrs;
};

struct tar;
int tar_new(const struct input *in, struct tar **ret, struct zl_error *err); /* borrows in */
void tar_free(struct tar *t);
ZL_DEFINE_CLEANUP(struct tar *, tar_free)
#define autotar ZL_CLEANUP(tar_freep)

/* 1 and an entry; 0 at the end of the archive, behind which bytes may follow; -1. */
int tar_next(struct tar *t, struct tar_entry *ret, struct zl_error *err);
/* The next piece of a file's content and where in the file it belongs: its length; 0 at the end. */
ssize_t tar_data(struct tar *t, const void **bytes, uint64_t *offset, struct zl_error *err);
/* How many bytes of the input were passed. After tar_next(): where the content begins. */
uint64_t tar_position(const struct tar *t);

#endif
