// SPDX-License-Identifier: Apache-2.0
/*
 * The stream of MON_ATTACH and MON_EXEC_START (protocol.h): Docker's frames, {u8 stream, 0, 0, 0,
 * u32 length big-endian} and the bytes. The reader hands out what has arrived, so a frame may come
 * in pieces and its length, which the other side chose, never decides how much memory is needed.
 */
#ifndef ZL_MONITOR_FRAME_H
#define ZL_MONITOR_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "monitor/protocol.h"

/* Writes the head of a frame of `length` bytes. */
void mon_frame_head(uint8_t head[MON_FRAME_HEAD], uint8_t stream, uint32_t length);

struct mon_frame {
    uint8_t stream;       /* MON_STREAM_…; unknown ones are for the caller to skip */
    const void *bytes;    /* borrowed until the next read; not for MON_STREAM_EXIT */
    size_t length;        /* > 0 */
    struct mon_exit exit; /* MON_STREAM_EXIT: whole */
};

struct mon_frame_reader {
    uint8_t stream;
    uint32_t left;         /* of the present frame, still to come */
    size_t start, end;     /* what is unread in buf */
    size_t head_n, exit_n; /* collected in head, exit */
    uint8_t head[MON_FRAME_HEAD];
    struct mon_exit exit;
    char buf[16384];
};

void mon_frame_reader_init(struct mon_frame_reader *r);
/*
 * The next piece of a frame, from what was read before or from `fd`, which may block or not. Who
 * polls calls it until it says EAGAIN, since pieces may be left in the reader.
 * 1 a piece; 0 end-of-file between two frames; -1 an error, EAGAIN in errnum when nothing is there,
 * ZL_ERR_PROTOCOL when the stream ends inside a frame.
 */
int mon_frame_read(struct mon_frame_reader *r, int fd, struct mon_frame *ret, struct zl_error *err);
/* Whether bytes are left that need no further read(2). */
bool mon_frame_pending(const struct mon_frame_reader *r);
/*
 * Gives each piece that is there to `take`, which says 1 to go on, 0 when it has enough, -1 for an
 * error. 1 to go on when the descriptor is ready again; 0 the stream is over, or it was enough; -1.
 */
int mon_frames_take(struct mon_frame_reader *r, int fd,
                    int (*take)(void *arg, const struct mon_frame *f, struct zl_error *err),
                    void *arg, struct zl_error *err);

#endif
