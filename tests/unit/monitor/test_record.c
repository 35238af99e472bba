// SPDX-License-Identifier: Apache-2.0
/* The exit record and the frames of a stream: what is written is read back, what is torn is
 * refused. */
#include "../scratch.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "monitor/exitrec.h"
#include "monitor/frame.h"

static const struct mon_exit killed = { .code = 137,
                                        .signal = 9,
                                        .oom = 1,
                                        .oom_peak_bytes = UINT64_MAX,
                                        .started_wall_ns = 1795459681123456789,
                                        .finished_wall_ns = 1795459682000000001 };

enum { SYNCED_MAX = 16 };
static struct {
    ino_t v[SYNCED_MAX];
    size_t n;
} synced; /* in their order */

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(synced.n < SYNCED_MAX);
    synced.v[synced.n++] = st.st_ino;
    return __real_fsync(fd);
}

static bool was_synced(int fd, const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(fd, name, &st, 0), 0);
    for (size_t i = 0; i < synced.n; i++)
        if (synced.v[i] == st.st_ino)
            return true;
    return false;
}

static void a_durable_exit_record_has_its_folder_and_what_lies_beside_it_on_the_disk(void **unused)
{
    (void)unused;
    struct scratch dir = scratch_open();
    struct zl_error err;
    ok(zl_write_new(dir.fd, "record.json", "{}", 2, 0600, &err));
    synced.n = 0;
    ok(exitrec_write(dir.fd, &killed, false, &err));
    assert_int_equal(synced.n, 0);
    ok(exitrec_write(dir.fd, &killed, true, &err));
    assert_true(was_synced(dir.fd, "record.json"));
    assert_true(was_synced(dir.fd, MON_EXIT_RECORD));
    assert_true(was_synced(dir.fd, "."));
    assert_true(was_synced(dir.fd, ".."));
    scratch_remove(&dir);
}

static void an_exit_record_is_read_as_it_was_written(void **unused)
{
    (void)unused;
    struct scratch dir = scratch_open();
    struct zl_error err;
    struct mon_exit e;
    ok(exitrec_write(dir.fd, &killed, true, &err));
    ok(exitrec_read(dir.fd, &e, &err));
    assert_memory_equal(&e, &killed, sizeof e);
    zl_autobuf struct zl_buf text = ZL_BUF(1000);
    ok(zl_read_file(dir.fd, MON_EXIT_RECORD, &text, &err));
    assert_string_equal(text.data, "{\"code\":137,\"signal\":9,\"oom\":true,"
                                   "\"oom_peak\":18446744073709551615,"
                                   "\"started_at\":\"2026-11-23T18:48:01.123456789Z\","
                                   "\"finished_at\":\"2026-11-23T18:48:02.000000001Z\"}\n");
    scratch_remove(&dir);
}

static void a_missing_record_is_not_found(void **unused)
{
    (void)unused;
    struct scratch dir = scratch_open();
    struct zl_error err;
    struct mon_exit e;
    assert_int_equal(exitrec_read(dir.fd, &e, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);
    scratch_remove(&dir);
}

static void a_record_that_is_cut_anywhere_is_refused(void **unused)
{
    (void)unused;
    struct scratch dir = scratch_open();
    struct zl_error err;
    struct mon_exit e;
    zl_autobuf struct zl_buf text = ZL_BUF(1000);
    ok(exitrec_write(dir.fd, &killed, false, &err));
    ok(zl_read_file(dir.fd, MON_EXIT_RECORD, &text, &err));
    for (size_t n = 0; n < text.len; n++) {
        ok(zl_write_atomic(dir.fd, MON_EXIT_RECORD, text.data, n, 0600, false, &err));
        assert_int_equal(exitrec_read(dir.fd, &e, &err), -1);
        assert_int_equal(err.kind, ZL_ERR_INVALID);
    }
    scratch_remove(&dir);
}

static void a_record_of_another_form_is_refused(void **unused)
{
    (void)unused;
    static const char *const bad[] = {
        "{}\n",
        "{\"code\":256,\"signal\":0,\"oom\":false,\"oom_peak\":0,\"started_at\":"
        "\"1970-01-01T00:00:00Z\",\"finished_at\":\"1970-01-01T00:00:00Z\"}\n",
        "{\"code\":1,\"signal\":0,\"oom\":false,\"oom_peak\":18446744073709551616,\"started_at\":"
        "\"1970-01-01T00:00:00Z\",\"finished_at\":\"1970-01-01T00:00:00Z\"}\n",
        "{\"code\":1,\"signal\":0,\"oom\":maybe,\"oom_peak\":0,\"started_at\":"
        "\"1970-01-01T00:00:00Z\",\"finished_at\":\"1970-01-01T00:00:00Z\"}\n",
        "{\"code\":1,\"signal\":0,\"oom\":false,\"oom_peak\":0,\"started_at\":"
        "\"1970-01-01T00:00:00Z\",\"finished_at\":\"1970-01-01T00:00:00Z\"}\nmore",
    };
    struct scratch dir = scratch_open();
    struct zl_error err;
    struct mon_exit e;
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad); i++) {
        ok(zl_write_atomic(dir.fd, MON_EXIT_RECORD, bad[i], strlen(bad[i]), 0600, false, &err));
        assert_int_equal(exitrec_read(dir.fd, &e, &err), -1);
        assert_int_equal(err.kind, ZL_ERR_INVALID);
    }
    scratch_remove(&dir);
}

/* --- frames --- */

static size_t put_frame(char *at, uint8_t stream, const void *bytes, uint32_t n)
{
    mon_frame_head((uint8_t *)at, stream, n);
    memcpy(at + MON_FRAME_HEAD, bytes, n);
    return MON_FRAME_HEAD + n;
}

static void frames_have_the_head_of_docker(void **unused)
{
    (void)unused;
    uint8_t head[MON_FRAME_HEAD];
    static const uint8_t expected[] = { 2, 0, 0, 0, 0x01, 0x02, 0x03, 0x04 };
    mon_frame_head(head, MON_STREAM_STDERR, 0x01020304);
    assert_memory_equal(head, expected, sizeof head);
}

/* However the bytes are cut into reads, the streams are put together again. */
static void frames_may_arrive_in_pieces(void **unused)
{
    (void)unused;
    char bytes[256];
    size_t n = 0;
    n += put_frame(bytes + n, MON_STREAM_STDOUT, "hello ", 6);
    n += put_frame(bytes + n, MON_STREAM_STDERR, "", 0);
    n += put_frame(bytes + n, MON_STREAM_STDOUT, "world", 5);
    n += put_frame(bytes + n, MON_STREAM_EXIT, &killed, sizeof killed);

    for (size_t step = 1; step <= n; step++) {
        int pair[2];
        struct mon_frame_reader *r = malloc(sizeof *r);
        struct mon_frame f;
        struct zl_error err;
        char seen[64];
        size_t seen_n = 0;
        bool ended = false;
        mon_frame_reader_init(r);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
                         0);
        for (size_t at = 0; at < n; at += step) {
            ok(zl_write_all(pair[0], bytes + at, at + step < n ? step : n - at, "a pipe", &err));
            int rc;
            while ((rc = mon_frame_read(r, pair[1], &f, &err)) == 1) {
                assert_false(ended);
                if (f.stream == MON_STREAM_EXIT) {
                    assert_memory_equal(&f.exit, &killed, sizeof killed);
                    ended = true;
                    continue;
                }
                assert_int_equal(f.stream, MON_STREAM_STDOUT);
                memcpy(seen + seen_n, f.bytes, f.length);
                seen_n += f.length;
            }
            assert_int_equal(rc, -1);
            assert_int_equal(err.errnum, EAGAIN);
        }
        (void)close(pair[0]);
        assert_int_equal(mon_frame_read(r, pair[1], &f, &err), 0);
        assert_true(ended);
        assert_int_equal(seen_n, 11);
        assert_memory_equal(seen, "hello world", 11);
        (void)close(pair[1]);
        free(r);
    }
}

static void a_stream_that_ends_inside_a_frame_is_an_error(void **unused)
{
    (void)unused;
    int pair[2];
    struct mon_frame_reader *r = malloc(sizeof *r);
    struct mon_frame f;
    struct zl_error err;
    char bytes[32];
    size_t n = put_frame(bytes, MON_STREAM_STDOUT, "hello", 5);
    mon_frame_reader_init(r);
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    ok(zl_write_all(pair[1], bytes, n - 1, "a pipe", &err));
    (void)close(pair[1]);
    assert_int_equal(mon_frame_read(r, pair[0], &f, &err), 1);
    assert_int_equal(f.length, 4);
    assert_int_equal(mon_frame_read(r, pair[0], &f, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_PROTOCOL);
    (void)close(pair[0]);
    free(r);
}

/* A newer monitor may append fields to the exit, an older one may know fewer. */
static void an_exit_of_another_version_is_read_as_far_as_it_goes(void **unused)
{
    (void)unused;
    char longer[sizeof killed + 24] = { 0 }, bytes[256];
    size_t n = 0;
    memcpy(longer, &killed, sizeof killed);
    n += put_frame(bytes + n, MON_STREAM_EXIT, longer, sizeof longer);
    n += put_frame(bytes + n, MON_STREAM_EXIT, &killed, 12);
    int p[2];
    struct mon_frame_reader *r = malloc(sizeof *r);
    struct mon_frame f;
    struct zl_error err;
    mon_frame_reader_init(r);
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    ok(zl_write_all(p[1], bytes, n, "a pipe", &err));
    assert_int_equal(mon_frame_read(r, p[0], &f, &err), 1);
    assert_memory_equal(&f.exit, &killed, sizeof killed);
    assert_int_equal(mon_frame_read(r, p[0], &f, &err), 1);
    assert_int_equal(f.exit.code, 137);
    assert_int_equal(f.exit.finished_wall_ns, 0);
    (void)close(p[0]);
    (void)close(p[1]);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exit_record_is_read_as_it_was_written),
        cmocka_unit_test(a_durable_exit_record_has_its_folder_and_what_lies_beside_it_on_the_disk),
        cmocka_unit_test(a_missing_record_is_not_found),
        cmocka_unit_test(a_record_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(a_record_of_another_form_is_refused),
        cmocka_unit_test(frames_have_the_head_of_docker),
        cmocka_unit_test(frames_may_arrive_in_pieces),
        cmocka_unit_test(a_stream_that_ends_inside_a_frame_is_an_error),
        cmocka_unit_test(an_exit_of_another_version_is_read_as_far_as_it_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
