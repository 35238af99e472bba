// SPDX-License-Identifier: Apache-2.0
/* Compiled modules on disk: what is taken for one, and what is not. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fd.h"
#include "wasm/cache.h"

struct place {
    char path[64];
    int cache;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    struct zl_error err;
    (void)snprintf(p->path, sizeof p->path, "/tmp/zlayer-cache.XXXXXX");
    assert_non_null(mkdtemp(p->path));
    p->cache = cache_open(p->path, &err);
    assert_true(p->cache >= 0);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    (void)close(p->cache);
    assert_int_equal(zl_remove_tree(AT_FDCWD, p->path, NULL), 0);
    free(p);
    return 0;
}

static void put(int cache, const char *name, const char *content, uint64_t max)
{
    const struct cache_entry e = { .kind = CACHE_COMPONENT, .has_start = true };
    char tmp[CACHE_TMP_SIZE];
    struct zl_error err;
    int fd = cache_begin(cache, name, tmp, &err);
    assert_true(fd >= 0);
    assert_int_equal(zl_write_all(fd, content, strlen(content), name, &err), 0);
    assert_int_equal(cache_seal(fd, &e, &err), 0);
    assert_int_equal(cache_commit(cache, tmp, name, max, &err), 0);
    (void)close(fd);
}

static int load(int cache, const char *name, struct zl_error *err)
{
    struct cache_entry e = { 0 };
    int fd = cache_load(cache, name, &e, err);
    if (fd < 0)
        return -1;
    assert_int_equal(e.kind, CACHE_COMPONENT);
    assert_true(e.has_start);
    (void)close(fd);
    return 0;
}

static void what_was_put_is_found(void **state)
{
    struct place *p = *state;
    struct zl_error err;
    assert_int_equal(load(p->cache, "one", &err), -1);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);
    put(p->cache, "one", "code", UINT64_MAX);
    assert_int_equal(load(p->cache, "one", &err), 0);
}

static void refused(struct place *p, const char *says)
{
    struct zl_error err;
    assert_int_equal(load(p->cache, "one", &err), -1);
    assert_int_not_equal(err.kind, ZL_ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, says));
    assert_non_null(strstr(err.msg, "'one'"));
    assert_int_equal(faccessat(p->cache, "one", F_OK, AT_SYMLINK_NOFOLLOW), -1); /* removed */
    put(p->cache, "one", "code", UINT64_MAX);                                    /* and made anew */
    assert_int_equal(load(p->cache, "one", &err), 0);
}

static void an_entry_outlives_a_shortage_of_descriptors(void **state)
{
    struct place *p = *state;
    struct rlimit was, none;
    struct zl_error err;
    put(p->cache, "one", "code", UINT64_MAX);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = (struct rlimit){ .rlim_cur = 0, .rlim_max = was.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int rc = load(p->cache, "one", &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(rc, -1);
    assert_int_equal(err.kind, ZL_ERR_SYSTEM);
    assert_int_equal(load(p->cache, "one", &err), 0);
}

static void each_changed_byte_is_noticed(void **state)
{
    struct place *p = *state;
    char byte;
    put(p->cache, "one", "code", UINT64_MAX);
    for (off_t at = 0; at < 4 + 16; at++) { /* the code, its length and checksum */
        int fd = openat(p->cache, "one", O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x40;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        (void)close(fd);
        refused(p, "compiled module");
    }
}

static void a_cut_off_entry_is_refused(void **state)
{
    struct place *p = *state;
    for (off_t size = 0; size < 36; size++) {
        put(p->cache, "one", "code", UINT64_MAX);
        int fd = openat(p->cache, "one", O_RDWR);
        assert_int_equal(ftruncate(fd, size), 0);
        (void)close(fd);
        refused(p, "cut off");
    }
}

static void what_others_could_have_written_is_refused(void **state)
{
    struct place *p = *state;
    put(p->cache, "one", "code", UINT64_MAX);
    assert_int_equal(fchmodat(p->cache, "one", 0620, 0), 0);
    refused(p, "not a file of our own");
    put(p->cache, "other", "code", UINT64_MAX);
    assert_int_equal(unlinkat(p->cache, "one", 0), 0);
    assert_int_equal(symlinkat("other", p->cache, "one"), 0);
    refused(p, "a symbolic link");
    if (geteuid() == 0) {
        assert_int_equal(fchownat(p->cache, "one", 12345, 12345, 0), 0);
        refused(p, "not a file of our own");
    }
}

static void a_folder_that_others_may_write_is_refused(void **state)
{
    struct place *p = *state;
    struct zl_error err;
    assert_int_equal(fchmod(p->cache, 0777), 0);
    assert_int_equal(cache_open(p->path, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_DENIED);
}

static void what_a_killed_writer_left_is_no_entry(void **state)
{
    struct place *p = *state;
    char tmp[CACHE_TMP_SIZE];
    struct zl_error err;
    int fd = cache_begin(p->cache, "one", tmp, &err);
    assert_int_equal(write(fd, "half", 4), 4);
    (void)close(fd);
    assert_int_equal(load(p->cache, "one", &err), -1);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);
    const struct timespec long_ago[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    assert_int_equal(utimensat(p->cache, tmp, long_ago, 0), 0);
    put(p->cache, "two", "code", UINT64_MAX);
    assert_int_equal(faccessat(p->cache, tmp, F_OK, 0), -1); /* swept */
}

static void two_writers_leave_one_whole_entry(void **state)
{
    struct place *p = *state;
    char a[CACHE_TMP_SIZE], b[CACHE_TMP_SIZE];
    const struct cache_entry e = { .kind = CACHE_COMPONENT, .has_start = true };
    struct zl_error err;
    int fd_a = cache_begin(p->cache, "one", a, &err), fd_b = cache_begin(p->cache, "one", b, &err);
    assert_string_not_equal(a, b);
    assert_int_equal(write(fd_a, "aaaa", 4), 4);
    assert_int_equal(write(fd_b, "bb", 2), 2);
    assert_int_equal(cache_seal(fd_a, &e, &err), 0);
    assert_int_equal(cache_seal(fd_b, &e, &err), 0);
    assert_int_equal(cache_commit(p->cache, b, "one", UINT64_MAX, &err), 0);
    assert_int_equal(cache_commit(p->cache, a, "one", UINT64_MAX, &err), 0);
    assert_int_equal(load(p->cache, "one", &err), 0);
    (void)close(fd_a);
    (void)close(fd_b);
}

static void the_longest_unused_go_first(void **state)
{
    struct place *p = *state;
    struct zl_error err;
    const char *names[] = { "a", "b", "c" };
    for (int i = 0; i < 3; i++) {
        const struct timespec used[2] = { { .tv_sec = 1000 + i }, { .tv_sec = 1000 + i } };
        put(p->cache, names[i], "code", UINT64_MAX);
        assert_int_equal(utimensat(p->cache, names[i], used, 0), 0);
    }
    assert_int_equal(load(p->cache, "a", &err), 0); /* used just now */
    put(p->cache, "d", "code", 3 * 36);             /* room for three */
    assert_int_equal(load(p->cache, "b", &err), -1);
    assert_int_equal(load(p->cache, "a", &err), 0);
    assert_int_equal(load(p->cache, "c", &err), 0);
    assert_int_equal(load(p->cache, "d", &err), 0);
    put(p->cache, "e", "code", 1); /* what was just made stays, whatever the limit */
    assert_int_equal(load(p->cache, "e", &err), 0);
    assert_int_equal(load(p->cache, "d", &err), -1);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_was_put_is_found),
        CASE(an_entry_outlives_a_shortage_of_descriptors),
        CASE(each_changed_byte_is_noticed),
        CASE(a_cut_off_entry_is_refused),
        CASE(what_others_could_have_written_is_refused),
        CASE(a_folder_that_others_may_write_is_refused),
        CASE(what_a_killed_writer_left_is_no_entry),
        CASE(two_writers_leave_one_whole_entry),
        CASE(the_longest_unused_go_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
