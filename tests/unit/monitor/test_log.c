// SPDX-License-Identifier: Apache-2.0
#include "../scratch.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "monitor/logfile.h"
#include "monitor/logread.h"

static const int64_t T0 = 1795459681123456789; /* 2026-11-23T18:48:01.123456789Z */
static const int64_t SECOND = 1000000000;
static const struct logread_opts from_start = { .tail = LOGREAD_ALL };

struct log {
    struct scratch dir;
    struct logfile *file;
    char path[128];
};

static struct log log_make(uint64_t max)
{
    struct log l = { .dir = scratch_open() };
    struct zl_error err;
    (void)snprintf(l.path, sizeof l.path, "%s/web.log", l.dir.path);
    ok(logfile_open(l.dir.fd, "web.log", max, &l.file, &err));
    return l;
}

static void log_drop(struct log *l)
{
    logfile_free(l->file);
    scratch_remove(&l->dir);
}

static void say(struct log *l, int64_t at, const char *text)
{
    logfile_write(l->file, LOG_STDOUT, at, text, strlen(text));
}

static char *file_text(const struct log *l, const char *name)
{
    struct zl_error err;
    zl_autobuf struct zl_buf b = ZL_BUF(1 << 20);
    ok(zl_read_file(l->dir.fd, name, &b, &err));
    return zl_buf_steal(&b);
}

static struct logread *reader(const struct log *l, const struct logread_opts *o)
{
    struct logread *r;
    struct zl_error err;
    ok(logread_open(l->path, o, &r, &err));
    return r;
}

/* The next line must be exactly this. */
static void expect_line(struct logread *r, const char *text)
{
    struct logread_line line;
    struct zl_error err;
    int rc = logread_next(r, &line, &err);
    if (rc != 1)
        fail_msg("no line where '%s' was expected (%d)", text, rc);
    if (line.length != strlen(text) || memcmp(line.bytes, text, line.length) != 0)
        fail_msg("'%.*s' where '%s' was expected", (int)line.length, line.bytes, text);
}

static void expect_nothing(struct logread *r)
{
    struct logread_line line;
    struct zl_error err;
    assert_int_equal(logread_next(r, &line, &err), 0);
}

/* --- the format --- */

static void a_line_is_written_as_a_cri_record(void **unused)
{
    (void)unused;
    struct log l = log_make(0);
    say(&l, T0, "hello\n");
    logfile_write(l.file, LOG_STDERR, T0 + 1, "\n", 1);
    zl_autofree char *text = file_text(&l, "web.log");
    assert_string_equal(text, "2026-11-23T18:48:01.123456789Z stdout F hello\n"
                              "2026-11-23T18:48:01.123456790Z stderr F \n");
    log_drop(&l);
}

static void a_line_that_comes_in_pieces_is_one_record(void **unused)
{
    (void)unused;
    struct log l = log_make(0);
    say(&l, T0, "he");
    assert_true(logfile_holds(l.file));
    say(&l, T0, "llo\nwor");
    say(&l, T0, "ld\n");
    assert_false(logfile_holds(l.file));
    zl_autofree char *text = file_text(&l, "web.log");
    assert_string_equal(text, "2026-11-23T18:48:01.123456789Z stdout F hello\n"
                              "2026-11-23T18:48:01.123456789Z stdout F world\n");
    log_drop(&l);
}

static void a_prompt_is_released_as_a_part_and_its_line_goes_on(void **unused)
{
    (void)unused;
    struct log l = log_make(0);
    say(&l, T0, "name? ");
    logfile_release(l.file, T0);
    say(&l, T0, "joe\n");
    zl_autofree char *text = file_text(&l, "web.log");
    assert_string_equal(text, "2026-11-23T18:48:01.123456789Z stdout P name? \n"
                              "2026-11-23T18:48:01.123456789Z stdout F joe\n");
    autologread struct logread *r = reader(&l, &from_start);
    expect_line(r, "name? joe\n");
    expect_nothing(r);
    log_drop(&l);
}

static void a_stream_that_ends_without_newline_stays_without_one(void **unused)
{
    (void)unused;
    struct log l = log_make(0);
    say(&l, T0, "last words");
    logfile_end(l.file, LOG_STDOUT, T0);
    say(&l, T0 + SECOND, "next life\n");
    zl_autofree char *text = file_text(&l, "web.log");
    assert_string_equal(text, "2026-11-23T18:48:01.123456789+00:00 stdout F last words\n"
                              "2026-11-23T18:48:02.123456789Z stdout F next life\n");
    autologread struct logread *r = reader(&l, &from_start);
    expect_line(r, "last words");
    expect_line(r, "next life\n");
    expect_nothing(r);
    log_drop(&l);
}

static void times_are_read_as_they_are_written(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2000-02-29T12:00:00.5Z", 951825600500000000 },
        { "2026-11-23T18:48:01.123456789Z", 1795459681123456789 },
        { "2026-11-23T18:48:01.123456789+00:00", 1795459681123456789 },
        { "2100-03-01T00:00:00Z", 4107542400000000000 },
    };
    static const char *const bad[] = {
        "",
        "2026-11-23",
        "2026-11-23T18:48:01",
        "2026-11-23T18:48:01.Z",
        "2026-13-23T18:48:01Z",
        "2026-11-23T24:48:01Z",
        "2026-11-23T18:48:01.1234567890Z",
        "2026-11-23T18:48:01+01:00",
        "9999-11-23T18:48:01Z",
    };
    int64_t ns;
    for (size_t i = 0; i < ZL_ARRAY_LEN(good); i++) {
        assert_int_equal(log_parse_time(good[i].text, strlen(good[i].text), &ns),
                         strlen(good[i].text));
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad); i++)
        assert_int_equal(log_parse_time(bad[i], strlen(bad[i]), &ns), 0);
}

/* Every way of cutting the output into reads must give the same bytes back. */
static void bytes_are_kept_exactly_however_they_arrive(void **unused)
{
    (void)unused;
    enum { TOTAL = 150000 };
    char *output = malloc(TOTAL);
    uint32_t seed = 7;
    assert_non_null(output);
    for (int i = 0; i < TOTAL; i++) {
        seed = seed * 1664525 + 1013904223;
        /* long stretches without a newline, NULs and all bytes in between */
        output[i] = i % 50000 < 40000 ? (char)('a' + i % 26) : (char)(seed >> 24);
    }
    for (size_t step = 1; step < 70000; step = step * 7 + 3) {
        struct log l = log_make(0);
        for (size_t at = 0; at < TOTAL; at += step)
            logfile_write(l.file, LOG_STDOUT, T0, output + at,
                          at + step < TOTAL ? step : TOTAL - at);
        logfile_end(l.file, LOG_STDOUT, T0);
        autologread struct logread *r = reader(&l, &from_start);
        struct logread_line line;
        struct zl_error err;
        size_t at = 0;
        while (logread_next(r, &line, &err) == 1) {
            assert_true(at + line.length <= TOTAL);
            assert_memory_equal(line.bytes, output + at, line.length);
            at += line.length;
        }
        assert_int_equal(at, TOTAL);
        log_drop(&l);
    }
    free(output);
}

static void pieces_of_two_streams_are_joined_each_for_itself(void **unused)
{
    (void)unused;
    struct log l = log_make(0);
    say(&l, T0, "out ");
    logfile_release(l.file, T0);
    logfile_write(l.file, LOG_STDERR, T0, "err ", 4);
    logfile_release(l.file, T0);
    say(&l, T0, "one\n");
    logfile_write(l.file, LOG_STDERR, T0, "two\n", 4);
    autologread struct logread *r = reader(&l, &from_start);
    expect_line(r, "out one\n");
    expect_line(r, "err two\n");
    log_drop(&l);
}

/* --- a log that outlives its writers --- */

static void a_later_writer_appends(void **unused)
{
    (void)unused;
    struct log l = log_make(0);
    struct zl_error err;
    say(&l, T0, "first\n");
    logfile_free(l.file);
    ok(logfile_open(l.dir.fd, "web.log", 0, &l.file, &err));
    say(&l, T0, "second\n");
    autologread struct logread *r = reader(&l, &from_start);
    expect_line(r, "first\n");
    expect_line(r, "second\n");
    log_drop(&l);
}

static void what_a_killed_writer_left_is_not_joined_with_the_next_one(void **unused)
{
    (void)unused;
    struct log l = log_make(0);
    struct zl_error err;
    say(&l, T0, "half a li");
    logfile_release(l.file, T0);
    logfile_free(l.file);
    zl_autoclose int fd = openat(l.dir.fd, "web.log", O_WRONLY | O_APPEND | O_CLOEXEC);
    ok(zl_write_all(fd, "2026-11-23T18:48:01.1Z std", 26, "web.log", &err)); /* a torn record */
    ok(logfile_open(l.dir.fd, "web.log", 0, &l.file, &err));
    say(&l, T0, "anew\n");
    autologread struct logread *r = reader(&l, &from_start);
    expect_line(r, "half a li");
    expect_line(r, "anew\n");
    expect_nothing(r);
    log_drop(&l);
}

/* --- rotation --- */

static off_t size_of(const struct log *l, const char *name)
{
    struct stat st;
    return fstatat(l->dir.fd, name, &st, 0) == 0 ? st.st_size : -1;
}

/* Lines of 1000 bytes with their number. */
static void write_numbered(struct log *l, int from, int to)
{
    char line[1001];
    memset(line, '.', sizeof line);
    line[999] = '\n';
    for (int i = from; i < to; i++) {
        (void)snprintf(line, 9, "%08d", i);
        line[8] = ' ';
        logfile_write(l->file, LOG_STDOUT, T0 + i * SECOND, line, 1000);
    }
}

static int read_number(struct logread *r)
{
    struct logread_line line;
    struct zl_error err;
    int rc = logread_next(r, &line, &err);
    if (rc < 0)
        fail_msg("%s", err.msg);
    return rc > 0 ? (int)strtol(line.bytes, NULL, 10) : -1;
}

static void rotation_keeps_three_files_within_the_total(void **unused)
{
    (void)unused;
    enum { MAX = 300000 };
    struct log l = log_make(MAX);
    write_numbered(&l, 0, 1000); /* a megabyte */
    off_t a = size_of(&l, "web.log"), b = size_of(&l, "web.log.1"), c = size_of(&l, "web.log.2");
    assert_true(a > 0 && b > 0 && c > 0);
    assert_true(a + b + c <= MAX);
    assert_int_equal(size_of(&l, "web.log.3"), -1);
    autologread struct logread *r = reader(&l, &from_start);
    int first = read_number(r), n;
    assert_true(first > 600);
    for (n = first + 1; n < 1000; n++)
        assert_int_equal(read_number(r), n);
    expect_nothing(r);
    log_drop(&l);
}

static void a_reader_that_follows_goes_across_rotations(void **unused)
{
    (void)unused;
    struct log l = log_make(300000);
    struct logread_opts follow = { .tail = LOGREAD_ALL, .follow = true };
    autologread struct logread *r = reader(&l, &follow);
    struct pollfd p = { .fd = logread_fd(r), .events = POLLIN };
    expect_nothing(r);
    for (int i = 0; i < 1000; i += 50) {
        write_numbered(&l, i, i + 50);
        assert_int_equal(poll(&p, 1, 1000), 1);
        for (int n = i; n < i + 50; n++)
            assert_int_equal(read_number(r), n);
        expect_nothing(r);
    }
    log_drop(&l);
}

static void a_follower_waits_for_a_log_that_does_not_exist_yet(void **unused)
{
    (void)unused;
    struct scratch dir = scratch_open();
    struct logread_opts follow = { .tail = LOGREAD_ALL, .follow = true };
    struct log l = { .dir = dir };
    struct zl_error err;
    (void)snprintf(l.path, sizeof l.path, "%s/web.log", dir.path);
    autologread struct logread *r = reader(&l, &follow);
    struct pollfd p = { .fd = logread_fd(r), .events = POLLIN };
    expect_nothing(r);
    assert_int_equal(poll(&p, 1, 0), 0);
    ok(logfile_open(dir.fd, "web.log", 0, &l.file, &err));
    say(&l, T0, "there\n");
    assert_int_equal(poll(&p, 1, 1000), 1);
    expect_line(r, "there\n");
    expect_nothing(r);
    assert_int_equal(poll(&p, 1, 0), 0); /* nothing is left that would wake it for nothing */
    log_drop(&l);
}

static void a_slow_follower_skips_what_is_gone_and_goes_on(void **unused)
{
    (void)unused;
    struct log l = log_make(300000);
    struct logread_opts follow = { .tail = LOGREAD_ALL, .follow = true };
    write_numbered(&l, 0, 10);
    autologread struct logread *r = reader(&l, &follow);
    for (int n = 0; n < 10; n++)
        assert_int_equal(read_number(r), n);
    write_numbered(&l, 10, 2000);
    int n = read_number(r), last = 9;
    for (; n >= 0; n = read_number(r)) {
        assert_true(n > last);
        last = n;
    }
    assert_int_equal(last, 1999);
    log_drop(&l);
}

/* --- seeking --- */

static void the_tail_is_the_last_lines_of_all_files(void **unused)
{
    (void)unused;
    struct log l = log_make(300000);
    write_numbered(&l, 0, 1000);
    static const int tails[] = { 0, 1, 5, 90, 150, 200 };
    for (size_t i = 0; i < ZL_ARRAY_LEN(tails); i++) {
        struct logread_opts o = { .tail = (uint64_t)tails[i] };
        autologread struct logread *r = reader(&l, &o);
        for (int n = 1000 - tails[i]; n < 1000; n++)
            assert_int_equal(read_number(r), n);
        expect_nothing(r);
    }
    struct logread_opts more = { .tail = 1000000 };
    autologread struct logread *r = reader(&l, &more);
    assert_true(read_number(r) > 600); /* what there is */
    log_drop(&l);
}

static void the_tail_of_a_joined_line_is_the_whole_line(void **unused)
{
    (void)unused;
    struct log l = log_make(0);
    char big[100000];
    memset(big, 'x', sizeof big);
    say(&l, T0, "before\n");
    logfile_write(l.file, LOG_STDOUT, T0, big, sizeof big);
    logfile_write(l.file, LOG_STDERR, T0, "between\n", 8);
    say(&l, T0, "\n");
    struct logread_opts last = { .tail = 1 };
    autologread struct logread *r = reader(&l, &last);
    struct logread_line line;
    struct zl_error err;
    assert_int_equal(logread_next(r, &line, &err), 1);
    assert_int_equal(line.length, sizeof big + 1);
    expect_nothing(r);
    log_drop(&l);
}

static void since_and_until_choose_by_time(void **unused)
{
    (void)unused;
    struct log l = log_make(900000);
    write_numbered(&l, 0, 800);
    for (int with_index = 1; with_index >= 0; with_index--) {
        for (int from = 0; from < 800; from += 37) {
            struct logread_opts o = { .since_ns = T0 + from * SECOND,
                                      .until_ns = T0 + (from + 3) * SECOND,
                                      .tail = LOGREAD_ALL };
            autologread struct logread *r = reader(&l, &o);
            for (int n = from; n < from + 3 && n < 800; n++)
                assert_int_equal(read_number(r), n);
            expect_nothing(r);
        }
        (void)unlinkat(l.dir.fd, "web.log.idx", 0);
        (void)unlinkat(l.dir.fd, "web.log.1.idx", 0);
    }
    log_drop(&l);
}

static void an_index_that_lies_is_not_believed(void **unused)
{
    (void)unused;
    struct log l = log_make(0);
    struct zl_error err;
    write_numbered(&l, 0, 300);
    struct log_index_entry lies[] = { { T0 + SECOND, 77 }, { T0 + 2 * SECOND, 1 << 30 } };
    ok(zl_write_atomic(l.dir.fd, "web.log.idx", lies, sizeof lies - 3, 0600, false, &err));
    struct logread_opts o = { .since_ns = T0 + 5 * SECOND, .tail = LOGREAD_ALL };
    autologread struct logread *r = reader(&l, &o);
    assert_int_equal(read_number(r), 5);
    log_drop(&l);
}

static void since_reads_little_of_a_big_log(void **unused)
{
    (void)unused;
    struct log l = log_make(0);
    write_numbered(&l, 0, 2000);
    struct stat st;
    assert_int_equal(fstatat(l.dir.fd, "web.log.idx", &st, 0), 0);
    /* 2 MB in steps of 64 KiB */
    assert_in_range(st.st_size / (off_t)sizeof(struct log_index_entry), 25, 35);
    log_drop(&l);
}

/* --- a full disk --- */

static void a_full_disk_loses_output_counts_it_and_tells_it_later(void **unused)
{
    (void)unused;
    struct log l = log_make(0);
    struct rlimit old, small = { .rlim_cur = 4096 };
    say(&l, T0, "before\n");
    /* A file size limit refuses bytes as a full disk does, here after some of them were taken. */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    write_numbered(&l, 0, 10);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(logfile_bytes_lost(l.file), 7000);
    say(&l, T0 + 60 * SECOND, "after\n");
    autologread struct logread *r = reader(&l, &from_start);
    expect_line(r, "before\n");
    for (int n = 0; n < 3; n++)
        assert_int_equal(read_number(r), n);
    expect_line(r, "[zlayer] 7000 bytes of output are missing here: No space left on device\n");
    expect_line(r, "after\n");
    expect_nothing(r);
    log_drop(&l);
}

static void a_name_that_is_a_path_is_refused(void **unused)
{
    (void)unused;
    struct scratch dir = scratch_open();
    struct logfile *file;
    struct zl_error err;
    assert_int_equal(logfile_open(dir.fd, "../web.log", 0, &file, &err), -1);
    assert_string_equal(err.msg, "open log '../web.log': not a file name");
    scratch_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_written_as_a_cri_record),
        cmocka_unit_test(a_line_that_comes_in_pieces_is_one_record),
        cmocka_unit_test(a_prompt_is_released_as_a_part_and_its_line_goes_on),
        cmocka_unit_test(a_stream_that_ends_without_newline_stays_without_one),
        cmocka_unit_test(times_are_read_as_they_are_written),
        cmocka_unit_test(bytes_are_kept_exactly_however_they_arrive),
        cmocka_unit_test(pieces_of_two_streams_are_joined_each_for_itself),
        cmocka_unit_test(a_later_writer_appends),
        cmocka_unit_test(what_a_killed_writer_left_is_not_joined_with_the_next_one),
        cmocka_unit_test(rotation_keeps_three_files_within_the_total),
        cmocka_unit_test(a_reader_that_follows_goes_across_rotations),
        cmocka_unit_test(a_follower_waits_for_a_log_that_does_not_exist_yet),
        cmocka_unit_test(a_slow_follower_skips_what_is_gone_and_goes_on),
        cmocka_unit_test(the_tail_is_the_last_lines_of_all_files),
        cmocka_unit_test(the_tail_of_a_joined_line_is_the_whole_line),
        cmocka_unit_test(since_and_until_choose_by_time),
        cmocka_unit_test(an_index_that_lies_is_not_believed),
        cmocka_unit_test(since_reads_little_of_a_big_log),
        cmocka_unit_test(a_full_disk_loses_output_counts_it_and_tells_it_later),
        cmocka_unit_test(a_name_that_is_a_path_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
