// SPDX-License-Identifier: Apache-2.0
/* The tar reader and what stands before it: every dialect byte by byte, and what is damaged. */
#include "tarball.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include "../../memory_input.h"
#include "fetch/tar/decompress.h"
#include "fetch/tar/tar.h"

/* ---- archives written by hand ---------------------------------------------------------------- */

struct raw {
    char bytes[64 * 1024];
    size_t n;
};

static void raw_sum(char *block)
{
    unsigned sum = 0;
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)block[i];
    (void)snprintf(block + 148, 8, "%06o", sum);
}

/* A header; what is special is put into the block before raw_sum() is called again. */
static char *raw_header(struct raw *r, const char *name, char type, size_t size)
{
    char *block = r->bytes + r->n;
    memset(block, 0, 512);
    (void)snprintf(block, 100, "%s", name);
    (void)snprintf(block + 100, 8, "%07o", 0644U);
    (void)snprintf(block + 108, 8, "%07o", 0U);
    (void)snprintf(block + 116, 8, "%07o", 0U);
    (void)snprintf(block + 124, 12, "%011o", (unsigned)size);
    (void)snprintf(block + 136, 12, "%011o", 1000U);
    block[156] = type;
    memcpy(block + 257,
           "ustar\0"
           "00",
           8);
    raw_sum(block);
    r->n += 512;
    return block;
}

static void raw_data(struct raw *r, const char *bytes, size_t n)
{
    memcpy(r->bytes + r->n, bytes, n);
    memset(r->bytes + r->n + n, 0, 512);
    r->n += (n + 511) / 512 * 512;
}

static void raw_pax(struct raw *r, const char *records, size_t n)
{
    (void)raw_header(r, "pax", 'x', n);
    raw_data(r, records, n);
}

static void raw_end(struct raw *r)
{
    memset(r->bytes + r->n, 0, 1024);
    r->n += 1024;
}

struct reader {
    struct memory m;
    struct input in;
    struct tar *tar;
    struct tar_entry e;
    struct zl_error err;
};

static void reader_open(struct reader *r, const char *bytes, size_t n, size_t step)
{
    *r = (struct reader){ .m = { bytes, n, step } };
    r->in = memory_input(&r->m);
    assert_int_equal(tar_new(&r->in, &r->tar, &r->err), 0);
}

static void expect_entry(struct reader *r, enum tar_type type, const char *path)
{
    if (tar_next(r->tar, &r->e, &r->err) != 1)
        fail_msg("%s", r->err.msg);
    assert_int_equal(r->e.type, type);
    assert_string_equal(r->e.path, path);
}

/* The content, holes filled, as `out`, which has room for e.size. */
static void read_content(struct reader *r, char *out)
{
    const void *bytes;
    uint64_t offset;
    ssize_t n;
    memset(out, 0, r->e.size);
    while ((n = tar_data(r->tar, &bytes, &offset, &r->err)) > 0) {
        assert_true(offset + (uint64_t)n <= r->e.size);
        memcpy(out + offset, bytes, (size_t)n);
    }
    assert_int_equal(n, 0);
}

static void expect_end(struct reader *r)
{
    assert_int_equal(tar_next(r->tar, &r->e, &r->err), 0);
    tar_free(r->tar);
}

static void expect_refusal(struct raw *raw, const char *why)
{
    struct reader r;
    const void *bytes;
    uint64_t offset;
    int rc;
    reader_open(&r, raw->bytes, raw->n, 700);
    while ((rc = tar_next(r.tar, &r.e, &r.err)) > 0) {
        while ((rc = (int)tar_data(r.tar, &bytes, &offset, &r.err)) > 0)
            ;
        if (rc < 0)
            break;
    }
    assert_int_equal(rc, -1);
    if (!strstr(r.err.msg, why))
        fail_msg("'%s' says nothing of '%s'", r.err.msg, why);
    tar_free(r.tar);
}

/* ---- dialects -------------------------------------------------------------------------------- */

static void names_are_bytes_in_every_dialect(void **unused)
{
    static const char pax[] = "17 path=a/\xff\xfe/\xe9t\xe9\n26 SCHILY.xattr.user.x=\0y\n";
    char longer[301];
    (void)unused;
    struct raw raw = { .n = 0 };
    memset(longer, 'n', 300);
    longer[300] = '\0';
    (void)raw_header(&raw, "caf\xe9", '0', 0);
    raw_pax(&raw, pax, sizeof pax - 1);
    (void)raw_header(&raw, "short", '0', 0);
    (void)raw_header(&raw, "././@LongLink", 'L', 301);
    raw_data(&raw, longer, 301);
    (void)raw_header(&raw, "short", '0', 0);
    char *block = raw_header(&raw, "name", '0', 0);
    (void)snprintf(block + 345, 155, "the/prefix");
    raw_sum(block);
    raw_end(&raw);
    for (size_t step = 1; step < 2000; step += 511) {
        struct reader r;
        reader_open(&r, raw.bytes, raw.n, step);
        expect_entry(&r, TAR_FILE, "caf\xe9");
        expect_entry(&r, TAR_FILE, "a/\xff\xfe/\xe9t\xe9");
        assert_int_equal(r.e.n_xattrs, 1);
        assert_string_equal(r.e.xattrs[0].name, "user.x");
        assert_int_equal(r.e.xattrs[0].n, 2);
        assert_memory_equal(r.e.xattrs[0].value, "\0y", 2);
        expect_entry(&r, TAR_FILE, longer);
        expect_entry(&r, TAR_FILE, "the/prefix/name");
        assert_int_equal(r.e.n_xattrs, 0);
        expect_end(&r);
    }
}

static void numbers_may_be_octal_binary_or_decimal(void **unused)
{
    static const char pax[] = "18 uid=4000000000\n22 mtime=-1.250000000\n";
    (void)unused;
    struct raw raw = { .n = 0 };
    char *block = raw_header(&raw, "big", '0', 0);
    memcpy(block + 108, "\x80\0\0\0\x77\x35\x94\x00", 8);                        /* 2,000,000,000 */
    memcpy(block + 136, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12); /* -2 */
    raw_sum(block);
    raw_pax(&raw, pax, sizeof pax - 1);
    (void)raw_header(&raw, "pax", '0', 0);
    raw_end(&raw);
    struct reader r;
    reader_open(&r, raw.bytes, raw.n, 10000);
    expect_entry(&r, TAR_FILE, "big");
    assert_int_equal(r.e.uid, 2000000000);
    assert_int_equal(r.e.mtime.tv_sec, -2);
    expect_entry(&r, TAR_FILE, "pax");
    assert_true(r.e.uid == 4000000000U);
    assert_int_equal(r.e.mtime.tv_sec, -2);
    assert_int_equal(r.e.mtime.tv_nsec, 750000000);
    expect_end(&r);
}

/* "ab" at 1000 and "cd" at 5000 of 9000 bytes. */
static void expect_sparse(struct raw *raw)
{
    char content[9000];
    for (size_t step = 1; step < 2000; step += 997) {
        struct reader r;
        reader_open(&r, raw->bytes, raw->n, step);
        expect_entry(&r, TAR_FILE, "holes");
        assert_int_equal(r.e.size, 9000);
        read_content(&r, content);
        assert_memory_equal(content + 1000, "ab", 2);
        assert_memory_equal(content + 5000, "cd", 2);
        assert_int_equal(content[0] | content[1002] | content[8999], 0);
        expect_entry(&r, TAR_FILE, "next");
        expect_end(&r);
    }
}

/* As the pax header says of a file with this content. */
static void expect_sparse_pax(const char *pax, const char *name, const char *content, size_t n)
{
    struct raw raw = { .n = 0 };
    raw_pax(&raw, pax, strlen(pax));
    (void)raw_header(&raw, name, '0', n);
    raw_data(&raw, content, n);
    (void)raw_header(&raw, "next", '0', 0);
    raw_end(&raw);
    expect_sparse(&raw);
}

static void sparse_files_come_in_four_forms(void **unused)
{
    static const char v00[] = "28 GNU.sparse.realsize=9000\n"
                              "26 GNU.sparse.offset=1000\n25 GNU.sparse.numbytes=2\n"
                              "26 GNU.sparse.offset=5000\n25 GNU.sparse.numbytes=2\n";
    static const char v01[] = "24 GNU.sparse.size=9000\n39 GNU.sparse.map=1000,2,3000,0,5000,2\n";
    static const char v10[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
                              "25 GNU.sparse.name=holes\n28 GNU.sparse.realsize=9000\n";
    static const char map[] = "2\n1000\n2\n5000\n2\n";
    (void)unused;
    struct raw raw = { .n = 0 };
    char *block = raw_header(&raw, "holes", 'S', 4);
    memcpy(block + 386,
           "00000001750\0"
           "00000000002\0"
           "00000011610\0"
           "00000000002\0",
           48);
    memcpy(block + 483, "00000021450", 12);
    raw_sum(block);
    raw_data(&raw, "abcd", 4);
    (void)raw_header(&raw, "next", '0', 0);
    raw_end(&raw);
    expect_sparse(&raw);

    expect_sparse_pax(v01, "holes", "abcd", 4);
    expect_sparse_pax(v00, "holes", "abcd", 4);
    char content[516] = { 0 };
    memcpy(content, map, sizeof map - 1);
    memcpy(content + 512, "abcd", 4);
    expect_sparse_pax(v10, "GNUSparseFile.0/holes", content, sizeof content);
}

static void what_is_damaged_is_refused_with_the_reason(void **unused)
{
    static const struct {
        const char *pax;
        char type;
        const char *why;
    } cases[] = {
        { "9 path=a", '0', "pax header is damaged" },
        { "8 path=\n", 'Z', "type 0x5a" },
        { "99 path=a\n", '0', "pax header is damaged" },
        { "x path=a\n", '0', "pax header is damaged" },
        { "5 =a\n", '0', "pax header is damaged" },
        { "13 size=-100\n", '0', "not a valid number" },
        { "29 size=99999999999999999999\n", '0', "not a valid number" },
        { "18 uid=4294967295\n", '0', "out of range" },
        { "13 mtime=1.x\n", '0', "time is not a valid number" },
        { "24 GNU.sparse.size=9000\n20 GNU.sparse.map=1\n", '0', "map of a sparse file" },
        { "24 GNU.sparse.size=9000\n25 GNU.sparse.map=9000,4\n", '0', "map of the sparse file" },
        { "24 GNU.sparse.size=9000\n26 GNU.sparse.map=8,2,8,2\n", '0', "sparse file is damaged" },
        { "21 GNU.sparse.map=0,4\n", '0', "pax header is damaged" },
        { "22 GNU.sparse.map=0,4\n", '0', "map of the sparse file" },
    };
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        struct raw raw = { .n = 0 };
        raw_pax(&raw, cases[i].pax, strlen(cases[i].pax));
        (void)raw_header(&raw, "f", cases[i].type, 4);
        raw_data(&raw, "abcd", 4);
        raw_end(&raw);
        expect_refusal(&raw, cases[i].why);
    }
    struct raw raw = { .n = 0 };
    (void)raw_header(&raw, "f", '0', 0);
    raw.bytes[3] ^= 1;
    raw_end(&raw);
    expect_refusal(&raw, "not a tar archive");
    raw.n = 0;
    raw_end(&raw);
    raw.n = 512; /* one block of zeros, and then an entry */
    (void)raw_header(&raw, "f", '0', 0);
    expect_refusal(&raw, "damaged at byte 512");
    raw.n = 0;
    raw_pax(&raw, "9 path=a\n", 9);
    expect_refusal(&raw, "cut off");
    raw.n = 0;
    (void)raw_header(&raw, "././@LongLink", 'L', (size_t)2 << 20);
    expect_refusal(&raw, "too large");
}

/* ---- packing --------------------------------------------------------------------------------- */

static void expect_unpacked(const char *bytes, size_t n, const char *wanted, size_t wanted_n)
{
    for (size_t step = 1; step <= n; step = step * 7 + 1) {
        struct memory m = { bytes, n, step };
        const struct input raw = memory_input(&m);
        struct zl_error err;
        autodecompress struct decompress *d = NULL;
        assert_int_equal(decompress_new(&raw, &d, &err), 0);
        const struct input in = decompress_input(d);
        const void *piece;
        ssize_t got;
        size_t at = 0;
        while ((got = in.read(in.arg, &piece, &err)) > 0) {
            assert_true(at + (size_t)got <= wanted_n);
            assert_memory_equal(piece, wanted + at, (size_t)got);
            at += (size_t)got;
        }
        if (got < 0)
            fail_msg("%s", err.msg);
        assert_int_equal(at, wanted_n);
    }
}

static int unpack_error(const char *bytes, size_t n, struct zl_error *err)
{
    struct memory m = { bytes, n, 5 };
    const struct input raw = memory_input(&m);
    autodecompress struct decompress *d = NULL;
    assert_int_equal(decompress_new(&raw, &d, err), 0);
    const struct input in = decompress_input(d);
    const void *piece;
    ssize_t got;
    while ((got = in.read(in.arg, &piece, err)) > 0)
        ;
    return (int)got;
}

static size_t gzip(const char *text, size_t n, char *out, size_t room)
{
    struct isal_zstream z;
    isal_deflate_init(&z);
    z.gzip_flag = IGZIP_GZIP;
    z.end_of_stream = 1;
    z.next_in = (uint8_t *)(uintptr_t)text;
    z.avail_in = (uint32_t)n;
    z.next_out = (uint8_t *)out;
    z.avail_out = (uint32_t)room;
    assert_int_equal(isal_deflate(&z), COMP_OK);
    return room - z.avail_out;
}

enum { TEXT = 700000 };

static void members_and_frames_follow_each_other(void **unused)
{
    (void)unused;
    char *text = malloc(2 * TEXT), *packed = malloc(4 * TEXT);
    assert_true(text && packed);
    for (size_t i = 0; i < 2 * TEXT; i++)
        text[i] = (char)("zlayer"[i % 6] + (i / 1000) % 7);
    size_t n = gzip(text, TEXT, packed, 2 * TEXT);
    n += gzip(text + TEXT, TEXT, packed + n, 2 * TEXT);
    expect_unpacked(packed, n, text, (size_t)2 * TEXT);
    memset(packed + n, 0, 1000); /* padding */
    expect_unpacked(packed, n + 1000, text, (size_t)2 * TEXT);
    struct zl_error err;
    assert_int_equal(unpack_error(packed, n - 3, &err), -1);
    assert_non_null(strstr(err.msg, "cut off"));
    packed[n - 5] ^= 1;
    assert_int_equal(unpack_error(packed, n, &err), -1);
    assert_non_null(strstr(err.msg, "damaged"));

    memcpy(packed, "\x51\x2a\x4d\x18\x03\0\0\0abc", 11); /* a frame to be skipped */
    n = 11 + ZSTD_compress(packed + 11, (size_t)2 * TEXT, text, TEXT, 1);
    n += ZSTD_compress(packed + n, (size_t)2 * TEXT, text + TEXT, TEXT, 1);
    expect_unpacked(packed, n, text, (size_t)2 * TEXT);
    assert_int_equal(unpack_error(packed, n - 3, &err), -1);
    assert_non_null(strstr(err.msg, "cut off"));
    expect_unpacked("abc", 3, "abc", 3);
    assert_int_equal(unpack_error("\xfd"
                                  "7zXZ\0 and more",
                                  15, &err),
                     -1);
    assert_int_equal(err.kind, ZL_ERR_UNSUPPORTED);
    free(text);
    free(packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_bytes_in_every_dialect),
        cmocka_unit_test(numbers_may_be_octal_binary_or_decimal),
        cmocka_unit_test(sparse_files_come_in_four_forms),
        cmocka_unit_test(what_is_damaged_is_refused_with_the_reason),
        cmocka_unit_test(members_and_frames_follow_each_other),
    };
    return cmocka_run_group_tests_name("tar", tests, NULL, NULL);
}
