// SPDX-License-Identifier: Apache-2.0
/* One descriptor over a unix socket, beside a few bytes, in the form of others: runc's console
 * socket, listeners of seccomp, criu. Messages of our own are in base/msg.h. Async-signal-safe. */
#ifndef ZL_BASE_PASSFD_H
#define ZL_BASE_PASSFD_H

#include <stddef.h>
#include <sys/types.h>

/* Sends fd, which stays the caller's, with bytes[0..n), of which there must be one at least. No
 * SIGPIPE. -1 and errno; EMSGSIZE: only a part of the bytes went. */
int zl_fd_send(int socket, int fd, const void *bytes, size_t n);
/*
 * The descriptor of the next message, close-on-exec, the caller's; up to n of the bytes beside it
 * into bytes. flags as recvmsg(2), such as MSG_DONTWAIT. -1 and errno: EPIPE at the end of the
 * stream, EBADMSG when the message has not exactly one.
 */
int zl_fd_receive(int socket, int flags, void *bytes, size_t n);

#endif
