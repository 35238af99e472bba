// SPDX-License-Identifier: Apache-2.0
/*
 * Starting a program of ours, or a foreign one: default signals, no descriptor but those named, and
 * no copy of our page tables, however big we are (posix_spawn(3) borrows our memory until exec).
 */
#ifndef ZL_BASE_LAUNCH_H
#define ZL_BASE_LAUNCH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

enum { ZL_LAUNCH_FDS = 8 };

struct zl_launch {
    const char *program; /* a path; never looked up in $PATH */
    char *const *argv;
    char *const *env; /* NULL: our own */
    const char *cwd;  /* NULL: ours */
    int fds[ZL_LAUNCH_FDS];
    size_t n_fds; /* fds[i] becomes descriptor i; -1: /dev/null */
    bool session; /* a session of its own: no signal of a terminal reaches it */
};

struct zl_child {
    pid_t pid;
    int pidfd; /* the caller's to close; ready to read when the process has ended */
};

/*
 * The program that a user means by `name`, as execvp(3) would find it: a name with a slash is its
 * path, another is looked for in $PATH ("/usr/local/bin:/usr/bin:/bin" when that is not set), empty
 * elements of which do not count. NOT_FOUND: there is none that we may execute. Programs of our own
 * are not looked for so: base/helper.h.
 */
int zl_find_program(const char *name, char ret[PATH_MAX], struct zl_error *err);

/* The descriptors are borrowed. The child must be waited for (waitid(2) with P_PIDFD). */
int zl_launch(const struct zl_launch *s, struct zl_child *ret, struct zl_error *err);

#endif
