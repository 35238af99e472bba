// SPDX-License-Identifier: Apache-2.0
/*
 * A file that one thread writes and another reads behind it: a download that is being unpacked.
 * What was written may turn out to be wrong and be written anew; the reader is told by an error and
 * may begin again.
 */
#ifndef ZL_FETCH_LAYER_GROWING_H
#define ZL_FETCH_LAYER_GROWING_H

#include <pthread.h>
#include <stdbool.h>

#include "fetch/input.h"

struct growing {
    pthread_mutex_t lock; /* of the rest */
    pthread_cond_t changed;
    uint64_t have;  /* bytes that may be read */
    unsigned round; /* how often it was begun anew */
    enum { GROWING, GROWN, GROWING_FAILED } state;
};

void growing_init(struct growing *g);
void growing_done(struct growing *g);

/* The writer's side. */
void growing_add(struct growing *g, uint64_t n);
void growing_restart(struct growing *g);
void growing_end(struct growing *g, bool failed);

/* The reader's side: the size is known before. A read waits for the writer; CANCELLED: it is
 * written anew, or not any more. */
struct growing_input {
    struct growing *growing;
    int fd;
    uint64_t at, size;
    unsigned round;
    char *piece; /* ours */
};
/* From the beginning of the present round. Borrows i, which must stay where it is. */
struct input growing_input(struct growing_input *i, struct growing *g, int fd, uint64_t size);
void growing_input_done(struct growing_input *i);
/* Whether the writer has begun anew: what was read is of no use, also when all of it was. Waits
 * until that is known: the file is whole, or will never be. */
bool growing_is_anew(const struct growing_input *i);

#endif
