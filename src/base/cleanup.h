// SPDX-License-Identifier: Apache-2.0
/*
 * Ownership by scope. A local that is marked zl_autofree, zl_autoclose or autoX is released when it
 * leaves scope; zl_take_ptr() and zl_take_fd() are the only ways to hand it on. Cleanups keep
 * errno, so an error path may report it after they ran.
 */
#ifndef ZL_BASE_CLEANUP_H
#define ZL_BASE_CLEANUP_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define ZL_CLEANUP(fn) __attribute__((cleanup(fn)))
#define ZL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ZL_MUST_USE __attribute__((warn_unused_result))
#define ZL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
/* The object that p, which is not NULL, points to the member of. */
#define zl_container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

/* Defines fn##p(), which calls fn on the variable that goes out of scope. fn must take NULL. */
#define ZL_DEFINE_CLEANUP(type, fn)                                                                \
    static inline void fn##p(type *p)                                                              \
    {                                                                                              \
        int saved = errno;                                                                         \
        fn(*p);                                                                                    \
        errno = saved;                                                                             \
    }

static inline void zl_freep(void *p)
{
    int saved = errno;
    free(*(void **)p);
    errno = saved;
}

static inline void zl_closep(const int *fd)
{
    int saved = errno;
    if (*fd >= 0)
        (void)close(*fd); /* nothing can be done about a failing close of a read or synced file */
    errno = saved;
}

#define zl_autofree ZL_CLEANUP(zl_freep)
#define zl_autoclose ZL_CLEANUP(zl_closep)

/* The value of *fd, which becomes -1: the caller's to close from now on. */
static inline int zl_take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#define zl_take_ptr(p)                                                                             \
    ({                                                                                             \
        __typeof__(p) zl_taken_ = (p);                                                             \
        (p) = NULL;                                                                                \
        zl_taken_;                                                                                 \
    })

#endif
