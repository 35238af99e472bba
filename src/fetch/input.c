// SPDX-License-Identifier: Apache-2.0
#include "fetch/input.h"

#include <stdlib.h>

#include "base/fd.h"

static void pass_over(void *arg, uint64_t n)
{
    struct file_input *f = arg;
    f->at += n;
    if (f->left != UINT64_MAX)
        f->left -= n < f->left ? n : f->left;
}

static ssize_t file_read(void *arg, const void **bytes, struct zl_error *err)
{
    struct file_input *f = arg;
    size_t want = f->left < INPUT_PIECE ? (size_t)f->left : INPUT_PIECE;
    ssize_t n;

    if (!want)
        return 0;
    if (f->stop && atomic_load_explicit(f->stop, memory_order_relaxed))
        return zl_fail(err, ZL_ERR_CANCELLED, "stopped");
    if (!f->piece && !(f->piece = malloc(INPUT_PIECE)))
        return zl_fail_errno(err, "read the file");
    do {
        n = pread(f->fd, f->piece, want, (off_t)f->at);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return zl_fail_errno(err, "read the file");
    if (n == 0 && f->left != UINT64_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "the file ends too early");
    pass_over(f, (uint64_t)n);
    if (n && f->copy_fd >= 0 &&
        zl_write_all(f->copy_fd, f->piece, (size_t)n, "a blob of the store", err) < 0)
        return -1;
    if (n && f->progress)
        progress_layer(f->progress, (uint64_t)n);
    *bytes = f->piece;
    return n;
}

struct input file_input(struct file_input *f)
{
    return (struct input){ file_read, f->copy_fd < 0 && !f->progress ? pass_over : NULL, f, false };
}

void file_input_done(struct file_input *f)
{
    free(f->piece);
    f->piece = NULL;
}
