// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "runtime/native/inner.h"

enum { STUCK = 700, OTHERS = 1500, TURNS_MAX = 400 };

static void make_file(const char *dir, const char *kind, unsigned i, bool stuck)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s%u", dir, kind, i);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    /* a mount point cannot be removed in the mount namespace that it is in */
    if (stuck)
        assert_int_equal(mount(path, path, NULL, MS_BIND, NULL), 0);
}

static size_t count_files(const char *path, const char *kind)
{
    DIR *d = opendir(path);
    size_t n = 0;
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        n += strncmp(e->d_name, kind, strlen(kind)) == 0;
    (void)closedir(d);
    return n;
}

/* They come first and last, in whichever order the file system tells its entries. */
static void what_cannot_be_removed_hinders_nothing_else_and_is_left_alone(void **unused)
{
    char root[] = "/tmp/zlayer-unit.XXXXXX", dir[64];
    struct event_base *base = event_base_new();
    struct trash *t = NULL;
    struct zl_error err = { 0 };
    int turns = 0;
    (void)unused;
    assert_non_null(mkdtemp(root));
    assert_int_equal(mount("tmpfs", root, "tmpfs", 0, NULL), 0);
    (void)snprintf(dir, sizeof dir, "%s/full", root);
    assert_int_equal(mkdir(dir, 0700), 0);
    for (unsigned i = 0; i < STUCK; i++)
        make_file(dir, "stuck", i, true);
    for (unsigned i = 0; i < OTHERS; i++)
        make_file(dir, "other", i, false);
    for (unsigned i = STUCK; i < 2 * STUCK; i++)
        make_file(dir, "stuck", i, true);
    zl_autoclose int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(trash_new(base, root_fd, "trash", &t, &err), 0);
    zl_autoclose int full = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(trash_take(t, root_fd, "full", &err), 0);
    while (event_base_loop(base, EVLOOP_ONCE) == 0 &&
           turns < TURNS_MAX) /* 1: nothing to wait for */
        turns++;
    assert_in_range(turns, 1, TURNS_MAX - 1);
    (void)snprintf(dir, sizeof dir, "/proc/self/fd/%d", full);
    assert_int_equal(count_files(dir, "other"), 0);
    assert_int_equal(count_files(dir, "stuck"), 2 * STUCK);
    trash_free(t);
    event_base_free(base);
    assert_int_equal(umount2(root, MNT_DETACH), 0);
    assert_int_equal(rmdir(root), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_removed_hinders_nothing_else_and_is_left_alone),
    };
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        (void)fputs("needs root, to mount: skipped\n", stderr);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
