// SPDX-License-Identifier: Apache-2.0
/*
 * Signals of a process that is about to execute another program: exec(2) resets handlers, but keeps
 * what is ignored and blocked, and no program expects either.
 */
#ifndef ZL_BASE_SIGNALS_H
#define ZL_BASE_SIGNALS_H

/*
 * Every signal to its default disposition, none blocked. Also 32 to 34, which both libcs keep for
 * their threads and refuse to touch: posix_spawn(3) of glibc 2.36 leaves two of them ignored in
 * every child, so whatever make(1) or the like started inherits that. Raw rt_sigaction(2):
 * async-signal-safe, allocates nothing, fit for a child that shares our memory but not our
 * handlers.
 */
void zl_signals_to_default(void);

#endif
