// SPDX-License-Identifier: Apache-2.0
/* Which beginnings of blobs stay, and which go when a fetch begins. */
#include "shelf.h"

#include <sys/file.h>
#include <sys/wait.h>

#include "fetch/store/partials.h"

enum { NOW = 1000000000, DAY = 24 * 3600, BLOCK = 4096, ROUNDS = 3000 };

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

/* A blob becomes complete and the next one of that name is begun, over and over, while another run
 * tidies up: what is locked and has its name keeps it. */
static _Noreturn void begin_over_and_over(int partial)
{
    for (int i = 0; i < ROUNDS; i++) {
        zl_autoclose int fd = openat(partial, "x", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        struct stat here, there;
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &here) < 0 ||
            fstatat(partial, "x", &there, 0) < 0 || here.st_ino != there.st_ino)
            continue; /* the other one was faster */
        for (int look = 0; look < 20; look++) {
            if (fstatat(partial, "x", &there, 0) < 0)
                _exit(1);
        }
        if (renameat(partial, "x", partial, "blob") < 0)
            _exit(1);
    }
    _exit(0);
}

static void what_is_begun_under_a_name_that_is_free_again_stays(void **unused)
{
    (void)unused;
    struct shelf s = shelf_open();
    struct layout l = LAYOUT_CLOSED;
    struct zl_error err;
    int status;
    assert_int_equal(layout_open(s.root, &l, &err), 0);
    pid_t pid = fork();
    if (pid == 0)
        begin_over_and_over(l.partial);
    while (waitpid(pid, &status, WNOHANG) == 0)
        (void)partials_drop(&l);
    assert_int_equal(status, 0);
    layout_close(&l);
    shelf_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_older_than_a_week_goes),
        cmocka_unit_test(of_too_much_the_oldest_go),
        cmocka_unit_test(what_somebody_writes_stays_and_what_nobody_looks_for_goes),
        cmocka_unit_test(what_is_begun_under_a_name_that_is_free_again_stays),
    };
    return cmocka_run_group_tests_name("partials", tests, NULL, NULL);
}
