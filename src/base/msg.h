// SPDX-License-Identifier: Apache-2.0
/*
 * Messages over an AF_UNIX SOCK_SEQPACKET socket: one packet is a header and a body, and may carry
 * descriptors. A packet arrives whole or not at all, so there is no framing to get wrong. Fields of
 * a body are only ever appended: a reader takes what it knows and finds zeros where an older writer
 * sent less.
 */
#ifndef ZL_BASE_MSG_H
#define ZL_BASE_MSG_H

#include <stdint.h>

#include "base/error.h"

enum {
    ZL_MSG_MAX = 128 * 1024, /* of a packet, header included; larger things travel as a memfd */
    ZL_MSG_FDS = 160,        /* at most this many descriptors in one packet (SCM_MAX_FD is 253) */
};

struct zl_msg_header {
    uint16_t version; /* of the sender's protocol */
    uint16_t type;
    uint32_t length; /* of the body */
    uint64_t op;     /* chosen by who asks, repeated in the answer */
};

struct zl_msg {
    struct zl_msg_header head;
    const void *body; /* borrowed: of the caller when sending, of the receive buffer otherwise */
    int fds[ZL_MSG_FDS];
    int n_fds; /* received descriptors are close-on-exec and the receiver's to close */
};

/* One packet. ret -1 with EAGAIN in errnum when a non-blocking socket is full. fds stay the
 * sender's. */
int zl_msg_send(int sock, const struct zl_msg *m, struct zl_error *err);
/*
 * One packet into buf (of at least ZL_MSG_MAX bytes). 1 a message; 0 end-of-file; -1 an error, with
 * EAGAIN in errnum when none is there. A packet that lies about its length is ZL_ERR_PROTOCOL.
 */
int zl_msg_recv(int sock, void *buf, size_t size, struct zl_msg *m, struct zl_error *err);
/* Closes the descriptors that nobody took (took: set to -1). */
void zl_msg_close_fds(struct zl_msg *m);
/* Copies the body into *out, a struct of `size` bytes that is zeroed first. */
void zl_msg_body(const struct zl_msg *m, void *out, size_t size);

#endif
