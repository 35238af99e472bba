// SPDX-License-Identifier: Apache-2.0
/*
 * Where bytes come from: a file, a member of an archive, a download. Inputs stand behind each
 * other, as in "file, then gunzip"; each hands out pieces that it owns, so that nothing is copied
 * on the way.
 */
#ifndef ZL_FETCH_INPUT_H
#define ZL_FETCH_INPUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "fetch/progress.h"

struct input {
    /* The next piece: how long it is, 0 at the end and ever after, or -1. It stays as it is until
     * the next call. */
    ssize_t (*read)(void *arg, const void **bytes, struct zl_error *err);
    /* Passes over the next n bytes unread. NULL: it cannot; they are to be read and dropped. */
    void (*skip)(void *arg, uint64_t n);
    void *arg;
    bool is_summed; /* somebody else sees to it that the bytes have the digest they should have */
};

enum { INPUT_PIECE = 256 * 1024 };

/* A regular file, or a stretch of one; several may read the same descriptor. */
struct file_input {
    int fd;
    int copy_fd;               /* what is read is written here as well; -1: nowhere */
    uint64_t at;               /* where it goes on */
    uint64_t left;             /* UINT64_MAX: to its end. A file that ends before is an error */
    struct progress *progress; /* counts what was read; NULL: nobody does */
    const atomic_bool *stop;   /* becomes true: reading fails; NULL: never */
    char *piece;               /* ours */
};

#define FILE_INPUT(file)                                                                           \
    {                                                                                              \
        .fd = (file), .copy_fd = -1, .left = UINT64_MAX                                            \
    }
/* Borrows f, which must stay where it is. */
struct input file_input(struct file_input *f);
void file_input_done(struct file_input *f); /* the descriptors stay open */

#endif
