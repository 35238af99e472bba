// SPDX-License-Identifier: Apache-2.0
/* Which beginnings of blobs stay, and which go when a fetch begins. */
#include "shelf.h"

#include <sys/file.h>

#include "fetch/partials.h"

enum { NOW = 1000000000, DAY = 24 * 3600, BLOCK = 4096 };

static void put(struct shelf *s, const char *name, int64_t time, size_t blocks)
{
    char path[200];
    zl_autofree char *bytes = malloc(blocks * BLOCK);
    assert_non_null(bytes);
    memset(bytes, 1, blocks * BLOCK);
    (void)snprintf(path, sizeof path, "images/partial/%s", name);
    zl_autoclose int fd = openat(s->root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, bytes, blocks * BLOCK), blocks * BLOCK);
    const struct timespec both[2] = { { .tv_sec = time }, { .tv_sec = time } };
    assert_int_equal(futimens(fd, both), 0);
}

static bool has(struct shelf *s, const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof path, "images/partial/%s", name);
    return faccessat(s->root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void tidy(struct shelf *s, uint64_t max_bytes)
{
    struct layout l = LAYOUT_CLOSED;
    struct zl_error err;
    assert_int_equal(layout_open(s->root, &l, &err), 0);
    assert_int_equal(partials_tidy(&l, NOW, max_bytes, &err), 0);
    layout_close(&l);
}

static void what_is_older_than_a_week_goes(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    put(&s, "old", NOW - 8 * DAY, 1);
    put(&s, "young", NOW - 6 * DAY, 1);
    tidy(&s, UINT64_MAX);
    assert_false(has(&s, "old"));
    assert_true(has(&s, "young"));
    shelf_close(&s);
}

static void of_too_much_the_oldest_go(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    put(&s, "a", NOW - 3, 4);
    put(&s, "b", NOW - 2, 4);
    put(&s, "c", NOW - 1, 4);
    tidy(&s, 9 * BLOCK);
    assert_false(has(&s, "a"));
    assert_true(has(&s, "b"));
    assert_true(has(&s, "c"));
    shelf_close(&s);
}

static void what_somebody_writes_stays_and_what_nobody_looks_for_goes(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    put(&s, "written", NOW - 8 * DAY, 1);
    put(&s, LAYOUT_TMP "x", NOW, 1);
    zl_autoclose int fd = openat(s.root, "images/partial/written", O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    tidy(&s, 0);
    assert_true(has(&s, "written"));
    assert_false(has(&s, LAYOUT_TMP "x"));
    shelf_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_older_than_a_week_goes),
        cmocka_unit_test(of_too_much_the_oldest_go),
        cmocka_unit_test(what_somebody_writes_stays_and_what_nobody_looks_for_goes),
    };
    return cmocka_run_group_tests_name("partials", tests, NULL, NULL);
}
