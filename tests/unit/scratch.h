// SPDX-License-Identifier: Apache-2.0
/* A temporary directory of a test, and what cmocka wants to have included first. */
#ifndef ZL_TEST_SCRATCH_H
#define ZL_TEST_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

struct scratch {
    char path[64];
    int fd;
};

static inline struct scratch scratch_open(void)
{
    struct scratch s = { .path = "/tmp/zlayer-unit.XXXXXX" };
    assert_non_null(mkdtemp(s.path));
    s.fd = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(s.fd >= 0);
    return s;
}

static inline void scratch_remove(struct scratch *s)
{
    struct zl_error err;
    (void)close(s->fd);
    if (zl_remove_tree(AT_FDCWD, s->path, &err) < 0)
        fail_msg("%s", err.msg);
}

/* Of a call that must not fail. */
#define ok(call)                                                                                   \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg("%s: %s", #call, err.msg);                                                    \
    } while (0)

#endif
