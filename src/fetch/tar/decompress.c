// SPDX-License-Identifier: Apache-2.0
#include "fetch/tar/decompress.h"

#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { HEAD = 6, OUT_SIZE = 256 * 1024 };

struct decompress {
    const struct input *in;
    const struct method *method; /* NULL: the first bytes were not looked at */
    unsigned char head[HEAD];    /* these bytes, which come again */
    size_t n_head;
    const uint8_t *next; /* of the piece in hand */
    size_t avail;
    bool ended;  /* the input has */
    bool inside; /* in the middle of a member or frame: it must not end here */
    ZSTD_DCtx *zstd;
    struct inflate_state gzip;
    uint8_t out[OUT_SIZE];
};

struct method {
    enum packing packing;
    const char *name;
    const char *magic;
    size_t n_magic;
    int (*begin)(struct decompress *d, struct zl_error *err);
    /* Some of out, from d->next: how much; 0: more input is needed; -1. */
    ssize_t (*step)(struct decompress *d, const void **bytes, struct zl_error *err);
};

/* The next piece into d->next. */
static int refill(struct decompress *d, struct zl_error *err)
{
    const void *bytes = NULL;
    ssize_t n = d->in->read(d->in->arg, &bytes, err);
    if (n < 0)
        return -1;
    d->ended = n == 0;
    d->next = bytes;
    d->avail = (size_t)n;
    return 0;
}

/* ---- as it is -------------------------------------------------------------------------------- */

static int plain_begin(struct decompress *d, struct zl_error *err)
{
    (void)d;
    (void)err;
    return 0;
}

static ssize_t plain_step(struct decompress *d, const void **bytes, struct zl_error *err)
{
    size_t n = d->avail;
    (void)err;
    *bytes = d->next;
    d->avail = 0;
    return (ssize_t)n;
}

/* ---- gzip ------------------------------------------------------------------------------------ */

static int gzip_begin(struct decompress *d, struct zl_error *err)
{
    (void)err;
    isal_inflate_init(&d->gzip);
    d->gzip.crc_flag = ISAL_GZIP; /* read the header, check the trailer */
    return 0;
}

/* Between members: zeros are padding (gzip(1)), anything else begins the next one. */
static bool skip_padding(struct decompress *d)
{
    while (d->avail && !*d->next) {
        d->next++;
        d->avail--;
    }
    if (!d->avail)
        return false;
    isal_inflate_reset(&d->gzip);
    d->inside = true;
    return true;
}

static ssize_t gzip_step(struct decompress *d, const void **bytes, struct zl_error *err)
{
    struct inflate_state *z = &d->gzip;
    if (!d->inside && !skip_padding(d))
        return 0;
    z->next_in = (uint8_t *)(uintptr_t)d->next; /* it is only read: the library lacks the const */
    z->avail_in = (uint32_t)d->avail;
    z->next_out = d->out;
    z->avail_out = OUT_SIZE;
    int rc = isal_inflate(z);
    if (rc != ISAL_DECOMP_OK && rc != ISAL_END_INPUT)
        return zl_fail(err, ZL_ERR_INVALID, "the gzip data is damaged (%s)",
                       rc == ISAL_INCORRECT_CHECKSUM ? "wrong checksum" : "not valid deflate");
    d->next = z->next_in;
    d->avail = z->avail_in;
    d->inside = z->block_state != ISAL_BLOCK_FINISH;
    *bytes = d->out;
    return OUT_SIZE - (ssize_t)z->avail_out;
}

/* ---- zstd ------------------------------------------------------------------------------------ */

static int zstd_begin(struct decompress *d, struct zl_error *err)
{
    d->zstd = ZSTD_createDCtx(); /* windows up to 128 MiB, its default */
    return d->zstd ? 0 : zl_fail(err, ZL_ERR_SYSTEM, "decompress: out of memory");
}

static ssize_t zstd_step(struct decompress *d, const void **bytes, struct zl_error *err)
{
    ZSTD_inBuffer in = { d->next, d->avail, 0 };
    ZSTD_outBuffer out = { d->out, OUT_SIZE, 0 };
    size_t rc = ZSTD_decompressStream(d->zstd, &out, &in);
    if (ZSTD_isError(rc))
        return zl_fail(err, ZL_ERR_INVALID, "the zstd data is damaged (%s)", ZSTD_getErrorName(rc));
    d->next += in.pos;
    d->avail -= in.pos;
    d->inside = rc != 0;
    *bytes = d->out;
    return (ssize_t)out.pos;
}

/* ---- choosing, reading ----------------------------------------------------------------------- */

static int unknown_begin(struct decompress *d, struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_UNSUPPORTED,
                   "it is compressed by %s; gzip, zstd and none are supported", d->method->name);
}

/* clang-format off */
static const struct method methods[] = {
    { PACKED_GZIP, "gzip",  "\x1f\x8b",         2, gzip_begin,    gzip_step },
    { PACKED_ZSTD, "zstd",  "\x28\xb5\x2f\xfd", 4, zstd_begin,    zstd_step },
    { PACKED_NOT,  "xz",    "\xfd" "7zXZ",      5, unknown_begin, NULL },
    { PACKED_NOT,  "bzip2", "BZh",              3, unknown_begin, NULL },
    { PACKED_NOT,  "none",  "",                 0, plain_begin,   plain_step },
};
/* clang-format on */

/* A skippable frame may come first: 0x184D2A5? (RFC 8878, 3.1.2). */
static bool is_skippable(const unsigned char *head, size_t n)
{
    return n >= 4 && (head[0] & 0xf0) == 0x50 && memcmp(head + 1, "\x2a\x4d\x18", 3) == 0;
}

static bool is_method(const struct method *m, const unsigned char *head, size_t n)
{
    return (n >= m->n_magic && memcmp(head, m->magic, m->n_magic) == 0) ||
           (m->packing == PACKED_ZSTD && is_skippable(head, n));
}

/* Pieces may be short: looks at the first bytes and has them come again. */
static int choose(struct decompress *d, struct zl_error *err)
{
    while (d->n_head < HEAD && !d->ended) {
        if (!d->avail && refill(d, err) < 0)
            return -1;
        size_t n = d->avail < HEAD - d->n_head ? d->avail : HEAD - d->n_head;
        if (n)
            memcpy(d->head + d->n_head, d->next, n);
        d->n_head += n;
        d->next += n;
        d->avail -= n;
    }
    d->method = methods;
    while (!is_method(d->method, d->head, d->n_head))
        d->method++; /* the last one fits everything */
    d->inside = d->method->packing != PACKED_NOT;
    return d->method->begin(d, err);
}

/* The bytes that were looked at; afterwards the rest of their piece. */
static ssize_t replay_head(struct decompress *d, const void **bytes, struct zl_error *err)
{
    const uint8_t *next = d->next;
    size_t avail = d->avail;
    d->next = d->head;
    d->avail = d->n_head;
    ssize_t n = d->method->step(d, bytes, err);
    if (n < 0)
        return -1;
    if (d->avail) /* cannot be with buffers of these sizes, but nothing may be lost */
        return zl_fail(err, ZL_ERR_INTERNAL, "decompress: the first bytes were not taken");
    d->n_head = 0;
    d->next = next;
    d->avail = avail;
    return n;
}

static ssize_t decompress_read(void *arg, const void **bytes, struct zl_error *err)
{
    struct decompress *d = arg;
    ssize_t n = 0;
    if (!d->method && choose(d, err) < 0)
        return -1;
    if (d->n_head)
        n = replay_head(d, bytes, err);
    while (n == 0) {
        if (!d->avail && !d->ended && refill(d, err) < 0)
            return -1;
        /* A full buffer of output may leave some inside, also when the input has ended. */
        n = d->avail || d->inside ? d->method->step(d, bytes, err) : 0;
        if (n == 0 && d->ended && d->inside)
            return zl_fail(err, ZL_ERR_INVALID, "the %s data is cut off", d->method->name);
        if (n == 0 && d->ended)
            return 0;
    }
    return n;
}

int decompress_new(const struct input *in, struct decompress **ret, struct zl_error *err)
{
    struct decompress *d = malloc(sizeof *d); /* a large part need not be cleared */
    if (!d)
        return zl_fail_errno(err, "decompress");
    memset(d, 0, offsetof(struct decompress, gzip));
    d->in = in;
    *ret = d;
    return 0;
}

void decompress_free(struct decompress *d)
{
    if (!d)
        return;
    (void)ZSTD_freeDCtx(d->zstd); /* always 0 */
    free(d);
}

struct input decompress_input(struct decompress *d)
{
    return (struct input){ decompress_read, NULL, d, false };
}

enum packing decompress_packing(const struct decompress *d)
{
    return d->method ? d->method->packing : PACKED_NOT;
}
