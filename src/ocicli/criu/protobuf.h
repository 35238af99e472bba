// SPDX-License-Identifier: Apache-2.0
/* The wire format of protocol buffers (protobuf.dev, "Encoding"), as much of it as criu's messages
 * have: integers, texts, messages in messages. */
#ifndef ZL_OCICLI_CRIU_PROTOBUF_H
#define ZL_OCICLI_CRIU_PROTOBUF_H

#include <stdint.h>

#include "base/buf.h"

/* A member behind what is in b; the buffer's own `failed` tells when it does not fit. Booleans and
 * enumerations are numbers. */
void pb_number(struct zl_buf *b, unsigned field, int64_t value);
void pb_text(struct zl_buf *b, unsigned field, const char *text);
void pb_message(struct zl_buf *b, unsigned field, const struct zl_buf *message);

struct pb_field {
    unsigned number;
    uint64_t value; /* of a number */
    const char *bytes;
    size_t n; /* of a text or message; bytes is NULL otherwise */
};
/* The next member of at .. end, which moves on: 1, 0 at the end, -1 when these are no members. */
int pb_next(const char **at, const char *end, struct pb_field *ret);

#endif
