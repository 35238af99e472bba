// SPDX-License-Identifier: Apache-2.0
/*
 * A disk that is slow, or broken, for as long as a test wants: fdatasync(2) of this process, in
 * which SQLite finds ours before that of libc.
 */
#ifndef ZL_TESTS_UNIT_AGENT_DISK_H
#define ZL_TESTS_UNIT_AGENT_DISK_H

enum disk { DISK_WORKS, DISK_WAITS, DISK_FAILS, DISK_FAILS_ONCE };

/* From now on, on all threads: who waits goes on as soon as it does not. FAILS_ONCE works again
 * after it, as the kernel tells a failure once, and takes the pages for clean then. */
void disk_set(enum disk how);
/* While it waits: the next n calls do not. */
void disk_let_pass(unsigned n);
/* How many calls failed so far. */
unsigned disk_failures(void);

#endif
