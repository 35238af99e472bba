// SPDX-License-Identifier: Apache-2.0
#include "../scratch.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/launch.h"
#include "base/log.h"
#include "base/map.h"
#include "base/msg.h"
#include "base/passfd.h"
#include "base/stdfds.h"
#include "base/utf8.h"

enum { MAP_MANY = 3000 };

/* Every third key is there twice. */
static void a_map_finds_each_of_many_and_those_with_the_same_key(void **unused)
{
    (void)unused;
    static struct zl_map_node nodes[MAP_MANY], twins[MAP_MANY];
    struct zl_map m = { 0 };
    for (uint64_t i = 0; i < MAP_MANY; i++) {
        zl_map_add(&m, &nodes[i], i << 40);
        if (i % 3 == 0)
            zl_map_add(&m, &twins[i], i << 40);
    }
    for (uint64_t i = 0; i < MAP_MANY; i += 2)
        zl_map_remove(&m, &nodes[i]);
    zl_map_remove(&m, &nodes[0]); /* it is in no map any more */
    for (uint64_t i = 0; i < MAP_MANY; i++) {
        size_t n = 0;
        for (const struct zl_map_node *x = zl_map_find(&m, i << 40); x; x = zl_map_next(x), n++)
            assert_true(x == &nodes[i] || x == &twins[i]);
        assert_int_equal(n, i % 2 + (i % 3 == 0));
    }
    assert_null(zl_map_find(&m, 7));
    assert_int_equal(m.n, MAP_MANY / 2 + MAP_MANY / 3);
    zl_map_done(&m);
}

static void an_error_tells_the_story_from_the_outside_in(void **unused)
{
    (void)unused;
    struct zl_error err;
    errno = EPERM;
    assert_int_equal(zl_fail_errno(&err, "mount '%s'", "/proc"), -1);
    assert_int_equal(zl_wrap(&err, "start %s", "web-rep-1"), -1);
    assert_string_equal(err.msg, "start web-rep-1: mount '/proc': Operation not permitted");
    assert_int_equal(err.errnum, EPERM);
    assert_non_null(strstr(err.where, "test_base.c:"));
}

static void an_error_longer_than_its_room_says_that_it_was_cut(void **unused)
{
    (void)unused;
    struct zl_error err;
    char big[3000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    (void)zl_fail(&err, ZL_ERR_INVALID, "%s", big);
    assert_string_equal(err.msg + sizeof err.msg - 5, "x...");
    (void)zl_wrap(&err, "outer");
    assert_memory_equal(err.msg, "outer: xxx", 10);
    assert_string_equal(err.msg + sizeof err.msg - 4, "...");
}

/* Names of files and entries are bytes; what is said of them becomes JSON. */
static void an_error_is_text_whatever_it_tells_of(void **unused)
{
    (void)unused;
    struct zl_error err;
    char big[3000] = "x";
    (void)zl_fail(&err, ZL_ERR_INVALID, "open 'caf\xe9', '\xe2\x82\xac', '\xff'");
    assert_string_equal(err.msg, "open 'caf\\xe9', '\xe2\x82\xac', '\\xff'");
    for (size_t i = 1; i + 2 < sizeof big; i += 2)
        memcpy(big + i, "\xc3\xa9", 2);
    for (size_t shift = 0; shift < 2; shift++) { /* a character would be cut in one of them */
        (void)zl_fail(&err, ZL_ERR_INVALID, "%s", big + 1 - shift);
        assert_int_equal(zl_utf8_check(err.msg, strlen(err.msg)), strlen(err.msg));
        assert_string_equal(err.msg + strlen(err.msg) - 5, "\xc3\xa9...");
    }
}

static void a_buffer_stops_at_its_maximum_and_says_so(void **unused)
{
    (void)unused;
    zl_autobuf struct zl_buf b = ZL_BUF(8);
    struct zl_error err;
    zl_buf_adds(&b, "12345");
    assert_int_equal(zl_buf_check(&b, "the text", &err), 0);
    zl_buf_addf(&b, "%d", 6789);
    assert_string_equal(b.data, "12345");
    assert_int_equal(zl_buf_check(&b, "the text", &err), -1);
    assert_string_equal(err.msg, "the text is larger than 8 bytes");
    zl_buf_reset(&b);
    zl_buf_addf(&b, "%s", "12345678");
    zl_buf_consume(&b, 3);
    assert_string_equal(b.data, "45678");
    char *s = zl_buf_steal(&b);
    assert_string_equal(s, "45678");
    free(s);
    s = zl_buf_steal(&b);
    assert_string_equal(s, "");
    free(s);
}

static void times_are_written_as_rfc_3339(void **unused)
{
    (void)unused;
    static const struct {
        int64_t ns;
        int digits;
        const char *text;
    } cases[] = {
        { 0, 0, "1970-01-01T00:00:00Z" },
        { -1, 9, "1969-12-31T23:59:59.999999999Z" },
        { 951827696123456789, 9, "2000-02-29T12:34:56.123456789Z" },
        { 4107542400000000000, 3, "2100-03-01T00:00:00.000Z" },
        { 1795458481000000000, 0, "2026-11-23T18:28:01Z" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        char out[ZL_RFC3339_SIZE];
        assert_int_equal(zl_format_rfc3339(cases[i].ns, cases[i].digits, out),
                         strlen(cases[i].text));
        assert_string_equal(out, cases[i].text);
    }
}

static void rfc_3339_is_read_with_any_offset(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T00:00:01.5z", 1500000000 },
        { "1969-12-31T23:59:59.999999999Z", -1 },
        { "2026-11-23t18:28:01Z", 1795458481000000000 },
        { "2026-11-23T19:28:01+01:00", 1795458481000000000 },
        { "2026-11-23T15:58:01-02:30", 1795458481000000000 },
        { "2026-11-24T00:13:01.0000000009+05:45", 1795458481000000000 },
        { "2028-02-29T00:00:00-00:00", 1835395200000000000 },
        { "2016-12-31T23:59:60Z", 1483228800000000000 },
        { "2017-01-01T00:59:60+01:00", 1483228800000000000 },
        { "1677-09-22T00:00:00Z", -9223286400000000000 },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        int64_t ns;
        struct zl_error err = { 0 };
        if (zl_parse_rfc3339(cases[i].text, &ns, &err) < 0)
            fail_msg("%s", err.msg);
        assert_int_equal(ns, cases[i].ns);
    }
}

static void what_is_no_time_is_refused(void **unused)
{
    (void)unused;
    static const char *const texts[] = {
        "",
        "now",
        "2026-11-23",
        "2026-11-23T18:28Z",
        "2026-11-23T18:28:01",
        "2026-11-23 18:28:01Z",
        "2026-11-23T18:28:01Zx",
        " 2026-11-23T18:28:01Z",
        "2026-1-23T18:28:01Z",
        "26-11-23T18:28:01Z",
        "2026-00-23T18:28:01Z",
        "2026-13-23T18:28:01Z",
        "2026-11-31T18:28:01Z",
        "2026-11-00T18:28:01Z",
        "2026-02-29T18:28:01Z",
        "2100-02-29T18:28:01Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T18:60:01Z",
        "2026-11-23T18:28:61Z",
        "2026-11-23T18:28:60Z",
        "2026-11-23T18:28:01.Z",
        "2026-11-23T18:28:01,5Z",
        "2026-11-23T18:28:01+1:00",
        "2026-11-23T18:28:01+0100",
        "2026-11-23T18:28:01+24:00",
        "2026-11-23T18:28:01+01:60",
        "2026-11-23T18:28:01+01",
        "+026-11-23T18:28:01Z",
        "2026-11--3T18:28:01Z",
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(texts); i++) {
        int64_t ns = 7;
        struct zl_error err = { 0 };
        if (zl_parse_rfc3339(texts[i], &ns, &err) == 0)
            fail_msg("'%s' is accepted", texts[i]);
        assert_int_equal(err.kind, ZL_ERR_INVALID);
        assert_int_equal(ns, 7);
    }
    struct zl_error err = { 0 };
    int64_t ns;
    assert_int_equal(zl_parse_rfc3339("1600-01-01T00:00:00Z", &ns, &err), -1);
    assert_string_equal(err.msg, "'1600-01-01T00:00:00Z' is outside of the years 1678 to 2261");
    assert_int_equal(zl_parse_rfc3339("2300-01-01T00:00:00Z", &ns, &err), -1);
    assert_int_equal(zl_parse_rfc3339("9999-12-31T23:59:59Z", &ns, &err), -1);
    assert_int_equal(zl_parse_rfc3339("0000-01-01T00:00:00Z", &ns, &err), -1);
}

static void days_and_dates_are_two_spellings(void **unused)
{
    (void)unused;
    int64_t day = zl_days_from_civil(-801, 1, 1);
    for (int64_t y = -801; y <= 2400; y++) {
        for (int m = 1; m <= 12; m++) {
            for (int d = 1; d <= zl_days_in_month(y, m); d++, day++) {
                int64_t year;
                int month, dom;
                zl_civil_from_days(day, &year, &month, &dom);
                if (year != y || month != m || dom != d || zl_days_from_civil(y, m, d) != day)
                    fail_msg("%lld-%d-%d", (long long)y, m, d);
            }
        }
    }
    assert_int_equal(zl_days_from_civil(1970, 1, 1), 0);
    assert_int_equal(zl_days_from_civil(2027, 1, 366), zl_days_from_civil(2028, 1, 1));
}

static void ids_survive_the_round_trip_and_nothing_else_is_an_id(void **unused)
{
    (void)unused;
    static const uint64_t ids[] = { 1, UINT64_MAX, 0x0123456789abcdef, UINT64_C(1) << 63 };
    char text[ZL_ID_LEN + 1];
    uint64_t back;
    for (size_t i = 0; i < ZL_ARRAY_LEN(ids); i++) {
        zl_id_format(ids[i], text);
        assert_int_equal(strlen(text), ZL_ID_LEN);
        assert_true(zl_id_parse(text, &back));
        assert_int_equal(back, ids[i]);
    }
    assert_false(zl_id_parse("", &back));
    assert_false(zl_id_parse("aaaaaaaaaaaa", &back));
    assert_false(zl_id_parse("aaaaaaaaaaaaaa", &back));
    assert_false(zl_id_parse("aaaaaaaaaaaa1", &back));
    assert_false(zl_id_parse("aaaaaaaaaaaab", &back)); /* the padding bit is set */
    assert_true(zl_id_random() != zl_id_random());
}

static void a_path_of_an_image_cannot_leave_its_root(void **unused)
{
    (void)unused;
    struct scratch s = scratch_open();
    int dir = s.fd;
    struct zl_error err;
    (void)close(zl_mkdir_p(dir, "root/etc", 0755, &err));
    assert_int_equal(zl_write_atomic(dir, "secret", "no", 2, 0600, false, &err), 0);
    zl_autoclose int root = zl_open_dir(dir, "root", &err);
    assert_int_equal(zl_write_atomic(root, "inside", "yes", 3, 0600, true, &err), 0);
    assert_int_equal(symlinkat("../../../../secret", root, "etc/out"), 0);
    assert_int_equal(symlinkat("/inside", root, "etc/in"), 0);

    assert_int_equal(zl_open_in_root(root, "etc/out", O_RDONLY, &err), -1);
    assert_int_equal(err.errnum, ENOENT);
    zl_autoclose int in = zl_open_in_root(root, "/etc/in", O_RDONLY, &err);
    assert_true(in >= 0);
    assert_int_equal(zl_open_beneath(root, "etc/in", O_RDONLY, 0, &err), -1);
    assert_int_equal(err.errnum, EXDEV);
    assert_int_equal(zl_open_beneath(root, "../secret", O_RDONLY, 0, &err), -1);
    scratch_remove(&s);
}

static void a_file_is_replaced_whole_with_the_mode_that_was_asked(void **unused)
{
    (void)unused;
    struct scratch s = scratch_open();
    int dir = s.fd;
    struct zl_error err;
    zl_autobuf struct zl_buf b = ZL_BUF(16);
    struct stat st;
    assert_int_equal(zl_write_atomic(dir, "f", "one", 3, 0644, true, &err), 0);
    assert_int_equal(zl_write_atomic(dir, "f", "second", 6, 0600, true, &err), 0);
    assert_int_equal(zl_read_file(dir, "f", &b, &err), 0);
    assert_string_equal(b.data, "second");
    assert_int_equal(fstatat(dir, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    assert_int_equal(zl_write_atomic(dir, "big", "0123456789abcdefg", 17, 0600, false, &err), 0);
    zl_buf_reset(&b);
    assert_int_equal(zl_read_file(dir, "big", &b, &err), -1);
    assert_string_equal(err.msg, "'big' is larger than 16 bytes");
    scratch_remove(&s);
}

static void removing_a_tree_does_not_follow_symlinks(void **unused)
{
    (void)unused;
    struct scratch s = scratch_open();
    int dir = s.fd;
    struct zl_error err;
    (void)close(zl_mkdir_p(dir, "keep", 0755, &err));
    assert_int_equal(zl_write_atomic(dir, "keep/f", "x", 1, 0600, false, &err), -1);
    zl_autoclose int keep = zl_open_dir(dir, "keep", &err);
    assert_int_equal(zl_write_atomic(keep, "f", "x", 1, 0600, false, &err), 0);
    (void)close(zl_mkdir_p(dir, "gone/a/b", 0755, &err));
    assert_int_equal(symlinkat("../keep", dir, "gone/link"), 0);
    assert_int_equal(zl_remove_tree(dir, "gone", &err), 0);
    assert_int_equal(zl_remove_tree(dir, "gone", &err), 0);
    assert_int_equal(faccessat(keep, "f", F_OK, 0), 0);
    assert_int_equal(faccessat(dir, "gone", F_OK, 0), -1);
    scratch_remove(&s);
}

static void a_message_carries_its_body_and_its_descriptors(void **unused)
{
    (void)unused;
    int pair[2], probe[2];
    struct zl_error err;
    static char buf[ZL_MSG_MAX];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pipe2(probe, O_CLOEXEC), 0);
    struct zl_msg m = { .head = { 1, 7, 5, 42 }, .body = "hello", .fds = { probe[1] }, .n_fds = 1 };
    assert_int_equal(zl_msg_send(pair[0], &m, &err), 0);

    struct zl_msg got;
    assert_int_equal(zl_msg_recv(pair[1], buf, sizeof buf, &got, &err), 1);
    assert_int_equal(got.head.type, 7);
    assert_int_equal(got.head.op, 42);
    assert_memory_equal(got.body, "hello", 5);
    assert_int_equal(got.n_fds, 1);
    assert_int_equal(fcntl(got.fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(write(got.fds[0], "z", 1), 1);
    zl_msg_close_fds(&got);

    uint64_t longer[2] = { 1, 1 };
    zl_msg_body(&got, longer, sizeof longer); /* an older writer sent less: the rest is zero */
    assert_int_equal(longer[1], 0);

    assert_int_equal(send(pair[0], "short", 5, 0), 5);
    assert_int_equal(zl_msg_recv(pair[1], buf, sizeof buf, &got, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_PROTOCOL);
    (void)close(pair[0]);
    assert_int_equal(zl_msg_recv(pair[1], buf, sizeof buf, &got, &err), 0);
    (void)close(pair[1]);
    (void)close(probe[0]);
    (void)close(probe[1]);
}

/* Nothing but the header makes a message, but the kernel delivers descriptors with no byte too. */
static void an_empty_packet_leaves_no_descriptor(void **unused)
{
    (void)unused;
    int pair[2], probe[2];
    struct zl_error err;
    static char buf[ZL_MSG_MAX];
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr head;
    } control = { 0 };
    struct msghdr mh = { .msg_control = &control, .msg_controllen = sizeof control };
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pipe2(probe, O_CLOEXEC | O_NONBLOCK), 0);
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.head), &probe[1], sizeof(int));
    assert_int_equal(sendmsg(pair[0], &mh, 0), 0);

    struct zl_msg got;
    assert_int_equal(zl_msg_recv(pair[1], buf, sizeof buf, &got, &err), 0);
    (void)close(probe[1]);
    assert_int_equal(read(probe[0], buf, 1), 0); /* the end: nobody has the other one */
    (void)close(probe[0]);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void what_is_no_text_becomes_text(void **unused)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        { "", "" },
        { "caf\xc3\xa9", "caf\xc3\xa9" },
        { "caf\xe9 noir", "caf? noir" },
        { "\xff\xfe", "??" },
        { "a\xc3", "a" },                     /* cut off after one of two bytes, */
        { "a\xe2\x82", "a" },                 /* two of three, */
        { "a\xf0\x9f\x98", "a" },             /* three of four */
        { "a\xe2\x82...", "a??..." },         /* cut off, and marked as that */
        { "\xed\xa0\x80", "???" },            /* half of a surrogate pair */
        { "\xc0\x80\xc3\xa9", "??\xc3\xa9" }, /* a NUL in two bytes */
    };
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%s", cases[i].bytes);
        zl_utf8_mend(text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(zl_utf8_check(text, strlen(text)), strlen(text));
    }
}

/* What one call writes to standard error. */
static void logged(enum zl_log_format format, char byte, size_t n, char *out, size_t size)
{
    char text[8192];
    int saved = dup(STDERR_FILENO), ends[2];
    assert_true(n < sizeof text && saved >= 0);
    memset(text, byte, n);
    text[n] = '\0';
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    zl_log_init("test", ZL_LOG_INFO, format);
    zl_log(ZL_LOG_INFO, "%s", text);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    (void)close(ends[1]);
    ssize_t got = read(ends[0], out, size - 1);
    assert_true(got > 0);
    out[got] = '\0';
    (void)close(ends[0]);
}

static void a_line_of_the_log_is_whole_or_says_that_it_was_cut(void **unused)
{
    char line[32768];
    (void)unused;
    logged(ZL_LOG_JSON, '\001', 2000, line, sizeof line);
    assert_null(strstr(line, "..."));
    assert_int_equal(strspn(strstr(line, "\\u0001"), "\\u01"), 6 * 2000);
    assert_string_equal(line + strlen(line) - 3, "\"}\n");
    logged(ZL_LOG_JSON, '\001', 8000, line, sizeof line);
    assert_string_equal(line + strlen(line) - 9, "0001...\"}\n" + 1);
    logged(ZL_LOG_TEXT, 'x', 8000, line, sizeof line);
    assert_string_equal(line + strlen(line) - 5, "x...\n");
    logged(ZL_LOG_TEXT, '\377', 10, line, sizeof line); /* no UTF-8 */
    assert_non_null(strstr(line, " ??????????\n"));
}

/* Removes what it meets; fails at "stop". */
static int remove_met(void *arg, const struct dirent *entry, struct zl_error *err)
{
    if (strcmp(entry->d_name, "stop") == 0)
        return zl_fail(err, ZL_ERR_CONFLICT, "here");
    return unlinkat(*(int *)arg, entry->d_name, AT_REMOVEDIR);
}

static void a_directory_is_walked_from_its_beginning_each_time(void **unused)
{
    (void)unused;
    struct zl_error err;
    struct scratch s = scratch_open();
    int dir = s.fd;
    assert_int_equal(mkdirat(dir, "a", 0700) + mkdirat(dir, "b", 0700), 0);
    for (int round = 0; round < 2; round++) { /* of the second nothing is left */
        DIR *d = zl_dir_open(dir, ".");
        int n = 0;
        assert_non_null(d);
        for (const struct dirent *e = readdir(d); e; e = readdir(d))
            n += !zl_is_dots(e->d_name);
        zl_dir_close(d);
        assert_int_equal(n, round ? 0 : 2);
        assert_int_equal(zl_dir_each(dir, "it", remove_met, &dir, &err), 0);
    }
    assert_int_equal(mkdirat(dir, "stop", 0700), 0);
    assert_int_equal(zl_dir_each(dir, "it", remove_met, &dir, &err), -1);
    assert_string_equal(err.msg, "here");
    assert_int_equal(symlinkat("stop", dir, "link"), 0);
    assert_null(zl_dir_open(dir, "link"));
    assert_int_equal(zl_dir_each(-1, "the layers", remove_met, &dir, &err), -1);
    assert_string_equal(err.msg, "list the layers: Bad file descriptor");
    scratch_remove(&s);
}

static void a_directory_is_made_with_the_mode_that_was_asked(void **unused)
{
    (void)unused;
    struct zl_error err;
    struct stat st;
    struct scratch s = scratch_open();
    int dir = s.fd;
    mode_t mask = umask(077);
    int made = zl_make_dir(dir, "d", 0751, &err);
    (void)umask(mask);
    assert_true(made >= 0 && fstat(made, &st) == 0);
    assert_int_equal(st.st_mode & 07777, 0751);
    assert_int_equal(zl_make_dir(dir, "d", 0751, &err), -1);
    assert_string_equal(err.msg, "create directory 'd': File exists");
    (void)close(made);
    scratch_remove(&s);
}

static void a_memory_file_is_read_from_its_beginning_and_can_be_sealed(void **unused)
{
    (void)unused;
    struct zl_error err;
    char text[8] = "";
    int fd = zl_memory_file("order", "words", 5, &err);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, sizeof text), 5);
    assert_string_equal(text, "words");
    assert_int_equal(pwrite(fd, "W", 1, 0), 1);
    assert_int_equal(zl_seal(fd, "order", &err), 0);
    assert_int_equal(pwrite(fd, "w", 1, 0), -1);
    assert_int_equal(zl_seal(fd, "order", &err), -1);
    assert_string_equal(err.msg, "seal 'order' in memory: Operation not permitted");
    (void)close(fd);
}

static void one_descriptor_goes_over_a_socket_beside_its_bytes(void **unused)
{
    (void)unused;
    int pair[2];
    char bytes[16] = "";
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(zl_fd_send(pair[0], pair[1], "/dev/ptmx", 9), 0);
    int fd = zl_fd_receive(pair[1], MSG_DONTWAIT, bytes, sizeof bytes);
    struct stat sent, got;
    assert_true(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    assert_int_equal(fstat(pair[1], &sent) + fstat(fd, &got), 0);
    assert_int_equal(got.st_ino, sent.st_ino);
    assert_string_equal(bytes, "/dev/ptmx");
    (void)close(fd);

    assert_int_equal(zl_fd_receive(pair[1], MSG_DONTWAIT, bytes, sizeof bytes), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(write(pair[0], "x", 1), 1);
    assert_int_equal(zl_fd_receive(pair[1], 0, bytes, sizeof bytes), -1);
    assert_int_equal(errno, EBADMSG);
    (void)close(pair[0]);
    assert_int_equal(zl_fd_receive(pair[1], 0, bytes, sizeof bytes), -1);
    assert_int_equal(errno, EPIPE);
    (void)close(pair[1]);
}

static void two_descriptors_where_one_is_due_leave_none(void **unused)
{
    (void)unused;
    struct zl_msg m = { .head = { .version = 1 }, .fds = { 0, 1 }, .n_fds = 2 };
    struct zl_error err;
    char bytes[64];
    int pair[2], before = dup(0), after;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(zl_msg_send(pair[0], &m, &err), 0);
    assert_int_equal(zl_fd_receive(pair[1], 0, bytes, sizeof bytes), -1);
    assert_int_equal(errno, EBADMSG);
    (void)close(pair[0]);
    (void)close(pair[1]);
    (void)close(before);
    after = dup(0);
    assert_int_equal(after, before); /* the lowest that is free is the same as before */
    (void)close(after);
}

static void a_program_is_found_as_a_shell_would_find_it(void **unused)
{
    (void)unused;
    struct zl_error err;
    char found[PATH_MAX], *old = getenv("PATH"), *saved = old ? strdup(old) : NULL;
    assert_int_equal(setenv("PATH", "::/nowhere:/dev:/bin", 1), 0);
    assert_int_equal(zl_find_program("sh", found, &err), 0);
    assert_string_equal(found, "/bin/sh");
    assert_int_equal(zl_find_program("/bin/sh", found, &err), 0);
    assert_string_equal(found, "/bin/sh");
    assert_int_equal(zl_find_program("null", found, &err), -1); /* a device */
    assert_string_equal(err.msg, "there is no program 'null' in $PATH");
    assert_int_equal(zl_find_program("/bin", found, &err), -1);
    assert_string_equal(err.msg, "there is no program '/bin'");
    assert_int_equal(unsetenv("PATH"), 0);
    assert_int_equal(zl_find_program("sh", found, &err), 0);
    if (saved)
        assert_int_equal(setenv("PATH", saved, 1), 0);
    free(saved);
}

static void a_planted_link_is_not_written_through(void **unused)
{
    struct scratch s = scratch_open();
    zl_autobuf struct zl_buf text = ZL_BUF(64), made = ZL_BUF(64);
    struct zl_error err;
    char tmp[64];
    struct stat st;

    (void)unused;
    (void)snprintf(tmp, sizeof tmp, ".pid.%d.tmp", (int)getpid());
    assert_int_equal(zl_write_new(s.fd, "others", "kept", 4, 0600, &err), 0);
    assert_int_equal(symlinkat("others", s.fd, tmp), 0);
    assert_int_equal(zl_write_atomic(s.fd, "pid", "12", 2, 0644, false, &err), 0);
    assert_int_equal(zl_read_file(s.fd, "others", &text, &err), 0);
    assert_string_equal(text.data, "kept");
    assert_int_equal(zl_read_file(s.fd, "pid", &made, &err), 0);
    assert_string_equal(made.data, "12");
    assert_int_equal(fstatat(s.fd, "others", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    scratch_remove(&s);
}

/* In a process of its own, which says by its exit code what was not so. */
static int fills_what_is_closed(void)
{
    struct stat null, st;

    (void)close(0);
    (void)close(2);
    if (stat("/dev/null", &null) < 0 || zl_fill_standard_fds(NULL) < 0)
        return 1;
    for (int fd = 0; fd < 3; fd += 2)
        if (fstat(fd, &st) < 0 || st.st_rdev != null.st_rdev || !zl_is_inherited(fd))
            return 2;
    (void)close(0);
    if (open("/", O_RDONLY | O_CLOEXEC) != 0 || zl_is_inherited(0))
        return 3; /* what is opened by us is known */
    (void)close(0);
    return zl_is_inherited(0) ? 4 : 0;
}

static void closed_standard_descriptors_are_filled_and_our_own_are_known(void **unused)
{
    int status;
    pid_t pid = fork();

    (void)unused;
    if (pid == 0)
        _exit(fills_what_is_closed());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_planted_link_is_not_written_through),
        cmocka_unit_test(closed_standard_descriptors_are_filled_and_our_own_are_known),
        cmocka_unit_test(an_error_tells_the_story_from_the_outside_in),
        cmocka_unit_test(an_error_longer_than_its_room_says_that_it_was_cut),
        cmocka_unit_test(an_error_is_text_whatever_it_tells_of),
        cmocka_unit_test(a_buffer_stops_at_its_maximum_and_says_so),
        cmocka_unit_test(times_are_written_as_rfc_3339),
        cmocka_unit_test(rfc_3339_is_read_with_any_offset),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(days_and_dates_are_two_spellings),
        cmocka_unit_test(ids_survive_the_round_trip_and_nothing_else_is_an_id),
        cmocka_unit_test(a_path_of_an_image_cannot_leave_its_root),
        cmocka_unit_test(a_file_is_replaced_whole_with_the_mode_that_was_asked),
        cmocka_unit_test(removing_a_tree_does_not_follow_symlinks),
        cmocka_unit_test(a_message_carries_its_body_and_its_descriptors),
        cmocka_unit_test(an_empty_packet_leaves_no_descriptor),
        cmocka_unit_test(a_directory_is_walked_from_its_beginning_each_time),
        cmocka_unit_test(a_directory_is_made_with_the_mode_that_was_asked),
        cmocka_unit_test(a_memory_file_is_read_from_its_beginning_and_can_be_sealed),
        cmocka_unit_test(one_descriptor_goes_over_a_socket_beside_its_bytes),
        cmocka_unit_test(two_descriptors_where_one_is_due_leave_none),
        cmocka_unit_test(a_program_is_found_as_a_shell_would_find_it),
        cmocka_unit_test(a_map_finds_each_of_many_and_those_with_the_same_key),
        cmocka_unit_test(what_is_no_text_becomes_text),
        cmocka_unit_test(a_line_of_the_log_is_whole_or_says_that_it_was_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
