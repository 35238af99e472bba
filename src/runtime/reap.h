// SPDX-License-Identifier: Apache-2.0
/* The end of a helper that is not wanted any more. */
#ifndef ZL_RUNTIME_REAP_H
#define ZL_RUNTIME_REAP_H

struct event_base;

/*
 * SIGKILL to a child of ours, which is reaped when it has ended: mostly at once, which is waited
 * for; later, on the loop, when the kernel holds it (a bad disk, a server of files that does not
 * answer). pidfd is taken over; -1 is fine.
 */
void reap_killed(struct event_base *base, int pidfd);

#endif
