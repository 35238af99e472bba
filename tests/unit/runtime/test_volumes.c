// SPDX-License-Identifier: Apache-2.0
/*
 * The store of volumes beside who works in it at the same time, and over a power cut. The calls
 * renameat(2) and fsync(2) of the runtime come by here, so that a test sees what is true the moment
 * that they are made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "runtime/volumes.h"

static bool taken_unlocked; /* of what was moved, somebody else could have got the lock */
static unsigned unsynced; /* directories with entries that a power cut would bring back, as bits */
enum { VOLUMES = 1, META = 2 };

static unsigned bit_of(int dir_fd)
{
    char link[64], path[256] = "/"; /* which it stays for AT_FDCWD */
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", dir_fd);
    (void)!readlink(link, path, sizeof path - 1);
    const char *name = strrchr(path, '/') + 1;
    return strcmp(name, "volumes") == 0 ? VOLUMES : strcmp(name, "volumes.meta") == 0 ? META : 0;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    zl_autoclose int fd = openat(from_fd, from, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && strncmp(from, ".new-", 5) == 0)
        taken_unlocked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0)
        unsynced |= bit_of(from_fd);
    return (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
}

int unlinkat(int dir_fd, const char *name, int flags)
{
    int rc = (int)syscall(SYS_unlinkat, dir_fd, name, flags);
    if (rc == 0)
        unsynced |= bit_of(dir_fd);
    return rc;
}

int fsync(int fd)
{
    unsynced &= ~bit_of(fd);
    return (int)syscall(SYS_fsync, fd);
}

struct world {
    char path[32];
    int root;
    struct event_base *base;
    struct volumes *volumes;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct zl_error err;
    assert_non_null(w);
    (void)snprintf(w->path, sizeof w->path, "/tmp/zlayer-unit.XXXXXX");
    assert_non_null(mkdtemp(w->path));
    w->root = zl_open_dir(AT_FDCWD, w->path, NULL);
    w->base = event_base_new();
    if (volumes_open(w->base, w->path, w->root, &w->volumes, &err) < 0)
        fail_msg("%s", err.msg);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    volumes_free(w->volumes);
    event_base_free(w->base);
    (void)close(w->root);
    assert_int_equal(zl_remove_tree(AT_FDCWD, w->path, NULL), 0);
    free(w);
    return 0;
}

static bool is_there(const struct world *w, const char *path)
{
    return faccessat(w->root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void what_a_dead_helper_left_is_locked_until_it_is_in_the_trash(void **state)
{
    const struct world *w = *state;
    assert_int_equal(mkdirat(w->root, "volumes/.new-dead", 0700), 0);
    taken_unlocked = false;
    volumes_sweep(w->volumes);
    assert_false(is_there(w, "volumes/.new-dead"));
    assert_false(taken_unlocked);
}

static void what_a_helper_works_in_stays_until_it_has_ended(void **state)
{
    const struct world *w = *state;
    assert_int_equal(mkdirat(w->root, "volumes/.new-alive", 0700), 0);
    int fd = zl_open_dir(w->root, "volumes/.new-alive", NULL);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    volumes_sweep(w->volumes);
    assert_true(is_there(w, "volumes/.new-alive"));
    (void)close(fd);
    volumes_sweep(w->volumes);
    assert_false(is_there(w, "volumes/.new-alive"));
}

static void a_removed_volume_is_removed_over_a_power_cut(void **state)
{
    const struct world *w = *state;
    struct zl_error err;
    assert_int_equal(volumes_create(w->volumes, "db", NULL, &err), 0);
    unsynced = 0;
    if (volumes_remove(w->volumes, "db", false, &err) < 0)
        fail_msg("%s", err.msg);
    assert_false(is_there(w, "volumes/db") || is_there(w, "volumes.meta/db.json"));
    assert_int_equal(unsynced, 0);
}

static void a_link_among_the_volumes_is_none(void **state)
{
    const struct world *w = *state;
    struct zl_error err;
    json_t *list = NULL;
    assert_int_equal(mkdirat(w->root, "elsewhere", 0700), 0);
    assert_int_equal(symlinkat("../elsewhere", w->root, "volumes/db"), 0);
    assert_int_equal(volumes_ensure(w->volumes, "db", &err), -1);
    assert_int_equal(err.kind, ZL_ERR_INVALID);
    assert_non_null(strstr(err.msg, "/volumes/db' is no folder"));
    assert_int_equal(volumes_create(w->volumes, "db", NULL, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_INVALID);
    assert_int_equal(volumes_remove(w->volumes, "db", true, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_INVALID);
    assert_int_equal(volumes_list(w->volumes, &list, &err), 0);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    assert_true(is_there(w, "volumes/db") && is_there(w, "elsewhere"));
}

#define IN_A_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_STORE(what_a_dead_helper_left_is_locked_until_it_is_in_the_trash),
        IN_A_STORE(what_a_helper_works_in_stays_until_it_has_ended),
        IN_A_STORE(a_removed_volume_is_removed_over_a_power_cut),
        IN_A_STORE(a_link_among_the_volumes_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
