// SPDX-License-Identifier: Apache-2.0
/* state.json: written, read again, and not fooled by a pid that is another's by now. */
#include "oci/state.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/fd.h"

struct world {
    char path[64];
    int dir;
};

static int set_up(void **state)
{
    static struct world w;
    (void)snprintf(w.path, sizeof w.path, "/tmp/zl-state.XXXXXX");
    assert_non_null(mkdtemp(w.path));
    w.dir = open(w.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    close(w->dir);
    return zl_remove_tree(AT_FDCWD, w->path, NULL);
}

static void what_was_written_is_read(void **state)
{
    struct world *w = *state;
    struct zl_pair note[] = { { "key", "a \"value\"" } };
    struct oci_state s = { .id = "x",
                           .bundle = "/b",
                           .created = "2026-01-01T00:00:00Z",
                           .pid = getpid(),
                           .pid_start = oci_pid_start(getpid()),
                           .annotations = { note, 1 } };
    autocistate struct oci_state again = { 0 };

    assert_int_equal(oci_state_write(w->dir, &s, NULL), 0);
    assert_int_equal(oci_state_read(w->dir, &again, NULL), 0);
    assert_string_equal(again.id, "x");
    assert_string_equal(again.bundle, "/b");
    assert_string_equal(again.annotations.v[0].value, "a \"value\"");
    assert_int_equal(again.pid, getpid());
    assert_true(oci_state_alive(&again));
}

static void a_pid_with_another_start_time_is_not_the_container(void **state)
{
    struct oci_state s = { .pid = getpid(), .pid_start = oci_pid_start(getpid()) + 1 };
    (void)state;
    assert_false(oci_state_alive(&s));
}

static void a_zombie_is_not_alive(void **state)
{
    siginfo_t info;
    pid_t pid = fork();
    (void)state;

    if (pid == 0)
        _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(oci_pid_start(pid), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_stopped_container_is_printed_without_pid(void **state)
{
    struct oci_state s = { .id = "x", .bundle = "/b", .created = "then", .pid = 7 };
    zl_autobuf struct zl_buf out = ZL_BUF(4096);
    (void)state;

    assert_int_equal(oci_state_print(&s, OCI_STOPPED, &out, NULL), 0);
    assert_null(strstr(out.data, "pid"));
    assert_non_null(strstr(out.data, "\"status\": \"stopped\""));
    zl_buf_reset(&out);
    assert_int_equal(oci_state_print(&s, OCI_RUNNING, &out, NULL), 0);
    assert_non_null(strstr(out.data, "\"pid\": 7"));
}

static void a_torn_state_is_an_error_that_names_it(void **state)
{
    struct world *w = *state;
    struct oci_state s;
    struct zl_error err = { 0 };

    assert_int_equal(zl_write_atomic(w->dir, "state.json", "{\"id\":", 6, 0600, false, NULL), 0);
    assert_int_equal(oci_state_read(w->dir, &s, &err), -1);
    assert_non_null(strstr(err.msg, "state.json:1:"));
    oci_state_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_read, set_up, tear_down),
        cmocka_unit_test(a_pid_with_another_start_time_is_not_the_container),
        cmocka_unit_test(a_zombie_is_not_alive),
        cmocka_unit_test(a_stopped_container_is_printed_without_pid),
        cmocka_unit_test_setup_teardown(a_torn_state_is_an_error_that_names_it, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
