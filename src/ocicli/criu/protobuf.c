// SPDX-License-Identifier: Apache-2.0
#include "ocicli/criu/protobuf.h"

#include <string.h>

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* ---- writing ---- */

/* Seven bits a byte, the lowest first; the eighth says that more follow. */
static void varint(struct zl_buf *b, uint64_t v)
{
    for (; v > 0x7f; v >>= 7)
        zl_buf_addc(b, (char)(0x80 | (v & 0x7f)));
    zl_buf_addc(b, (char)v);
}

void pb_number(struct zl_buf *b, unsigned field, int64_t value)
{
    varint(b, field << 3 | WIRE_VARINT);
    varint(b, (uint64_t)value);
}

static void bytes(struct zl_buf *b, unsigned field, const char *data, size_t n)
{
    varint(b, field << 3 | WIRE_BYTES);
    varint(b, n);
    zl_buf_add(b, data, n);
}

void pb_text(struct zl_buf *b, unsigned field, const char *text)
{
    bytes(b, field, text, strlen(text));
}

void pb_message(struct zl_buf *b, unsigned field, const struct zl_buf *message)
{
    bytes(b, field, message->data, message->len);
    b->failed |= message->failed;
}

/* ---- reading ---- */

static int read_varint(const char **at, const char *end, uint64_t *ret)
{
    uint64_t v = 0;

    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        unsigned char c = (unsigned char)*(*at)++;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            *ret = v;
            return 0;
        }
    }
    return -1;
}

static int skip(const char **at, const char *end, size_t n)
{
    if ((size_t)(end - *at) < n)
        return -1;
    *at += n;
    return 0;
}

int pb_next(const char **at, const char *end, struct pb_field *ret)
{
    struct pb_field f = { 0 };
    uint64_t key, n;

    if (*at == end)
        return 0;
    if (read_varint(at, end, &key) < 0)
        return -1;
    f.number = (unsigned)(key >> 3);
    switch (key & 7) {
    case WIRE_VARINT:
        if (read_varint(at, end, &f.value) < 0)
            return -1;
        break;
    case WIRE_BYTES:
        if (read_varint(at, end, &n) < 0)
            return -1;
        f.bytes = *at;
        f.n = (size_t)n;
        if (n > (uint64_t)(end - *at) || skip(at, end, f.n) < 0)
            return -1;
        break;
    case WIRE_64:
    case WIRE_32:
        if (skip(at, end, (key & 7) == WIRE_64 ? 8 : 4) < 0)
            return -1;
        break;
    default:
        return -1;
    }
    *ret = f;
    return 1;
}
