// SPDX-License-Identifier: Apache-2.0
/* What is kept of the logs of what was removed, and what goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/logs.h"
#include "base/clock.h"
#include "base/fd.h"

static void write_text(int root, const char *folder, const char *text)
{
    zl_autoclose int dir = zl_mkdir_p(root, folder, 0755, NULL);
    zl_autoclose int fd = openat(dir, "default-0.log", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static bool is_there(int root, const char *path)
{
    return faccessat(root, path, F_OK, 0) == 0;
}

static size_t count_kept(int root)
{
    zl_autoclose int dir = zl_open_dir(root, "logs/-removed", NULL);
    DIR *d = fdopendir(dup(dir));
    const struct dirent *e;
    size_t n = 0;
    assert_non_null(d);
    while ((e = readdir(d)))
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static int open_root(void **state)
{
    static char path[] = "/tmp/zlayer-logs.XXXXXX";
    (void)snprintf(path, sizeof path, "/tmp/zlayer-logs.XXXXXX");
    *state = mkdtemp(path);
    return *state ? 0 : -1;
}

static int remove_root(void **state)
{
    return zl_remove_tree(AT_FDCWD, *state, NULL);
}

static void what_was_removed_is_kept_below_its_time(void **state)
{
    zl_autoclose int root = zl_open_dir(AT_FDCWD, *state, NULL);
    unsigned long long now = (unsigned long long)zl_wall_ms() / 1000;
    char path[128];
    write_text(root, "logs/-/box", "x");
    write_text(root, "logs/shop/web", "y");
    logs_keep(root, "-", "box", 100);
    logs_keep(root, "shop", NULL, 200);
    logs_keep(root, "never", NULL, 200); /* it wrote nothing */
    assert_int_equal(count_kept(root), 2);
    assert_false(is_there(root, "logs/-"));
    assert_false(is_there(root, "logs/shop"));
    bool box = false, web = false;
    for (unsigned long long i = 0; i < 5; i++) { /* the clock went on meanwhile */
        (void)snprintf(path, sizeof path, "logs/-removed/%llu.-.box/default-0.log", now + 100 + i);
        box |= is_there(root, path);
        (void)snprintf(path, sizeof path, "logs/-removed/%llu.shop/web/default-0.log",
                       now + 200 + i);
        web |= is_there(root, path);
    }
    assert_true(box && web);
}

static void what_is_kept_for_no_time_goes(void **state)
{
    zl_autoclose int root = zl_open_dir(AT_FDCWD, *state, NULL);
    write_text(root, "logs/-/box", "x");
    write_text(root, "logs/-/other", "x");
    logs_keep(root, "-", "box", 0);
    assert_false(is_there(root, "logs/-/box"));
    assert_true(is_there(root, "logs/-/other/default-0.log"));
    assert_false(is_there(root, "logs/-removed"));
}

static void what_is_over_goes_and_nothing_else(void **state)
{
    zl_autoclose int root = zl_open_dir(AT_FDCWD, *state, NULL);
    write_text(root, "logs/-removed/1000.-.old", "x");
    write_text(root, "logs/-removed/1000.shop/web", "x");
    write_text(root, "logs/-removed/99999999999.-.young", "x");
    write_text(root, "logs/-removed/no number", "x");
    logs_sweep(root);
    assert_int_equal(count_kept(root), 2);
    assert_true(is_there(root, "logs/-removed/99999999999.-.young/default-0.log"));
    assert_true(is_there(root, "logs/-removed/no number/default-0.log"));
}

static void of_too_many_those_go_that_would_go_first(void **state)
{
    zl_autoclose int root = zl_open_dir(AT_FDCWD, *state, NULL);
    char path[64];
    for (int i = 0; i < LOGS_KEPT_MAX; i++) {
        (void)snprintf(path, sizeof path, "logs/-removed/%d.-.b", 2000000000 + i);
        write_text(root, path, "x");
    }
    for (int i = 0; i < 3; i++) { /* of one name, in one second */
        write_text(root, "logs/-/box", "x");
        logs_keep(root, "-", "box", 1000000000);
    }
    assert_int_equal(count_kept(root), LOGS_KEPT_MAX);
    assert_false(is_there(root, "logs/-removed/2000000002.-.b"));
    assert_true(is_there(root, "logs/-removed/2000000003.-.b"));
}

#define IN_A_FOLDER(f) cmocka_unit_test_setup_teardown(f, open_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(what_was_removed_is_kept_below_its_time),
        IN_A_FOLDER(what_is_kept_for_no_time_goes),
        IN_A_FOLDER(what_is_over_goes_and_nothing_else),
        IN_A_FOLDER(of_too_many_those_go_that_would_go_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
