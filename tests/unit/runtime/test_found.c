// SPDX-License-Identifier: Apache-2.0
/*
 * What a new agent makes of a monitor that does not answer. The monitor is this test: a socket in
 * the run directory; the container a child, listed in a folder that stands for its cgroup.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/msg.h"
#include "monitor/protocol.h"
#include "runtime/native.h"
#include "runtime/native/record.h"

enum { PATIENCE_MS = 10 * 1000 };

struct world {
    char path[64], root[96], run[96], id[ZL_ID_LEN + 1];
    int dir, listener, crowd, conn;
    pid_t child;
    struct event_base *base;
    struct runtime *rt;
    unsigned found, exits;
    enum found_state state;
    struct inst_exit exit;
};

static void on_event(void *arg, const struct rt_event *ev)
{
    struct world *w = arg;
    if (ev->kind == RT_EV_FOUND) {
        w->found++;
        w->state = ev->found.found.state;
    } else if (ev->kind == RT_EV_EXIT) {
        w->exits++;
        w->exit = ev->exit;
    }
}

static void listen_there(struct world *w, int run_fd)
{
    struct sockaddr_un address;
    w->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(zl_unix_address(run_fd, "ctl", &address, NULL), 0);
    assert_int_equal(bind(w->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(w->listener, 0), 0); /* room for one */
    w->crowd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(w->crowd, (struct sockaddr *)&address, sizeof address), 0);
}

static void write_cgroup(struct world *w, int dir)
{
    char pid[16];
    zl_autoclose int cgroup = zl_mkdir_p(dir, "cgroup", 0755, NULL);
    int n = snprintf(pid, sizeof pid, "%d\n", (int)w->child);
    assert_int_equal(zl_write_atomic(cgroup, "cgroup.procs", pid, (size_t)n, 0600, false, NULL), 0);
}

static void write_container(struct world *w)
{
    zl_autobuf struct zl_buf boot = ZL_BUF(64);
    char path[128], cgroup[96];
    const char *cgroups[] = { cgroup };
    (void)snprintf(cgroup, sizeof cgroup, "%s/cgroup", w->path);
    zl_id_format(42, w->id);
    assert_int_equal(zl_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &boot, NULL), 0);
    boot.data[strcspn(boot.data, "\n")] = '\0';
    struct record r = { .id = w->id,
                        .owner = "test",
                        .boot_id = boot.data,
                        .label = { .owner = OWNER_REPLICA,
                                   .deployment = "d",
                                   .service = "s",
                                   .role = "default",
                                   .index = 1 },
                        .image = "sha256:0",
                        .cgroups = { cgroups, 1 },
                        .log = "/none",
                        .stop_signal = SIGTERM };
    (void)snprintf(path, sizeof path, "root/containers/%s", w->id);
    zl_autoclose int state = zl_mkdir_p(w->dir, path, 0700, NULL);
    autorecord struct record written = { 0 };
    assert_int_equal(record_write(state, &r, &written, NULL), 0);
    (void)snprintf(path, sizeof path, "run/c/%s", w->id);
    zl_autoclose int run = zl_mkdir_p(w->dir, path, 0711, NULL);
    listen_there(w, run);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct zl_error err;
    zl_autobuf struct zl_buf program = ZL_BUF(8 << 20);

    (void)snprintf(w->path, sizeof w->path, "/tmp/zl-found.XXXXXX");
    assert_non_null(mkdtemp(w->path));
    (void)snprintf(w->root, sizeof w->root, "%s/root", w->path);
    (void)snprintf(w->run, sizeof w->run, "%s/run", w->path);
    w->dir = zl_open_dir(AT_FDCWD, w->path, NULL);
    w->crowd = w->conn = -1;
    /* spare monitors are started, and are of no use here */
    assert_int_equal(zl_read_file(AT_FDCWD, "/bin/true", &program, NULL), 0);
    assert_int_equal(
        zl_write_atomic(w->dir, "zlayer-shim", program.data, program.len, 0755, false, NULL), 0);
    assert_int_equal(setenv("ZLAYER_LIBEXEC", w->path, 1), 0);
    w->child = fork();
    if (w->child == 0)
        for (;;)
            (void)pause();
    write_container(w);
    write_cgroup(w, w->dir);
    w->base = event_base_new();
    struct native_config cfg = { .base = w->base,
                                 .root_dir = w->root,
                                 .run_dir = w->run,
                                 .cgroup_parent = "/none",
                                 .owner = "test" };
    if (native_new(&cfg, &w->rt, &err) < 0)
        fail_msg("%s", err.msg);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    runtime_free(w->rt);
    event_base_free(w->base);
    (void)kill(w->child, SIGKILL);
    (void)waitpid(w->child, NULL, 0);
    zl_closep(&w->listener);
    zl_closep(&w->crowd);
    zl_closep(&w->conn);
    (void)close(w->dir);
    assert_int_equal(zl_remove_tree(AT_FDCWD, w->path, NULL), 0);
    free(w);
    return 0;
}

static bool child_lives(const struct world *w)
{
    siginfo_t info = { 0 };
    return waitid(P_PID, (id_t)w->child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && !info.si_pid;
}

static void turn_until(struct world *w, bool (*done)(const struct world *))
{
    for (uint64_t end = zl_mono_ms() + PATIENCE_MS; !done(w);) {
        const struct timeval soon = { 0, 10000 };
        assert_true(zl_mono_ms() < end);
        (void)event_base_loopexit(w->base, &soon);
        (void)event_base_loop(w->base, EVLOOP_ONCE);
    }
}

static bool has_exit(const struct world *w)
{
    return w->exits > 0;
}

/* Takes the agent's connection, with those in its way, and answers its hello. */
static void answer_hello(struct world *w, enum mon_phase phase)
{
    struct mon_state state = { .phase = phase, .exit = { .code = 7 } };
    char buf[1024];
    struct zl_msg m;
    for (uint64_t end = zl_mono_ms() + PATIENCE_MS; zl_mono_ms() < end;) {
        const struct timeval soon = { 0, 10000 };
        (void)event_base_loopexit(w->base, &soon);
        (void)event_base_loop(w->base, 0);
        zl_closep(&w->conn);
        w->conn = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (w->conn < 0 || zl_msg_recv(w->conn, buf, sizeof buf, &m, NULL) <= 0)
            continue;
        assert_int_equal(m.head.type, MON_HELLO);
        m.head.length = sizeof state;
        m.body = &state;
        assert_int_equal(zl_msg_send(w->conn, &m, NULL), 0);
        return;
    }
    fail_msg("the agent does not come");
}

static void crowd_and_watch(struct world *w)
{
    struct zl_error err;
    if (w->rt->ops->watch(w->rt, on_event, w, &err) < 0)
        fail_msg("%s", err.msg);
    (void)fcntl(w->listener, F_SETFL, O_RDWR | O_NONBLOCK);
}

static void a_crowded_monitor_keeps_its_container(void **state)
{
    struct world *w = *state;
    crowd_and_watch(w);
    assert_int_equal(w->found, 1);
    assert_int_equal(w->state, FOUND_RUNNING);
    assert_true(child_lives(w));
    answer_hello(w, MON_PHASE_EXITED);
    turn_until(w, has_exit);
    assert_int_equal(w->exit.code, 7); /* what it says then is told */
    assert_false(w->exit.lost);
    assert_true(child_lives(w));
}

static void what_lives_is_not_removed_for_its_record(void **state)
{
    struct world *w = *state;
    char path[160];
    (void)snprintf(path, sizeof path, "root/containers/%s", w->id);
    zl_autoclose int dir = zl_open_dir(w->dir, path, NULL);
    assert_int_equal(zl_write_atomic(dir, RECORD_FILE, "{\"version\":9}", 13, 0600, false, NULL),
                     0);
    crowd_and_watch(w);
    assert_int_equal(w->found, 0);
    assert_int_equal(faccessat(w->dir, path, F_OK, 0), 0);
    (void)snprintf(path, sizeof path, "run/c/%s/ctl", w->id);
    assert_int_equal(faccessat(w->dir, path, F_OK, 0), 0);
}

static void what_another_process_is_just_making_is_left_alone(void **state)
{
    struct world *w = *state;
    zl_closep(&(int){ zl_mkdir_p(w->dir, "root/containers/baaaaaaaaaaaa", 0700, NULL) });
    zl_closep(&(int){ zl_mkdir_p(w->dir, "run/c/baaaaaaaaaaaa", 0711, NULL) });
    crowd_and_watch(w);
    assert_int_equal(faccessat(w->dir, "root/containers/baaaaaaaaaaaa", F_OK, 0), 0);
    assert_int_equal(faccessat(w->dir, "run/c/baaaaaaaaaaaa", F_OK, 0), 0);
}

static void a_monitor_that_cuts_the_connection_keeps_its_container(void **state)
{
    struct world *w = *state;
    crowd_and_watch(w);
    answer_hello(w, MON_PHASE_RUNNING);
    (void)event_base_loop(w->base, EVLOOP_NONBLOCK);
    zl_closep(&w->conn); /* as of an agent that did not read in time */
    w->conn = -1;
    answer_hello(w, MON_PHASE_RUNNING);
    (void)event_base_loop(w->base, EVLOOP_NONBLOCK);
    assert_true(child_lives(w));
    assert_int_equal(w->exits, 0);
}

static void a_monitor_that_is_dead_is_told_as_lost(void **state)
{
    struct world *w = *state;
    crowd_and_watch(w);
    answer_hello(w, MON_PHASE_RUNNING);
    (void)event_base_loop(w->base, EVLOOP_NONBLOCK);
    zl_closep(&w->listener); /* nobody listens any more */
    w->listener = -1;
    zl_closep(&w->conn);
    w->conn = -1;
    turn_until(w, has_exit);
    assert_true(w->exit.lost);
    while (child_lives(w)) /* SIGKILL was sent */
        ;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_crowded_monitor_keeps_its_container, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_another_process_is_just_making_is_left_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_lives_is_not_removed_for_its_record, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_monitor_that_cuts_the_connection_keeps_its_container,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_monitor_that_is_dead_is_told_as_lost, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
