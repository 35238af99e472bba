// SPDX-License-Identifier: Apache-2.0
/*
 * The real zlayer-shim with real containers. The test is the agent: it starts a shim, talks to it,
 * goes away and comes back. Needs root and a cgroup hierarchy that counts memory; works below a
 * cgroup parent of its own.
 */
#include "../scratch.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/id.h"
#include "monitor/client.h"
#include "monitor/exitrec.h"
#include "monitor/frame.h"
#include "monitor/logread.h"
#include "sandbox/carry/carry.h"
#include "tinyplan.h"

enum { PATIENCE_MS = 5 * 1000 };

static struct {
    const char *shim; /* the program */
    struct scratch dir;
    char root[128], parent[64];
    pid_t present; /* the shim of the test that runs; 0: it has ended */
    char cgroup[128];
} all;

struct box { /* one container and its shim */
    char id[ZL_ID_LEN + 1];
    char cgroup[128], log[192];
    int run_fd, state_fd, log_fd, plan_fd;
    pid_t shim;
    struct mon_client *agent;
    uint64_t op;
};

struct how {
    const char *const *argv;
    uint32_t flags;
    const char *memory_max;
    bool host_pids;
};
#define SH(script) ((const char *const[]){ "/bin/sh", "-c", script, NULL })

static uint64_t soon(void)
{
    return zl_mono_ms() + PATIENCE_MS;
}

/* --- a shim and its container --- */

static pid_t spawn_shim(int sock)
{
    posix_spawn_file_actions_t actions;
    char *argv[] = { (char *)(uintptr_t) "zlayer-shim", NULL };
    char *env[] = { NULL };
    pid_t pid;

    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, sock, 3), 0);
    assert_int_equal(posix_spawn(&pid, all.shim, &actions, NULL, argv, env), 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static struct mon_message ask(struct box *b, int sent, struct zl_error *err)
{
    struct mon_message m = { .fd = -1 };
    if (sent < 0 || mon_client_await(b->agent, b->op, soon(), &m, err) < 0)
        fail_msg("%s", err->msg);
    return m;
}

/* The answer to a request of this box, which must not be an error. */
#define ASK(b, what, ...)                                                                          \
    ({                                                                                             \
        struct zl_error ask_err;                                                                   \
        int ask_sent = mon_client_send_##what((b)->agent, ++(b)->op, ##__VA_ARGS__, &ask_err);     \
        ask(b, ask_sent, &ask_err);                                                                \
    })

/* The error that it must be answered with. */
#define REFUSED(b, what, ...)                                                                      \
    ({                                                                                             \
        struct zl_error ask_err;                                                                   \
        struct mon_message ask_m;                                                                  \
        ok2(mon_client_send_##what((b)->agent, ++(b)->op, ##__VA_ARGS__, &ask_err), ask_err);      \
        assert_int_equal(mon_client_await((b)->agent, (b)->op, soon(), &ask_m, &ask_err), -1);     \
        ask_err;                                                                                   \
    })
#define ok2(call, e)                                                                               \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg("%s: %s", #call, (e).msg);                                                    \
    } while (0)

static int make_dir(const char *kind, const char *id)
{
    char path[64];
    struct zl_error err;
    int fd;
    (void)snprintf(path, sizeof path, "%s/%s", kind, id);
    ok(fd = zl_mkdir_p(all.dir.fd, path, 0711, &err));
    return fd;
}

static struct box box_open(const struct how *how)
{
    struct box b = { .plan_fd = -1 };
    struct zl_error err;
    int pair[2];

    zl_id_format(zl_id_random(), b.id);
    (void)snprintf(b.cgroup, sizeof b.cgroup, "%s/c/%s", all.parent, b.id);
    (void)snprintf(b.log, sizeof b.log, "%s/logs/%s.log", all.dir.path, b.id);
    b.run_fd = make_dir("c", b.id);
    b.state_fd = make_dir("containers", b.id);
    b.log_fd = make_dir("logs", "");
    b.plan_fd = tiny_plan(&(struct tiny_options){ .root = all.root,
                                                  .cgroup = b.cgroup,
                                                  .memory_max = how->memory_max,
                                                  .host_pids = how->host_pids,
                                                  .terminal = how->flags & MON_CREATE_TTY,
                                                  .argv = how->argv });
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    b.shim = all.present = spawn_shim(pair[1]);
    memcpy(all.cgroup, b.cgroup, sizeof all.cgroup);
    (void)close(pair[1]);
    ok(mon_client_adopt(pair[0], &b.agent, &err));
    (void)ASK(&b, hello, true, NULL);
    return b;
}

static struct mon_create create_of(const struct box *b, const struct how *how)
{
    struct mon_create c = { .flags = how->flags };
    (void)snprintf(c.id, sizeof c.id, "%s", b->id);
    (void)snprintf(c.log_name, sizeof c.log_name, "%s.log", b->id);
    return c;
}

static struct box box_create(const struct how *how)
{
    struct box b = box_open(how);
    struct mon_create c = create_of(&b, how);
    (void)ASK(&b, create, &c, ((int[]){ b.plan_fd, b.run_fd, b.state_fd, b.log_fd }), 4);
    return b;
}

static struct box box_run(const struct how *how)
{
    struct box b = box_create(how);
    struct mon_message m = ASK(&b, start);
    assert_true(m.started.pid > 0);
    return b;
}

static bool cgroup_exists(const struct box *b)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", tiny_cgroup_mount(), b->cgroup);
    return access(path, F_OK) == 0;
}

/* The shim's exit status; it must end by itself. */
static int shim_status(struct box *b)
{
    int status = -1;
    for (uint64_t end = soon(); zl_mono_ms() < end; (void)poll(NULL, 0, 2)) {
        if (waitpid(b->shim, &status, WNOHANG) == b->shim) {
            all.present = 0;
            return status;
        }
    }
    fail_msg("the shim does not end");
    return -1;
}

static void box_let_go(struct box *b)
{
    mon_client_free(b->agent);
    b->agent = NULL;
    (void)close(b->run_fd);
    (void)close(b->state_fd);
    (void)close(b->log_fd);
    (void)close(b->plan_fd);
}

/* Forgets the container; nothing of it is left. */
static void box_forget(struct box *b)
{
    (void)ASK(b, forget);
    assert_int_equal(shim_status(b), 0);
    assert_false(cgroup_exists(b));
    char path[64];
    (void)snprintf(path, sizeof path, "c/%s", b->id);
    assert_int_equal(faccessat(all.dir.fd, path, F_OK, 0), -1);
    box_let_go(b);
}

static struct mon_exit box_wait(struct box *b)
{
    return ASK(b, wait).exit;
}

/* All lines of the log, one string per stream. */
static char *log_text(const struct box *b, enum log_stream stream)
{
    struct logread_opts o = { .tail = LOGREAD_ALL };
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 24);
    autologread struct logread *r = NULL;
    struct logread_line line;
    struct zl_error err;
    ok(logread_open(b->log, &o, &r, &err));
    while (logread_next(r, &line, &err) == 1) {
        if (line.stream == stream)
            zl_buf_add(&text, line.bytes, line.length);
    }
    return zl_buf_steal(&text);
}

static void wait_for_log(const struct box *b, const char *wanted)
{
    struct logread_opts o = { .tail = LOGREAD_ALL, .follow = true };
    autologread struct logread *r = NULL;
    struct logread_line line;
    struct zl_error err;
    ok(logread_open(b->log, &o, &r, &err));
    struct pollfd p = { .fd = logread_fd(r), .events = POLLIN };
    for (uint64_t end = soon(); zl_mono_ms() < end; (void)poll(&p, 1, 1000)) {
        while (logread_next(r, &line, &err) == 1) {
            if (line.length >= strlen(wanted) && memcmp(line.bytes, wanted, strlen(wanted)) == 0)
                return;
        }
    }
    fail_msg("'%s' does not come", wanted);
}

/* --- streams --- */

struct seen {
    struct zl_buf out, err;
    struct mon_exit exit;
    bool ended;
};

/* Reads frames to the end. */
static struct seen read_stream(int fd)
{
    struct seen s = { 0 };
    struct mon_frame_reader *r = malloc(sizeof *r);
    struct mon_frame f;
    struct zl_error err;
    int rc;
    zl_buf_init(&s.out, 1 << 24);
    zl_buf_init(&s.err, 1 << 24);
    mon_frame_reader_init(r);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    for (;;) {
        if (!mon_frame_pending(r) && poll(&p, 1, PATIENCE_MS) != 1)
            fail_msg("the stream stands still");
        rc = mon_frame_read(r, fd, &f, &err);
        if (rc <= 0)
            break;
        if (f.stream == MON_STREAM_EXIT) {
            s.exit = f.exit;
            s.ended = true;
        } else {
            zl_buf_add(f.stream == MON_STREAM_STDOUT ? &s.out : &s.err, f.bytes, f.length);
        }
    }
    if (rc < 0)
        fail_msg("%s", err.msg);
    free(r);
    (void)close(fd);
    return s;
}

static void seen_done(struct seen *s)
{
    zl_buf_done(&s->out);
    zl_buf_done(&s->err);
}

/* --- the way of a container --- */

static void output_is_logged_and_the_exit_recorded(void **unused)
{
    (void)unused;
    struct box b = box_create(&(struct how){ SH("echo hello; echo oops >&2; hostname; exit 3"),
                                             MON_CREATE_DURABLE_EXIT });
    struct mon_message m = ASK(&b, state);
    assert_int_equal(m.state.phase, MON_PHASE_CREATED);
    assert_true(cgroup_exists(&b));
    (void)ASK(&b, start);
    struct mon_exit e = box_wait(&b), recorded;
    struct zl_error err;
    assert_int_equal(e.code, 3);
    assert_int_equal(e.signal, 0);
    assert_int_equal(e.oom, 0);
    assert_true(e.finished_wall_ns > e.started_wall_ns);
    ok(exitrec_read(b.run_fd, &recorded, &err));
    assert_memory_equal(&recorded, &e, sizeof e);
    ok(exitrec_read(b.state_fd, &recorded, &err));
    assert_memory_equal(&recorded, &e, sizeof e);
    zl_autofree char *out = log_text(&b, LOG_STDOUT), *oops = log_text(&b, LOG_STDERR);
    assert_string_equal(out, "hello\ntiny\n");
    assert_string_equal(oops, "oops\n");
    box_forget(&b);
}

static void the_end_is_told_to_who_wants_events(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("exit 7") });
    struct mon_message m;
    struct zl_error err;
    do
        ok2(mon_client_next(b.agent, soon(), &m, &err), err);
    while (m.type != MON_EV_EXIT);
    assert_int_equal(m.exit.code, 7);
    box_forget(&b);
}

static void a_container_outlives_its_agent(void **unused)
{
    (void)unused;
    struct box b = box_run(
        &(struct how){ SH("trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done") });
    wait_for_log(&b, "up");
    struct mon_message before = ASK(&b, state);
    mon_client_free(b.agent); /* killed */
    struct zl_error err;
    ok(mon_client_open(b.run_fd, &b.agent, &err));
    struct mon_message after = ASK(&b, hello, true, NULL);
    assert_int_equal(after.state.phase, MON_PHASE_RUNNING);
    assert_int_equal(after.state.pid, before.state.pid);
    assert_true(after.state.pid_start > 0);
    assert_int_equal(after.state.pid_start, before.state.pid_start);
    assert_int_equal(after.state.monitor_pid, b.shim);
    struct mon_message end = ASK(&b, stop, 0, PATIENCE_MS);
    assert_int_equal(end.exit.code, 5);
    zl_autofree char *out = log_text(&b, LOG_STDOUT);
    assert_string_equal(out, "up\nbye\n");
    box_forget(&b);
}

static void a_created_container_waits_for_the_next_agent(void **unused)
{
    (void)unused;
    struct box b = box_create(&(struct how){ SH("echo late") });
    struct zl_error err;
    mon_client_free(b.agent);
    ok(mon_client_open(b.run_fd, &b.agent, &err));
    struct mon_message m = ASK(&b, hello, false, NULL);
    assert_int_equal(m.state.phase, MON_PHASE_CREATED);
    (void)ASK(&b, start);
    assert_int_equal(box_wait(&b).code, 0);
    box_forget(&b);
}

static void a_spare_shim_ends_with_its_agent(void **unused)
{
    (void)unused;
    struct box b = box_open(&(struct how){ SH("true") });
    mon_client_free(b.agent);
    b.agent = NULL;
    assert_int_equal(shim_status(&b), 0);
    assert_false(cgroup_exists(&b));
    box_let_go(&b);
}

static void who_ignores_the_stop_signal_is_killed_after_the_grace(void **unused)
{
    (void)unused;
    struct box b =
        box_run(&(struct how){ SH("trap '' TERM; echo up; while :; do sleep 0.05; done") });
    wait_for_log(&b, "up");
    uint64_t begin = zl_mono_ms();
    struct mon_message m = ASK(&b, stop, 0, 300);
    assert_in_range(zl_mono_ms() - begin, 300, 5000);
    assert_int_equal(m.exit.code, 137);
    assert_int_equal(m.exit.signal, SIGKILL);
    assert_false(cgroup_exists(&b));
    box_forget(&b);
}

static void a_signal_reaches_the_first_process(void **unused)
{
    (void)unused;
    struct box b =
        box_run(&(struct how){ SH("trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done") });
    wait_for_log(&b, "up");
    struct zl_error err = REFUSED(&b, signal, 0, 9999);
    assert_int_equal(err.kind, ZL_ERR_INVALID);
    (void)ASK(&b, signal, 0, SIGUSR1);
    assert_int_equal(box_wait(&b).code, 9);
    box_forget(&b);
}

/* How far a loop in the container has come, once it has come further than `from`. */
static long counted(const struct box *b, long from)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/tmp/count-%s", all.root, b->id);
    for (uint64_t end = soon(); zl_mono_ms() < end; (void)poll(NULL, 0, 5)) {
        struct stat st;
        if (stat(path, &st) == 0 && st.st_size > from)
            return (long)st.st_size;
    }
    return from;
}

static struct box run_counter(char script[256])
{
    /* the file's size is the count, so that no torn number is read */
    struct box b = box_create(
        &(struct how){ SH("read f; while :; do echo >> /tmp/$f; done"), MON_CREATE_STDIN });
    (void)ASK(&b, start);
    int n = snprintf(script, 256, "count-%s\n", b.id);
    struct mon_message m = ASK(&b, stdin, 0, script, (size_t)n, true);
    assert_int_equal(m.taken.taken, n);
    return b;
}

static void a_paused_container_stands_still_and_goes_on(void **unused)
{
    (void)unused;
    char name[256];
    struct box b = run_counter(name);
    struct zl_error err = REFUSED(&b, pause, false);
    assert_int_equal(err.kind, ZL_ERR_CONFLICT);
    assert_true(counted(&b, 0) > 0);

    (void)ASK(&b, pause, true);
    struct mon_message m = ASK(&b, state);
    assert_int_equal(m.state.phase, MON_PHASE_RUNNING);
    assert_int_equal(m.state.paused, 1);
    long at = counted(&b, 0);
    (void)poll(NULL, 0, 100);
    struct stat st;
    char path[256];
    (void)snprintf(path, sizeof path, "%s/tmp/count-%s", all.root, b.id);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, at);
    err = REFUSED(&b, pause, true);
    assert_int_equal(err.kind, ZL_ERR_CONFLICT);

    (void)ASK(&b, pause, false);
    assert_true(counted(&b, at) > at);
    m = ASK(&b, state);
    assert_int_equal(m.state.paused, 0);
    (void)unlink(path);
    box_forget(&b);
}

static void a_paused_container_can_be_stopped_killed_and_forgotten(void **unused)
{
    (void)unused;
    struct box b =
        box_run(&(struct how){ SH("trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done") });
    wait_for_log(&b, "up");
    (void)ASK(&b, pause, true);
    struct mon_message m = ASK(&b, stop, 0, 10000);
    assert_int_equal(m.exit.code, 5);
    box_forget(&b);

    b = box_run(&(struct how){ SH("sleep 1000") });
    (void)ASK(&b, pause, true);
    (void)ASK(&b, kill_all);
    assert_int_equal(box_wait(&b).signal, SIGKILL);
    box_forget(&b);

    b = box_run(&(struct how){ SH("sleep 1000") });
    (void)ASK(&b, pause, true);
    box_forget(&b);
}

static void new_limits_are_in_force_when_they_are_answered(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("sleep 1000") });
    zl_autobuf struct zl_buf text = ZL_BUF(64);
    char path[256];
    struct zl_error err;
    zl_autoclose int plan = tiny_update_plan(b.cgroup, "17");
    (void)ASK(&b, update, plan);
    (void)snprintf(path, sizeof path, "%s/%s/pids.max", tiny_pids_mount(), b.cgroup);
    ok(zl_read_file(AT_FDCWD, path, &text, &err));
    assert_string_equal(text.data, "17\n");
    zl_autoclose int bad = tiny_update_plan(b.cgroup, "many");
    err = REFUSED(&b, update, bad);
    assert_non_null(strstr(err.msg, "pids.max"));
    err = REFUSED(&b, update, b.plan_fd); /* a plan, but not of an update */
    assert_int_equal(err.kind, ZL_ERR_PROTOCOL);
    box_forget(&b);
}

static void stdin_is_fed_by_requests_as_well(void **unused)
{
    (void)unused;
    static char much[MON_STDIN_MAX];
    struct box b = box_create(
        &(struct how){ SH("read x; echo got $x; read y; wc -c; exit 3"), MON_CREATE_STDIN });
    struct zl_error err = REFUSED(&b, stdin, 0, "x", 1, false);
    assert_int_equal(err.kind, ZL_ERR_CONFLICT); /* it does not run */
    (void)ASK(&b, start);
    assert_int_equal(ASK(&b, stdin, 0, "one\n", 4, false).taken.taken, 4);
    wait_for_log(&b, "got one");
    memset(much, 'x', sizeof much);
    /* nobody reads: the pipe takes what it holds, and the rest is not taken */
    assert_int_equal(ASK(&b, stdin, 0, much, sizeof much, false).taken.taken, sizeof much);
    assert_true(ASK(&b, stdin, 0, much, sizeof much, false).taken.taken < sizeof much);
    (void)ASK(&b, kill_all);
    (void)box_wait(&b);
    box_forget(&b);

    b = box_create(&(struct how){ SH("cat; exit 4"), MON_CREATE_STDIN });
    (void)ASK(&b, start);
    (void)ASK(&b, stdin, 0, "all of it\n", 10, true);
    assert_int_equal(box_wait(&b).code, 4);
    zl_autofree char *out = log_text(&b, LOG_STDOUT);
    assert_string_equal(out, "all of it\n");
    box_forget(&b);

    b = box_run(&(struct how){ SH("sleep 1000") });
    err = REFUSED(&b, stdin, 0, "x", 1, false);
    assert_int_equal(err.kind, ZL_ERR_CONFLICT); /* made without stdin */
    box_forget(&b);
}

static void killing_all_needs_no_cooperation(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("trap '' TERM INT HUP; sleep 1000 & sleep 1000") });
    (void)ASK(&b, kill_all);
    assert_int_equal(box_wait(&b).signal, SIGKILL);
    box_forget(&b);
}

/* In the host's PID namespace nothing dies with the first process by itself. */
static void the_first_process_takes_the_others_with_it(void **unused)
{
    (void)unused;
    struct box b = box_run(
        &(struct how){ SH("setsid sleep 1000 & sleep 1000 & echo up; exit 4"), .host_pids = true });
    struct mon_exit e = box_wait(&b);
    assert_int_equal(e.code, 4);
    struct mon_message m = ASK(&b, stop, 0, 0); /* answered when all are gone */
    assert_int_equal(m.exit.code, 4);
    assert_false(cgroup_exists(&b));
    zl_autofree char *out = log_text(&b, LOG_STDOUT);
    assert_string_equal(out, "up\n");
    box_forget(&b);
}

static void forgetting_a_running_container_ends_it(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("sleep 1000") });
    box_forget(&b);
}

static void one_whose_run_directory_is_gone_can_be_forgotten(void **unused)
{
    (void)unused;
    struct zl_error err;
    struct box b = box_run(&(struct how){ SH("exit 0") });
    (void)box_wait(&b);
    zl_autoclose int all_runs = zl_open_dir(all.dir.fd, "c", &err);
    ok(zl_remove_tree(all_runs, b.id, &err));
    box_forget(&b);
}

/* As when it was stopped, or its socket crowded, while its container was removed. */
static void one_that_nobody_could_reach_ends_when_its_run_directory_is_gone(void **unused)
{
    (void)unused;
    struct zl_error err;
    struct box b = box_run(&(struct how){ SH("exit 0") });
    (void)box_wait(&b);
    mon_client_free(b.agent);
    b.agent = NULL;
    zl_autoclose int all_runs = zl_open_dir(all.dir.fd, "c", &err);
    ok(zl_remove_tree(all_runs, b.id, &err));
    assert_int_equal(shim_status(&b), 0);
    box_let_go(&b);
}

static void an_oom_kill_is_recorded(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){
        (const char *const[]){ "/bin/awk", "BEGIN { s = \"x\"; while (1) s = s s }", NULL },
        .memory_max = "16777216" });
    struct mon_exit e = box_wait(&b);
    assert_int_equal(e.code, 137);
    assert_int_equal(e.oom, 1);
    assert_true(e.oom_peak_bytes > 8 << 20);
    box_forget(&b);
}

static void an_oom_kill_of_another_process_is_an_event(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){
        SH("awk 'BEGIN { s = \"x\"; while (1) s = s s }'; sleep 1000"), .memory_max = "16777216" });
    struct mon_message m;
    struct zl_error err;
    ok2(mon_client_next(b.agent, soon(), &m, &err), err);
    assert_int_equal(m.type, MON_EV_OOM);
    struct mon_message end = ASK(&b, stop, SIGKILL, 0);
    assert_int_equal(end.exit.oom, 1);
    box_forget(&b);
}

/* --- what goes wrong --- */

/* How many descriptors of the shim are this mount namespace. */
static unsigned mounts_held(const struct box *b, const char *wanted)
{
    char path[64], link[64];
    unsigned n = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)b->shim);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *d; (d = readdir(dir));) {
        ssize_t got = readlinkat(dirfd(dir), d->d_name, link, sizeof link - 1);
        link[got > 0 ? got : 0] = '\0';
        n += strcmp(link, wanted) == 0;
    }
    (void)closedir(dir);
    return n;
}

static void mounts_of(pid_t pid, char out[64])
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)pid);
    ssize_t n = readlink(path, out, 63);
    assert_true(n > 0);
    out[n] = '\0';
}

static void mounts_are_held_beyond_the_end_where_that_was_asked_for(void **unused)
{
    const unsigned flags[] = { MON_CREATE_STDIN, MON_CREATE_STDIN | MON_CREATE_MOUNTS_LATE };
    (void)unused;
    for (unsigned late = 0; late < 2; late++) {
        struct box b = box_create(&(struct how){ SH("read x"), flags[late] });
        char mounts[64];
        mounts_of(ASK(&b, start).started.pid, mounts);
        assert_int_equal(mounts_held(&b, mounts), late);
        (void)ASK(&b, stdin, 0, "", 0, true);
        (void)box_wait(&b);
        for (uint64_t end = soon(); mounts_held(&b, mounts) && zl_mono_ms() < end;)
            (void)poll(NULL, 0, 2);
        assert_int_equal(mounts_held(&b, mounts), 0);
        assert_int_equal(ASK(&b, state).state.phase, MON_PHASE_EXITED);
        box_forget(&b);
    }
}

static void a_missing_command_and_a_directory_are_told_apart(void **unused)
{
    (void)unused;
    struct box b = box_create(&(struct how){ (const char *const[]){ "/bin/nothing", NULL } });
    struct zl_error err = REFUSED(&b, start);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "/bin/nothing"));
    box_forget(&b);

    b = box_create(&(struct how){ (const char *const[]){ "/bin", NULL } });
    err = REFUSED(&b, start);
    assert_int_equal(err.kind, ZL_ERR_DENIED);
    box_forget(&b);
}

static void a_plan_that_is_no_plan_leaves_nothing(void **unused)
{
    (void)unused;
    struct how how = { SH("true") };
    struct box b = box_open(&how);
    struct mon_create c = create_of(&b, &how);
    zl_autoclose int open_memfd = memfd_create("unsealed", MFD_CLOEXEC);
    struct zl_error err =
        REFUSED(&b, create, &c, ((int[]){ open_memfd, b.run_fd, b.state_fd, b.log_fd }), 4);
    assert_string_equal(err.msg, "the plan is not a sealed memfd");
    assert_int_equal(shim_status(&b), 0);
    assert_int_equal(faccessat(b.run_fd, MON_CTL, F_OK, 0), -1);
    box_let_go(&b);

    b = box_open(&how);
    c = create_of(&b, &how);
    err = REFUSED(&b, create, &c, ((int[]){ b.plan_fd, b.run_fd }), 2);
    assert_int_equal(err.kind, ZL_ERR_PROTOCOL);
    assert_int_equal(shim_status(&b), 0);
    assert_false(cgroup_exists(&b));
    box_let_go(&b);
}

static void a_request_in_the_wrong_phase_is_a_conflict(void **unused)
{
    (void)unused;
    struct box b = box_create(&(struct how){ SH("sleep 1000") });
    struct zl_error err = REFUSED(&b, stop, 0, 0);
    assert_string_equal(err.msg, "stop: the container has not been started");
    (void)ASK(&b, start);
    err = REFUSED(&b, start);
    assert_int_equal(err.kind, ZL_ERR_CONFLICT);
    box_forget(&b);
}

/* A connection that waits for the end and leaves, as an attached client that detaches. */
static void wait_and_leave(struct box *b)
{
    struct mon_client *c;
    struct mon_message m;
    struct zl_error err;
    ok(mon_client_open(b->run_fd, &c, &err));
    ok(mon_client_send_hello(c, 1, false, NULL, &err));
    ok(mon_client_send_wait(c, 2, &err));
    ok(mon_client_send_state(c, 3, &err));
    ok(mon_client_await(c, 3, soon(), &m, &err)); /* so the wait has been read */
    mon_client_free(c);
}

static void who_waited_and_left_is_in_nobodys_way(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("sleep 1000") });
    for (int i = 0; i < 70; i++)
        wait_and_leave(&b);
    struct mon_message m = ASK(&b, stop, SIGKILL, 1000);
    assert_int_equal(m.exit.code, 137);
    box_forget(&b);
}

static int count_processes(const struct box *b)
{
    char path[256];
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 16);
    struct zl_error err;
    int n = 0;
    (void)snprintf(path, sizeof path, "%s/%s/cgroup.procs", tiny_cgroup_mount(), b->cgroup);
    ok(zl_read_file(AT_FDCWD, path, &text, &err));
    for (const char *p = text.data; (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

/* Another process with the plan removes what is left, as the agent does. */
static void clean_up_by_plan(const struct box *b)
{
    zl_autobuf struct zl_buf bytes = ZL_BUF(PLAN_MAX);
    const struct plan *plan;
    struct zl_error err;
    assert_int_equal(lseek(b->plan_fd, 0, SEEK_SET), 0);
    ok(zl_read_fd(b->plan_fd, &bytes, "the plan", &err));
    ok(plan_check(bytes.data, bytes.len, &plan, &err));
    autocarry struct carry *c = NULL;
    ok(carry_new(plan, NULL, 0, &c, &err));
    ok(carry_remove(c, &err));
    assert_false(cgroup_exists(b));
}

/* Processes that still have the shim's session or wait in its place: children that it left. */
static int orphans_of(pid_t shim)
{
    char path[64], text[512];
    const struct dirent *d;
    int n = 0;
    DIR *proc = opendir("/proc");
    assert_non_null(proc);
    while ((d = readdir(proc))) {
        int parent, group, session;
        char state;
        (void)snprintf(path, sizeof path, "/proc/%.20s/stat", d->d_name);
        zl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
        if (got <= 0)
            continue;
        text[got] = '\0';
        const char *p = strrchr(text, ')');
        if (p && sscanf(p + 1, " %c %d %d %d", &state, &parent, &group, &session) == 4)
            n += (session == shim || parent == shim) && state != 'Z';
    }
    (void)closedir(proc);
    return n;
}

/* What the shim leaves when it is killed, the agent finds by cgroup and run directory. */
static void what_a_killed_shim_leaves_can_be_cleaned_up(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("sleep 1000") });
    struct mon_message m;
    struct zl_error err;
    assert_int_equal(kill(b.shim, SIGKILL), 0);
    assert_true(WIFSIGNALED(shim_status(&b)));
    while (mon_client_next(b.agent, soon(), &m, &err) > 0)
        ;
    assert_true(err.kind == ZL_ERR_UNREACHABLE || err.errnum == ECONNRESET);
    mon_client_free(b.agent);
    assert_int_equal(mon_client_open(b.run_fd, &b.agent, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_UNREACHABLE);
    b.agent = NULL;

    assert_true(count_processes(&b) > 0);
    clean_up_by_plan(&b);
    box_let_go(&b);
}

/* Killed at any moment of a start: nothing is left that cannot be found. */
static void a_shim_may_be_killed_at_any_instant(void **unused)
{
    (void)unused;
    for (int i = 0; i < 25; i++) {
        struct how how = { SH("sleep 1000") };
        struct box b = box_open(&how);
        struct mon_create c = create_of(&b, &how);
        struct zl_error err;
        struct timespec moment = { .tv_nsec = i * 300000 };
        ok(mon_client_send_create(b.agent, 90, &c,
                                  (int[]){ b.plan_fd, b.run_fd, b.state_fd, b.log_fd }, 4, &err));
        ok(mon_client_send_start(b.agent, 91, &err));
        (void)nanosleep(&moment, NULL); /* the moment to try, not a wait for anything */
        assert_int_equal(kill(b.shim, SIGKILL), 0);
        assert_true(WIFSIGNALED(shim_status(&b)));
        clean_up_by_plan(&b);
        /* nobody of it lives on: who had not joined its cgroup yet cannot any more */
        for (uint64_t end = soon(); orphans_of(b.shim) > 0 && zl_mono_ms() < end;)
            (void)poll(NULL, 0, 2);
        assert_int_equal(orphans_of(b.shim), 0);
        assert_false(cgroup_exists(&b));
        box_let_go(&b);
    }
}

/* --- attach --- */

static int attach(struct box *b)
{
    struct mon_message m = ASK(b, attach);
    assert_true(m.fd >= 0);
    return m.fd;
}

static void a_foreground_run_loses_no_byte_in_either_direction(void **unused)
{
    (void)unused;
    struct box b =
        box_create(&(struct how){ SH("read line; echo \"got $line\"; cat; echo end >&2; exit 4"),
                                  MON_CREATE_STDIN | MON_CREATE_ATTACH_FIRST });
    struct zl_error err;
    uint64_t start_op = ++b.op;
    ok(mon_client_send_start(b.agent, start_op, &err)); /* waits for the client */
    int fd = attach(&b);
    struct mon_message m;
    ok2(mon_client_await(b.agent, start_op, soon(), &m, &err), err);
    ok(zl_write_all(fd, "one\ntwo\nthree", 13, "stdin", &err));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    struct seen s = read_stream(fd);
    assert_string_equal(s.out.data, "got one\ntwo\nthree");
    assert_string_equal(s.err.data, "end\n");
    assert_true(s.ended);
    assert_int_equal(s.exit.code, 4);
    seen_done(&s);
    box_forget(&b);
}

static void a_client_of_a_command_that_is_missing_gets_no_exit(void **unused)
{
    (void)unused;
    struct box b = box_create(
        &(struct how){ (const char *const[]){ "/bin/nothing", NULL }, MON_CREATE_ATTACH_FIRST });
    struct zl_error err;
    struct mon_message m;
    uint64_t start_op = ++b.op;
    ok(mon_client_send_start(b.agent, start_op, &err));
    int fd = attach(&b);
    assert_int_equal(mon_client_await(b.agent, start_op, soon(), &m, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);
    struct seen s = read_stream(fd);
    assert_false(s.ended);
    seen_done(&s);
    box_forget(&b);
}

static void a_slow_foreground_client_gets_everything(void **unused)
{
    (void)unused;
    enum { BYTES = 3000000 };
    struct box b = box_create(
        &(struct how){ SH("yes 0123456789abcde | head -c 3000000"), MON_CREATE_ATTACH_FIRST });
    struct zl_error err;
    ok(mon_client_send_start(b.agent, ++b.op, &err));
    int fd = attach(&b);
    (void)poll(NULL, 0, 200); /* it reads nothing for a while: the container has to wait */
    struct mon_message m = ASK(&b, state);
    assert_int_equal(m.state.phase, MON_PHASE_RUNNING);
    struct seen s = read_stream(fd);
    assert_int_equal(s.out.len, BYTES);
    assert_int_equal(s.exit.code, 0);
    for (size_t i = 0; i < BYTES; i += 16)
        assert_memory_equal(s.out.data + i, "0123456789abcde\n", 16);
    seen_done(&s);
    box_forget(&b);
}

static void a_slow_later_client_does_not_hold_the_container(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){
        SH("read go; yes 0123456789abcde | head -c 3000000; echo done"), MON_CREATE_STDIN });
    struct zl_error err;
    int fd = attach(&b);
    ok(zl_write_all(fd, "go\n", 3, "stdin", &err));
    assert_int_equal(box_wait(&b).code, 0); /* though nobody has read */
    zl_autofree char *out = log_text(&b, LOG_STDOUT);
    assert_int_equal(strlen(out), 3000005);
    struct seen s = read_stream(fd);
    assert_true(s.out.len < 3000000);
    assert_non_null(strstr(s.err.data, "bytes left out: this client reads too slowly"));
    assert_true(s.ended);
    seen_done(&s);
    box_forget(&b);
}

static void forget_lets_a_client_take_its_output(void **unused)
{
    (void)unused;
    struct box b = box_create(&(struct how){ SH("yes | head -c 500000"), MON_CREATE_ATTACH_FIRST });
    struct zl_error err;
    ok(mon_client_send_start(b.agent, ++b.op, &err));
    int fd = attach(&b);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    struct zl_buf head = ZL_BUF(400000);
    while (head.len < 200000) { /* enough for the rest to lie in the pipe */
        char *room = zl_buf_reserve(&head, 4096);
        ssize_t n = read(fd, room, 4096);
        assert_true(n > 0);
        head.len += (size_t)n;
    }
    (void)ASK(&b, wait);
    (void)ASK(&b, forget);
    size_t total = head.len;
    char more[4096];
    ssize_t n;
    while ((n = read(fd, more, sizeof more)) > 0)
        total += (size_t)n;
    assert_true(total > 500000);
    assert_int_equal(shim_status(&b), 0);
    zl_buf_done(&head);
    (void)close(fd);
    box_let_go(&b);
}

static void a_terminal_is_one_stream_and_can_be_resized(void **unused)
{
    (void)unused;
    struct box b = box_create(
        &(struct how){ SH("stty size; echo up; read line; stty size; echo \"got $line\" >&2"),
                       MON_CREATE_TTY | MON_CREATE_STDIN | MON_CREATE_ATTACH_FIRST });
    struct zl_error err;
    struct mon_message m;
    (void)ASK(&b, resize, 0, 20, 60);
    uint64_t start_op = ++b.op;
    ok(mon_client_send_start(b.agent, start_op, &err));
    int fd = attach(&b);
    ok2(mon_client_await(b.agent, start_op, soon(), &m, &err), err);
    wait_for_log(&b, "up");
    (void)ASK(&b, resize, 0, 50, 132);
    ok(zl_write_all(fd, "hi\n", 3, "stdin", &err));
    struct seen s = read_stream(fd);
    assert_ptr_equal(strstr(s.out.data, "20 60\r\n"), s.out.data);
    assert_non_null(strstr(s.out.data, "50 132\r\n"));
    assert_non_null(strstr(s.out.data, "got hi\r\n"));
    assert_int_equal(s.err.len, 0);
    assert_int_equal(s.exit.code, 0);
    seen_done(&s);
    box_forget(&b);
}

static void a_token_attaches_and_nothing_else(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("read line; echo $line"), MON_CREATE_STDIN });
    struct mon_grant g = { .what = MON_GRANT_ATTACH };
    char token[MON_TOKEN_LEN + 1], path[192];
    struct zl_error err;
    struct mon_message m;
    mon_token_make(token);
    memcpy(g.token, token, sizeof g.token);
    (void)ASK(&b, grant, &g);
    (void)snprintf(path, sizeof path, "%s/c/%s/%s", all.dir.path, b.id, MON_CTL);
    auto_mon_client struct mon_client *client = NULL;
    ok(mon_client_connect(path, token, soon(), &client, NULL, &err));
    ok(mon_client_send_kill_all(client, 5, &err));
    assert_int_equal(mon_client_await(client, 5, soon(), &m, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_DENIED);
    ok(mon_client_send_attach(client, 6, &err));
    ok2(mon_client_await(client, 6, soon(), &m, &err), err);
    ok(zl_write_all(m.fd, "hello\n", 6, "stdin", &err));
    struct seen s = read_stream(m.fd);
    assert_string_equal(s.out.data, "hello\n");
    seen_done(&s);
    box_forget(&b);
}

/* --- exec --- */

static uint64_t exec_make_in(struct box *b, const char *const *argv, struct mon_exec how)
{
    zl_autoclose int plan = tiny_exec_plan(argv, how.flags & MON_CREATE_TTY);
    return ASK(b, exec, &how, &plan, 1).exec_made.exec_id;
}

static void an_exec_has_streams_of_its_own(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("sleep 1000") });
    struct mon_exec how = { .flags = MON_CREATE_STDIN };
    struct zl_error err;
    uint64_t id = exec_make_in(&b, SH("hostname; cat; echo no >&2; kill -9 $$"), how);
    struct mon_message m = ASK(&b, exec_start, id);
    ok(zl_write_all(m.fd, "in", 2, "stdin", &err));
    assert_int_equal(shutdown(m.fd, SHUT_WR), 0);
    struct seen s = read_stream(m.fd);
    assert_string_equal(s.out.data, "tiny\nin");
    assert_string_equal(s.err.data, "no\n");
    assert_int_equal(s.exit.code, 137);
    assert_int_equal(s.exit.signal, 9);
    seen_done(&s);
    zl_autofree char *out = log_text(&b, LOG_STDOUT);
    assert_string_equal(out, ""); /* an exec's output is its client's alone */
    err = REFUSED(&b, exec_start, id);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);
    box_forget(&b);
}

static void an_exec_in_a_terminal_sees_one(void **unused)
{
    (void)unused;
    struct box b = box_create(&(struct how){ SH("read x"), MON_CREATE_TTY | MON_CREATE_STDIN });
    (void)ASK(&b, start);
    struct mon_exec how = { .flags = MON_CREATE_TTY, .rows = 30, .cols = 90 };
    uint64_t id = exec_make_in(&b, SH("stty size; test -t 0 && exit 6"), how);
    struct mon_message m = ASK(&b, exec_start, id);
    struct seen s = read_stream(m.fd);
    assert_string_equal(s.out.data, "30 90\r\n");
    assert_int_equal(s.exit.code, 6);
    seen_done(&s);
    box_forget(&b);
}

static void a_captured_exec_gives_its_code_and_last_output(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("sleep 1000") });
    struct mon_exec how = { .capture = 1, .timeout_ms = PATIENCE_MS };
    uint64_t id =
        exec_make_in(&b, SH("yes 0123456789abcde | head -c 20000; echo last; exit 2"), how);
    struct mon_message m = ASK(&b, exec_start, id);
    assert_true(m.captured);
    assert_int_equal(m.exec_done.exit.code, 2);
    assert_int_equal(m.exec_done.timed_out, 0);
    assert_int_equal(m.exec_done.length, 4096);
    assert_memory_equal(m.exec_done.output + 4096 - 5, "last\n", 5);
    box_forget(&b);
}

static void wait_for_processes(const struct box *b, int n)
{
    for (uint64_t end = soon(); zl_mono_ms() < end; (void)poll(NULL, 0, 2)) {
        if (count_processes(b) == n)
            return;
    }
    fail_msg("%d processes where %d were expected", count_processes(b), n);
}

static void a_time_out_ends_all_that_the_exec_has_started(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ (const char *const[]){ "/bin/sleep", "1000", NULL } });
    struct mon_exec how = { .capture = 1, .timeout_ms = 300 };
    uint64_t id = exec_make_in(&b, SH("sleep 500 & setsid sleep 500 & (sleep 500; :) ; :"), how);
    struct mon_message m = ASK(&b, exec_start, id);
    assert_int_equal(m.exec_done.timed_out, 1);
    assert_int_equal(m.exec_done.exit.code, 137);
    wait_for_processes(&b, 1);
    box_forget(&b);
}

static void an_exec_ends_when_its_client_leaves_unless_it_is_kept(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ (const char *const[]){ "/bin/sleep", "1000", NULL } });
    struct mon_exec how = { .flags = 0 };
    struct mon_message m = ASK(&b, exec_start, exec_make_in(&b, SH("sleep 500; :"), how));
    wait_for_processes(&b, 3);
    (void)close(m.fd);
    wait_for_processes(&b, 1);
    how.flags = MON_EXEC_KEEP;
    m = ASK(&b, exec_start, exec_make_in(&b, SH("sleep 0.3; touch /tmp/kept; sleep 500"), how));
    (void)close(m.fd);
    char path[192];
    (void)snprintf(path, sizeof path, "%s/tmp/kept", all.root);
    for (uint64_t end = soon(); access(path, F_OK) < 0 && zl_mono_ms() < end;)
        (void)poll(NULL, 0, 5);
    assert_int_equal(unlink(path), 0);
    box_forget(&b);
}

static int count_fds(const struct box *b)
{
    char path[64];
    int n = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)b->shim);
    DIR *d = opendir(path);
    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

/* What tells of OOM kills: an eventfd (cgroup v1) or memory.events (v2). */
static bool watches_oom(const struct box *b)
{
    char path[64], link[512];
    bool found = false;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)b->shim);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; !found && (e = readdir(d));) {
        ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof link - 1);
        link[n > 0 ? n : 0] = '\0';
        found = strstr(link, "[eventfd]") || strstr(link, "/memory.events");
    }
    (void)closedir(d);
    return found;
}

/* A monitor opens that a moment after the start. */
static void wait_until_it_watches_oom(const struct box *b)
{
    for (uint64_t end = soon(); !watches_oom(b) && zl_mono_ms() < end;)
        (void)poll(NULL, 0, 5);
    assert_true(watches_oom(b));
}

static void neither_execs_nor_clients_leave_descriptors(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("sleep 1000") });
    wait_until_it_watches_oom(&b);
    struct mon_exec plain = { 0 }, captured = { .capture = 1 };
    int before = 0;
    for (int i = 0; i < 8; i++) {
        struct mon_message m = ASK(&b, exec_start, exec_make_in(&b, SH("echo hi"), plain));
        struct seen s = read_stream(m.fd);
        assert_string_equal(s.out.data, "hi\n");
        seen_done(&s);
        m = ASK(&b, exec_start, exec_make_in(&b, SH("echo hi"), captured));
        assert_int_equal(m.exec_done.length, 3);
        (void)close(attach(&b));
        (void)ASK(&b, state);
        (void)ASK(&b, state); /* a round of the loop for what is freed there */
        if (i == 0)
            before = count_fds(&b);
    }
    assert_int_equal(count_fds(&b), before);
    box_forget(&b);
}

static void execs_are_bounded(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("sleep 1000") });
    struct mon_exec how = { 0 }, health = { .capture = 1 };
    struct zl_error err;
    for (int i = 0; i < 16; i++)
        (void)exec_make_in(&b, SH("true"), how);
    zl_autoclose int plan = tiny_exec_plan(SH("true"), false);
    err = REFUSED(&b, exec, &how, &plan, 1);
    assert_string_equal(err.msg, "exec: 16 are there already");
    struct mon_message m = ASK(&b, exec_start, exec_make_in(&b, SH("exit 3"), health));
    assert_int_equal(m.exec_done.exit.code, 3); /* health is asked all the same */
    for (int i = 0; i < 4; i++)
        (void)exec_make_in(&b, SH("true"), health);
    err = REFUSED(&b, exec, &health, &plan, 1);
    assert_string_equal(err.msg, "exec: 20 are there already");
    box_forget(&b);
}

static void a_missing_command_of_an_exec_is_an_error_of_its_start(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("sleep 1000") });
    struct mon_exec how = { 0 };
    uint64_t id = exec_make_in(&b, (const char *const[]){ "nothing", NULL }, how);
    struct zl_error err = REFUSED(&b, exec_start, id);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "nothing"));
    box_forget(&b);
}

/* While its output is waited for, the first process is reaped and its pid anybody's. */
static void nothing_is_executed_in_a_container_that_has_ended(void **unused)
{
    (void)unused;
    struct box b = box_create(&(struct how){ SH("sleep 1000") });
    struct mon_message m = ASK(&b, start);
    struct mon_exec how = { 0 };
    uint64_t id = exec_make_in(&b, SH("true"), how);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd/1", (int)m.started.pid);
    zl_autoclose int held = open(path, O_WRONLY | O_CLOEXEC); /* so that it is waited for */
    assert_true(held >= 0);
    (void)ASK(&b, signal, 0, SIGKILL);
    while (kill(m.started.pid, 0) == 0)
        (void)poll(NULL, 0, 1);
    struct zl_error err = REFUSED(&b, exec_start, id);
    assert_string_equal(err.msg, "exec: the container has ended");
    (void)box_wait(&b);
    box_forget(&b);
}

/* --- the network namespace --- */

static void a_socket_is_born_in_the_containers_network(void **unused)
{
    (void)unused;
    struct box b = box_run(&(struct how){ SH("sleep 1000") });
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof here;
    zl_autoclose int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&here, n), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&here, &n), 0);
    struct mon_message m = ASK(&b, socket, AF_INET, SOCK_STREAM, 0);
    /* lo is up there, and nobody listens: the port of the host's namespace is not reached */
    struct pollfd p = { .fd = m.fd, .events = POLLOUT };
    int refused = 0;
    (void)connect(m.fd, (struct sockaddr *)&here, n);
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    n = sizeof refused;
    assert_int_equal(getsockopt(m.fd, SOL_SOCKET, SO_ERROR, &refused, &n), 0);
    assert_int_equal(refused, ECONNREFUSED);
    (void)close(m.fd);
    struct zl_error err = REFUSED(&b, socket, AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(err.kind, ZL_ERR_INVALID);
    box_forget(&b);
}

/* --- the environment --- */

static void copy_busybox(void)
{
    static const char *const applets[] = { "sh",   "sleep", "cat",    "yes",      "head", "awk",
                                           "stty", "touch", "setsid", "hostname", "true", "wc" };
    struct zl_error err;
    char path[256];
    zl_autobuf struct zl_buf bytes = ZL_BUF(16 << 20);
    zl_autoclose int bin = zl_mkdir_p(all.dir.fd, "root/bin", 0755, &err);
    static const char *const folders[] = { "root/proc", "root/dev", "root/tmp" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(folders); i++)
        assert_int_equal(mkdirat(all.dir.fd, folders[i], 0755), 0);
    ok(zl_read_file(AT_FDCWD, "/bin/busybox", &bytes, &err));
    ok(zl_write_atomic(bin, "busybox", bytes.data, bytes.len, 0755, false, &err));
    for (size_t i = 0; i < ZL_ARRAY_LEN(applets); i++)
        assert_int_equal(symlinkat("busybox", bin, applets[i]), 0);
    (void)snprintf(path, sizeof path, "%s/root", all.dir.path);
    memcpy(all.root, path, sizeof all.root);
}

static int set_up(void **unused)
{
    (void)unused;
    all.dir = scratch_open();
    (void)snprintf(all.parent, sizeof all.parent, "zlayer-test-%d", (int)getpid());
    copy_busybox();
    return 0;
}

/* After a test that failed: its shim and container are ended, so that the next one can run. */
static int clean_up(void **unused)
{
    (void)unused;
    if (all.present == 0)
        return 0;
    (void)kill(all.present, SIGKILL);
    (void)waitpid(all.present, NULL, 0);
    all.present = 0;
    tiny_remove_cgroup(all.cgroup);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    tiny_remove_parent(all.parent);
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", tiny_cgroup_mount(), all.parent);
    assert_int_equal(access(path, F_OK), -1);
    scratch_remove(&all.dir);
    return 0;
}

#define T(test) cmocka_unit_test_teardown(test, clean_up)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(output_is_logged_and_the_exit_recorded),
        T(the_end_is_told_to_who_wants_events),
        T(a_container_outlives_its_agent),
        T(a_created_container_waits_for_the_next_agent),
        T(a_spare_shim_ends_with_its_agent),
        T(who_ignores_the_stop_signal_is_killed_after_the_grace),
        T(a_signal_reaches_the_first_process),
        T(a_paused_container_stands_still_and_goes_on),
        T(a_paused_container_can_be_stopped_killed_and_forgotten),
        T(new_limits_are_in_force_when_they_are_answered),
        T(stdin_is_fed_by_requests_as_well),
        T(killing_all_needs_no_cooperation),
        T(the_first_process_takes_the_others_with_it),
        T(forgetting_a_running_container_ends_it),
        T(one_whose_run_directory_is_gone_can_be_forgotten),
        T(one_that_nobody_could_reach_ends_when_its_run_directory_is_gone),
        T(an_oom_kill_is_recorded),
        T(an_oom_kill_of_another_process_is_an_event),
        T(mounts_are_held_beyond_the_end_where_that_was_asked_for),
        T(a_missing_command_and_a_directory_are_told_apart),
        T(a_plan_that_is_no_plan_leaves_nothing),
        T(a_request_in_the_wrong_phase_is_a_conflict),
        T(who_waited_and_left_is_in_nobodys_way),
        T(what_a_killed_shim_leaves_can_be_cleaned_up),
        T(a_shim_may_be_killed_at_any_instant),
        T(a_foreground_run_loses_no_byte_in_either_direction),
        T(a_client_of_a_command_that_is_missing_gets_no_exit),
        T(a_slow_foreground_client_gets_everything),
        T(a_slow_later_client_does_not_hold_the_container),
        T(forget_lets_a_client_take_its_output),
        T(a_terminal_is_one_stream_and_can_be_resized),
        T(a_token_attaches_and_nothing_else),
        T(an_exec_has_streams_of_its_own),
        T(an_exec_in_a_terminal_sees_one),
        T(a_captured_exec_gives_its_code_and_last_output),
        T(a_time_out_ends_all_that_the_exec_has_started),
        T(an_exec_ends_when_its_client_leaves_unless_it_is_kept),
        T(neither_execs_nor_clients_leave_descriptors),
        T(execs_are_bounded),
        T(a_missing_command_of_an_exec_is_an_error_of_its_start),
        T(nothing_is_executed_in_a_container_that_has_ended),
        T(a_socket_is_born_in_the_containers_network),
    };

    if (argc != 2 || !tiny_cgroups_work() || access("/bin/busybox", X_OK) < 0) {
        (void)fprintf(stderr, "needs root, a cgroup hierarchy with memory, and busybox\n");
        return 77; /* meson counts it as skipped */
    }
    all.shim = argv[1];
    (void)alarm(300); /* a hanging shim fails the test, visibly */
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
