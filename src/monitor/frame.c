// SPDX-License-Identifier: Apache-2.0
#include "monitor/frame.h"

#include <string.h>

void mon_frame_head(uint8_t head[MON_FRAME_HEAD], uint8_t stream, uint32_t length)
{
    uint8_t bytes[MON_FRAME_HEAD] = {
        [0] = stream,
        [4] = (uint8_t)(length >> 24),
        [5] = (uint8_t)(length >> 16),
        [6] = (uint8_t)(length >> 8),
        [7] = (uint8_t)length,
    };
    memcpy(head, bytes, sizeof bytes);
}

void mon_frame_reader_init(struct mon_frame_reader *r)
{
    r->stream = 0;
    r->left = 0;
    r->start = r->end = r->head_n = r->exit_n = 0;
}

bool mon_frame_pending(const struct mon_frame_reader *r)
{
    return r->start < r->end;
}

static size_t unread(const struct mon_frame_reader *r)
{
    return r->end - r->start;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Collects the head of the next frame; true when it is whole. */
static bool take_head(struct mon_frame_reader *r)
{
    size_t n = least(sizeof r->head - r->head_n, unread(r));

    memcpy(r->head + r->head_n, r->buf + r->start, n);
    r->head_n += n;
    r->start += n;
    if (r->head_n < sizeof r->head)
        return false;
    r->stream = r->head[0];
    r->left = (uint32_t)r->head[4] << 24 | (uint32_t)r->head[5] << 16 | (uint32_t)r->head[6] << 8 |
              r->head[7];
    r->exit_n = 0;
    memset(&r->exit, 0, sizeof r->exit); /* an older monitor may send fewer fields */
    return true;
}

/* Collects an exit frame: true when it is whole. Fields that a newer monitor appended are skipped.
 */
static bool take_exit(struct mon_frame_reader *r, size_t n)
{
    size_t known = least(n, sizeof r->exit - r->exit_n);

    memcpy((char *)&r->exit + r->exit_n, r->buf + r->start, known);
    r->exit_n += known;
    r->start += n;
    r->left -= (uint32_t)n;
    return r->left == 0;
}

/* A piece from what was read already; false when more must be read. */
static bool take_piece(struct mon_frame_reader *r, struct mon_frame *ret)
{
    while (mon_frame_pending(r)) {
        if (r->head_n < sizeof r->head) {
            if (!take_head(r))
                return false;
            if (r->left == 0 && r->stream != MON_STREAM_EXIT)
                r->head_n = 0; /* an empty frame says nothing */
            continue;
        }
        size_t n = least(r->left, unread(r));
        *ret = (struct mon_frame){ .stream = r->stream };
        if (r->stream == MON_STREAM_EXIT) {
            if (!take_exit(r, n))
                return false;
            ret->exit = r->exit;
        } else {
            ret->bytes = r->buf + r->start;
            ret->length = n;
            r->start += n;
            r->left -= (uint32_t)n;
        }
        if (r->left == 0)
            r->head_n = 0;
        return true;
    }
    return false;
}

int mon_frame_read(struct mon_frame_reader *r, int fd, struct mon_frame *ret, struct zl_error *err)
{
    if (take_piece(r, ret))
        return 1;
    for (;;) {
        ssize_t n = read(fd, r->buf, sizeof r->buf);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return zl_fail_errno(err, "read the stream");
        if (n == 0 && r->head_n > 0)
            return zl_fail(err, ZL_ERR_PROTOCOL, "the stream ended inside a frame");
        if (n == 0)
            return 0;
        r->start = 0;
        r->end = (size_t)n;
        if (take_piece(r, ret))
            return 1;
    }
}

int mon_frames_take(struct mon_frame_reader *r, int fd,
                    int (*take)(void *arg, const struct mon_frame *f, struct zl_error *err),
                    void *arg, struct zl_error *err)
{
    struct mon_frame f;
    struct zl_error why = { 0 };
    int rc;
    do {
        rc = mon_frame_read(r, fd, &f, &why);
        if (rc < 0 && why.errnum == EAGAIN)
            return 1;
        if (rc < 0 && why.errnum == ECONNRESET)
            return 0;
        if (rc < 0 && err)
            *err = why;
        if (rc > 0)
            rc = take(arg, &f, err);
    } while (rc > 0 && mon_frame_pending(r));
    return rc;
}
