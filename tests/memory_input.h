// SPDX-License-Identifier: Apache-2.0
/* An input that hands out memory in pieces of `step` bytes. */
#ifndef ZL_TEST_MEMORY_INPUT_H
#define ZL_TEST_MEMORY_INPUT_H

#include "fetch/input.h"

struct memory {
    const char *bytes;
    size_t left, step;
};

static inline ssize_t memory_read(void *arg, const void **bytes, struct zl_error *err)
{
    struct memory *m = arg;
    size_t n = m->left < m->step ? m->left : m->step;
    (void)err;
    *bytes = m->bytes;
    m->bytes += n;
    m->left -= n;
    return (ssize_t)n;
}

static inline struct input memory_input(struct memory *m)
{
    return (struct input){ memory_read, NULL, m };
}

#endif
