// SPDX-License-Identifier: Apache-2.0
/* The door of the runtimes, tried on the test double; and the native runtime's record on disk. */
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"
#include "core/text/names.h"
#include "runtime/double.h"
#include "runtime/environment.h"
#include "runtime/native.h"
#include "runtime/native/record.h"

struct bench {
    struct event_base *base;
    struct runtime *rt;
    struct rt_answer answer;
    unsigned answers, exits;
};

static int make_bench(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    b->base = event_base_new();
    *state = b;
    return double_new(b->base, &b->rt, NULL);
}

static int drop_bench(void **state)
{
    struct bench *b = *state;
    runtime_free(b->rt);
    event_base_free(b->base);
    free(b);
    return 0;
}

static void on_answer(void *arg, const struct rt_answer *a)
{
    struct bench *b = arg;
    b->answer = *a;
    b->answers++;
}

static void on_event(void *arg, const struct rt_event *ev)
{
    struct bench *b = arg;
    b->exits += ev->kind == RT_EV_EXIT;
}

static void turn(struct bench *b)
{
    assert_true(event_base_loop(b->base, EVLOOP_NONBLOCK) >= 0);
}

static const struct inst_label label = { OWNER_REPLICA, "shop", "web", "default", 1, 0, 7 };

static struct rt_call *submit(struct bench *b, enum rt_kind kind)
{
    struct rt_request rq = { .kind = kind, .id = { 5 } };
    static const struct spec_service service;
    if (kind == RT_CREATE) {
        rq.create.label = &label;
        rq.create.service = &service;
    }
    return runtime_submit(b->rt, &rq, on_answer, b);
}

/* ---- the environment ---------------------------------------------------------------------- */

static const struct spec_pair written[] = { { "REGION", "$E:REGION", 3, 1 },
                                            { "ZLAYER_ROLE", "mine", 4, 1 },
                                            { "GONE", "$E:GONE", 5, 1 } };
static const char *const variables[] = { "REGION=north", NULL };

static struct spec_service with_env(size_t n)
{
    return (struct spec_service){ .env = { written, n } };
}

static void a_container_of_a_deployment_knows_who_it_is(void **unused)
{
    (void)unused;
    static const struct spec_pair wanted[] = {
        { "REGION", "north", 0, 0 },           { "ZLAYER_ROLE", "mine", 0, 0 },
        { "ZLAYER_DEPLOYMENT", "shop", 0, 0 }, { "ZLAYER_SERVICE", "web", 0, 0 },
        { "ZLAYER_REPLICA", "1", 0, 0 },       { "ZLAYER_ROLE", "default", 0, 0 },
    };
    const struct spec_service service = with_env(2);
    struct rt_request rq = { .kind = RT_CREATE,
                             .create = { &label, &service, .variables = variables } };
    struct zl_error err = { 0 };
    struct spec_pairs env;
    zl_autofree struct spec_pair *pairs = environment_make(&rq, &env, &err);
    assert_non_null(pairs);
    assert_int_equal(env.n, 6);
    for (size_t i = 0; i < env.n; i++) { /* the later one wins */
        assert_string_equal(env.v[i].key, wanted[i].key);
        assert_string_equal(env.v[i].value, wanted[i].value);
    }
}

static void
a_standalone_container_has_what_it_was_given_and_an_execution_is_the_first(void **unused)
{
    (void)unused;
    const struct inst_label alone = { OWNER_STANDALONE, "-", "box", "default", 0, 0, 7 };
    const struct inst_label run = { OWNER_EXECUTION, "shop", "job", "default", 0, 9, 7 };
    const struct spec_service service = with_env(1), bare = with_env(0);
    struct rt_request rq = { .kind = RT_CREATE,
                             .create = { &alone, &service, .variables = variables } };
    struct zl_error err = { 0 };
    struct spec_pairs env;
    zl_autofree struct spec_pair *pairs = environment_make(&rq, &env, &err);
    assert_non_null(pairs);
    assert_int_equal(env.n, 1);
    rq.create.label = &run;
    rq.create.service = &bare;
    zl_autofree struct spec_pair *of_run = environment_make(&rq, &env, &err);
    assert_non_null(of_run);
    assert_int_equal(env.n, 4);
    assert_string_equal(env.v[2].value, "1");
}

static void a_container_whose_environment_is_not_there_is_refused_at_the_door(void **state)
{
    struct bench *b = *state;
    const struct spec_service service = with_env(3);
    struct rt_request rq = { .kind = RT_CREATE,
                             .id = { 5 },
                             .create = { &label, &service, .variables = variables } };
    assert_non_null(runtime_submit(b->rt, &rq, on_answer, b));
    assert_int_equal(b->answers, 0);
    turn(b);
    assert_int_equal(b->answers, 1);
    assert_int_equal(b->answer.err.kind, ZL_ERR_INVALID);
    assert_string_equal(b->answer.err.msg,
                        "E-ENV-UNSET: env.GONE (line 5): the agent's environment "
                        "has no variable 'GONE'");
    assert_int_equal(double_count(b->rt, RT_CREATE), 0);
    rq.create.variables = NULL; /* nobody said where to look */
    assert_non_null(runtime_submit(b->rt, &rq, on_answer, b));
    turn(b);
    assert_non_null(strstr(b->answer.err.msg, "'REGION'"));
}

static void what_a_runtime_cannot_do_is_refused_at_the_door(void **state)
{
    struct bench *b = *state;
    assert_non_null(submit(b, RT_STATS));
    assert_int_equal(b->answers, 0); /* never from inside submit */
    turn(b);
    assert_int_equal(b->answers, 1);
    assert_int_equal(b->answer.err.kind, ZL_ERR_UNSUPPORTED);
    assert_string_equal(b->answer.err.msg, "the runtime 'double' cannot measure a container");
}

static void a_request_is_answered_once_on_the_loop(void **state)
{
    struct bench *b = *state;
    assert_non_null(submit(b, RT_CREATE));
    assert_int_equal(b->answers, 0);
    turn(b);
    turn(b);
    assert_int_equal(b->answers, 1);
    assert_int_equal(b->answer.kind, RT_CREATE);
    assert_int_equal(b->answer.err.kind, ZL_OK);
}

static void a_cancelled_request_is_answered_too(void **state)
{
    struct bench *b = *state;
    double_hang_next(b->rt, RT_PROBE);
    struct rt_call *c = submit(b, RT_PROBE);
    turn(b);
    assert_int_equal(b->answers, 0);
    runtime_cancel(c);
    turn(b);
    assert_int_equal(b->answers, 1);
    assert_int_equal(b->answer.err.kind, ZL_ERR_CANCELLED);
}

static void an_answer_on_its_way_is_not_cancelled(void **state)
{
    struct bench *b = *state;
    runtime_cancel(submit(b, RT_CREATE));
    turn(b);
    assert_int_equal(b->answers, 1);
    assert_int_equal(b->answer.err.kind, ZL_OK);
}

static void a_stopped_container_tells_its_exit(void **state)
{
    struct bench *b = *state;
    assert_int_equal(b->rt->ops->watch(b->rt, on_event, b, NULL), 0);
    (void)submit(b, RT_CREATE);
    (void)submit(b, RT_START);
    (void)submit(b, RT_STOP);
    turn(b);
    assert_int_equal(b->answers, 3);
    assert_int_equal(b->exits, 1);
    (void)submit(b, RT_STOP); /* again: success, and no second exit */
    turn(b);
    assert_int_equal(b->answers, 4);
    assert_int_equal(b->answer.err.kind, ZL_OK);
    assert_int_equal(b->exits, 1);
}

static void what_is_under_way_is_dropped_with_the_runtime(void **state)
{
    struct bench *b = *state;
    double_hang_next(b->rt, RT_PULL);
    (void)submit(b, RT_PULL);
    (void)submit(b, RT_CREATE);
    runtime_free(b->rt);
    assert_int_equal(b->answers, 0);
    assert_int_equal(double_new(b->base, &b->rt, NULL), 0); /* for drop_bench */
    turn(b);
    assert_int_equal(b->answers, 0);
}

/* ---- the record --------------------------------------------------------------------------- */

static int open_scratch(char dir[64])
{
    (void)snprintf(dir, 64, "/tmp/zlayer-unit.XXXXXX");
    assert_non_null(mkdtemp(dir));
    return zl_open_dir(AT_FDCWD, dir, NULL);
}

static void a_record_is_read_as_it_was_written(void **state)
{
    (void)state;
    char dir[64];
    uint32_t layers[] = { 4, 9 };
    const char *cgroups[] = { "/sys/fs/cgroup/memory/zlayer/c/x",
                              "/sys/fs/cgroup/pids/zlayer/c/x" };
    const struct record wrote = {
        .id = "aaaaaaaaaaaaq",
        .owner = "agent",
        .boot_id = "b",
        .label = { OWNER_EXECUTION, "shop", "backup", "default", 0, UINT64_MAX - 1,
                   UINT64_C(1) << 63 },
        .image = "sha256:0",
        .layers = { layers, 2 },
        .cgroups = { cgroups, 2 },
        .log = "/logs/x.log",
        .stop_signal = 3,
    };
    autorecord struct record r = { 0 }, copy = { 0 };
    struct zl_error err = { 0 };
    zl_autoclose int fd = open_scratch(dir);
    assert_int_equal(record_write(fd, &wrote, &copy, &err), 0);
    assert_int_equal(record_read(fd, &r, &err), 0);
    assert_string_equal(copy.log, r.log);
    assert_string_equal(copy.runtime, r.runtime);
    assert_int_equal(copy.layers.v[1], r.layers.v[1]);
    assert_true(copy.label.spec_hash == r.label.spec_hash);
    assert_in_range(copy.created_wall_ms, r.created_wall_ms - 60000, r.created_wall_ms + 60000);
    assert_string_equal(r.owner, "agent");
    assert_int_equal(r.label.owner, OWNER_EXECUTION);
    assert_true(r.label.execution == UINT64_MAX - 1);
    assert_true(r.label.spec_hash == UINT64_C(1) << 63);
    assert_int_equal(r.layers.n, 2);
    assert_int_equal(r.layers.v[1], 9);
    assert_int_equal(r.cgroups.n, 2);
    assert_string_equal(r.cgroups.v[1], cgroups[1]);
    assert_int_equal(r.stop_signal, 3);
    assert_int_equal(zl_remove_tree(AT_FDCWD, dir, &err), 0);
}

static void a_torn_record_is_an_error_and_a_missing_one_is_told_apart(void **state)
{
    (void)state;
    char dir[64];
    static const char torn[] = "{\"version\": 1, \"id\": \"aaaaaaa";
    autorecord struct record r = { 0 };
    struct zl_error err = { 0 };
    zl_autoclose int fd = open_scratch(dir);
    assert_int_equal(record_read(fd, &r, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);
    assert_int_equal(zl_write_atomic(fd, RECORD_FILE, torn, strlen(torn), 0600, false, &err), 0);
    assert_int_equal(record_read(fd, &r, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_INVALID);
    assert_int_equal(zl_remove_tree(AT_FDCWD, dir, &err), 0);
}

static void names_and_logs_follow_the_label(void **state)
{
    (void)state;
    const struct {
        struct inst_label label;
        const char *name, *log;
    } rows[] = {
        { { OWNER_REPLICA, "shop", "web", "default", 2, 0, 0 },
          "web-rep-2",
          "/r/logs/shop/web/default-2.log" },
        { { OWNER_REPLICA, "shop", "web", "canary", 1, 0, 0 },
          "web-canary-1-on-0",
          "/r/logs/shop/web/canary-1.log" },
        { { OWNER_EXECUTION, "shop", "job", "default", 0, 1, 0 },
          "job-aaaaaaaaaaaac",
          "/r/logs/shop/job/job-aaaaaaaaaaaac.log" },
        { { OWNER_STANDALONE, "-", "box", "default", 0, 0, 0 },
          "box",
          "/r/logs/-/box/default-0.log" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(rows); i++) {
        char name[128];
        zl_autobuf struct zl_buf log = ZL_BUF(256);
        core_name_format(&rows[i].label, name, sizeof name);
        native_log_path("/r", &rows[i].label, &log);
        assert_string_equal(name, rows[i].name);
        assert_string_equal(log.data, rows[i].log);
    }
}

#define ON_A_BENCH(test) cmocka_unit_test_setup_teardown(test, make_bench, drop_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_of_a_deployment_knows_who_it_is),
        cmocka_unit_test(
            a_standalone_container_has_what_it_was_given_and_an_execution_is_the_first),
        ON_A_BENCH(a_container_whose_environment_is_not_there_is_refused_at_the_door),
        ON_A_BENCH(what_a_runtime_cannot_do_is_refused_at_the_door),
        ON_A_BENCH(a_request_is_answered_once_on_the_loop),
        ON_A_BENCH(a_cancelled_request_is_answered_too),
        ON_A_BENCH(an_answer_on_its_way_is_not_cancelled),
        ON_A_BENCH(a_stopped_container_tells_its_exit),
        ON_A_BENCH(what_is_under_way_is_dropped_with_the_runtime),
        cmocka_unit_test(a_record_is_read_as_it_was_written),
        cmocka_unit_test(a_torn_record_is_an_error_and_a_missing_one_is_told_apart),
        cmocka_unit_test(names_and_logs_follow_the_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
