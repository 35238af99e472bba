// SPDX-License-Identifier: Apache-2.0
/* Living containers: new limits, pause, who is in them, what they use. On v1 and v2 alike. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "box.h"
#include "sandbox/stats.h"

static bool is_v2(const struct world *w)
{
    const struct plan_cgroup *c = plan_table(w->plan, w->plan->cgroups);
    return c[0].kind == PLAN_CGROUP_V2;
}

static int update(struct world *w, const char *resources)
{
    zl_autojson struct zl_json doc = { 0 };
    zl_autobuf struct zl_buf bytes = ZL_BUF(PLAN_MAX);
    const struct plan_update *u = NULL;
    struct oci_resources *r = NULL;

    assert_int_equal(oci_resources_parse(&doc, resources, strlen(resources), "r", &r, &w->err), 0);
    if (plan_update_build(r, NULL, &bytes, &w->err) < 0 ||
        plan_update_check(bytes.data, bytes.len, &u, &w->err) < 0)
        return -1;
    return carry_update(w->carry, u, &w->err);
}

/* The first line of a file of the container's cgroup; "" when it is not there. */
static const char *limit(const struct world *w, const char *v1, const char *v2)
{
    static char line[128];
    char path[256], controller[32] = "";
    zl_autobuf struct zl_buf text = ZL_BUF(4096);
    const char *file = is_v2(w) ? v2 : v1;

    if (!is_v2(w))
        (void)snprintf(controller, sizeof controller, "%.*s", (int)strcspn(v1, "."), v1);
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup/%s%s/c/c1/%s", controller, w->parent, file);
    if (zl_read_file(AT_FDCWD, path, &text, NULL) < 0)
        return "";
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(text.data, "\n"), text.data);
    return line;
}

static void end(struct world *w, struct carry_proc *p)
{
    assert_int_equal(carry_kill_all(w->carry, SIGKILL, &w->err), 0);
    assert_int_equal(box_wait(p), 128 + SIGKILL);
}

/* ---- update ---- */

static void limits_can_be_raised_and_lowered(void **state)
{
    struct world *w = *state;
    struct carry_proc p;

    box_hold(w,
             ",\"resources\":{\"memory\":{\"limit\":33554432,\"swap\":33554432},"
             "\"pids\":{\"limit\":9}}",
             &p);
    /* v1: memory with swap has to grow before memory may */
    assert_int_equal(update(w, "{\"memory\":{\"limit\":67108864,\"swap\":134217728},"
                               "\"pids\":{\"limit\":20}}"),
                     0);
    assert_string_equal(limit(w, "memory.limit_in_bytes", "memory.max"), "67108864");
    assert_string_equal(limit(w, "pids.max", "pids.max"), "20");
    /* and to shrink after it */
    assert_int_equal(update(w, "{\"memory\":{\"limit\":16777216,\"swap\":16777216}}"), 0);
    assert_string_equal(limit(w, "memory.limit_in_bytes", "memory.max"), "16777216");
    assert_string_equal(limit(w, "pids.max", "pids.max"), "20");
    end(w, &p);
}

static void an_update_is_whole_or_not_at_all(void **state)
{
    struct world *w = *state;
    struct carry_proc p;

    box_hold(w, ",\"resources\":{\"memory\":{\"limit\":33554432},\"pids\":{\"limit\":9}}", &p);
    assert_int_equal(update(w, "{\"memory\":{\"limit\":67108864},\"pids\":{\"limit\":30},"
                               "\"cpu\":{\"cpus\":\"0-9999\"}}"),
                     -1);
    assert_non_null(strstr(w->err.msg, "update limits: write '0-9999' into"));
    assert_string_equal(limit(w, "memory.limit_in_bytes", "memory.max"), "33554432");
    assert_string_equal(limit(w, "pids.max", "pids.max"), "9");
    end(w, &p);
}

/* v1: the hierarchy is joined then, by those who are there and those who come. */
static void a_controller_that_was_not_joined_is_joined_late(void **state)
{
    struct world *w = *state;
    struct carry_proc p;

    box_hold(w, ",\"resources\":{\"pids\":{\"limit\":9}}", &p);
    assert_int_equal(update(w, "{\"cpu\":{\"cpus\":\"0\"}}"), 0);
    assert_string_equal(limit(w, "cpuset.cpus", "cpuset.cpus"), "0");
    char pid[16];
    (void)snprintf(pid, sizeof pid, "%d", (int)p.pid);
    assert_string_equal(limit(w, "cpuset.tasks", "cgroup.procs"),
                        is_v2(w) ? pid : ""); /* there is no such file */
    assert_string_equal(limit(w, "cpuset.cpus", "cpuset.cpus"), "0");
    assert_int_equal(box_exec(w, p.pidfd, "cpus", "1"), 0); /* one CPU is what it sees */
    end(w, &p);
}

/* Nobody is there yet who could be moved. */
static void what_is_not_started_yet_starts_with_the_limits_of_an_update(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    char out[64];

    assert_int_equal(box_prepare(w, "\"/bin/x\",\"cpus\",\"1\"", "", "", &o), 0);
    assert_int_equal(update(w, "{\"cpu\":{\"cpus\":\"0\"}}"), 0);
    assert_int_equal(box_run(w, out, sizeof out), 0); /* one CPU is what it sees */
}

static void memory_in_use_can_be_protected_from_an_update(void **state)
{
    struct world *w = *state;
    struct carry_proc p;

    box_hold(w, ",\"resources\":{\"memory\":{\"limit\":33554432}}", &p);
    int rc = update(w, "{\"memory\":{\"limit\":4096,\"checkBeforeUpdate\":true}}");
    if (is_v2(w)) {
        assert_int_equal(rc, -1);
        assert_int_equal(w->err.kind, ZL_ERR_CONFLICT);
        assert_string_equal(limit(w, "", "memory.max"), "33554432");
    } /* v1: whether that much can be reclaimed is for the kernel to find out */
    assert_false(carry_is_empty(w->carry));
    end(w, &p);
}

static void device_rules_are_replaced(void **state)
{
    struct world *w = *state;
    struct carry_proc p;

    box_hold(w,
             ",\"resources\":{\"devices\":[{\"allow\":false}]},"
             "\"devices\":[{\"path\":\"/dev/z\",\"type\":\"c\",\"major\":10,\"minor\":229}]",
             &p);
    assert_int_equal(box_exec(w, p.pidfd, "open", "/dev/null"), 0);
    assert_int_equal(box_exec(w, p.pidfd, "open", "/dev/z"), 1);
    assert_int_equal(update(w, "{\"devices\":[{\"allow\":false},{\"allow\":true,\"type\":\"c\","
                               "\"major\":10,\"minor\":229,\"access\":\"rw\"}]}"),
                     0);
    assert_int_equal(box_exec(w, p.pidfd, "open", "/dev/z"), 0);
    assert_int_equal(update(w, "{\"devices\":[{\"allow\":false}]}"), 0);
    assert_int_equal(box_exec(w, p.pidfd, "open", "/dev/z"), 1);
    end(w, &p);
}

/* ---- pause ---- */

static char state_of(pid_t pid)
{
    char path[32];
    zl_autobuf struct zl_buf text = ZL_BUF(4096);

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    assert_int_equal(zl_read_file(AT_FDCWD, path, &text, NULL), 0);
    return strrchr(text.data, ')')[2];
}

static void a_paused_container_stands_still_until_it_is_resumed(void **state)
{
    struct world *w = *state;
    struct carry_proc p;
    bool frozen = true;

    box_hold(w, ",\"resources\":{\"pids\":{\"limit\":9}}", &p);
    assert_int_equal(carry_is_frozen(w->carry, &frozen, &w->err), 0);
    assert_false(frozen);
    assert_int_equal(carry_freeze(w->carry, false, &w->err), 0); /* it is not: fine */
    assert_int_equal(carry_freeze(w->carry, true, &w->err), 0);
    assert_int_equal(carry_freeze(w->carry, true, &w->err), 0);
    assert_int_equal(carry_is_frozen(w->carry, &frozen, &w->err), 0);
    assert_true(frozen);
    assert_int_equal(kill(p.pid, SIGTERM), 0); /* pid 1 without a handler: it is ignored anyway */
    assert_int_equal(carry_freeze(w->carry, false, &w->err), 0);
    assert_int_equal(carry_is_frozen(w->carry, &frozen, &w->err), 0);
    assert_false(frozen);
    assert_int_equal(box_exec(w, p.pidfd, "exit", "3"), 3);
    end(w, &p);
}

/* Those that fork all the time are caught as well. */
static void a_forking_container_is_paused_as_a_whole(void **state)
{
    struct world *w = *state;
    struct plan_options o = { 0 };
    struct carry_proc p;

    assert_int_equal(
        box_prepare(w, "\"x\",\"fork\"", "", ",\"resources\":{\"pids\":{\"limit\":50}}", &o), 0);
    assert_int_equal(carry_start(w->carry, &box_plainly, &p, &w->err), 0);
    for (int i = 0; i < 5; i++) {
        pid_t *v = NULL;
        size_t n = 0;
        assert_int_equal(carry_freeze(w->carry, true, &w->err), 0);
        assert_int_equal(carry_pids(w->carry, &v, &n, &w->err), 0);
        assert_true(n >= 1);
        for (size_t k = 0; k < n; k++)
            assert_int_not_equal(state_of(v[k]), 'R');
        free(v);
        assert_int_equal(carry_freeze(w->carry, false, &w->err), 0);
    }
    end(w, &p);
}

static void a_paused_container_can_be_killed(void **state)
{
    struct world *w = *state;
    struct carry_proc p;

    box_hold(w, ",\"resources\":{\"pids\":{\"limit\":9}}", &p);
    assert_int_equal(carry_freeze(w->carry, true, &w->err), 0);
    end(w, &p);
}

static void a_paused_container_can_be_removed(void **state)
{
    struct world *w = *state;
    struct carry_proc p;

    box_hold(w, ",\"resources\":{\"pids\":{\"limit\":9}}", &p);
    assert_int_equal(carry_freeze(w->carry, true, &w->err), 0);
    assert_int_equal(carry_remove(w->carry, &w->err), 0);
    assert_int_equal(box_wait(&p), 128 + SIGKILL);
    assert_string_equal(limit(w, "freezer.state", "cgroup.freeze"), ""); /* gone as well */
}

/* ---- who is in it, what they use ---- */

static void its_processes_are_listed(void **state)
{
    struct world *w = *state;
    struct carry_proc p;
    pid_t *v = NULL;
    size_t n = 0;

    box_hold(w, ",\"resources\":{\"pids\":{\"limit\":9}}", &p);
    assert_int_equal(carry_pids(w->carry, &v, &n, &w->err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(v[0], p.pid);
    free(v);
    end(w, &p);
}

static void its_use_is_counted(void **state)
{
    struct world *w = *state;
    struct carry_proc p;
    struct cgroup_stats s;

    box_hold(w,
             ",\"resources\":{\"memory\":{\"limit\":33554432},\"pids\":{\"limit\":9},"
             "\"cpu\":{\"quota\":50000}}",
             &p);
    assert_int_equal(carry_stats(w->carry, &s, &w->err), 0);
    assert_true(s.has & CGROUP_HAS_MEMORY);
    assert_in_range(s.memory.usage, 4096, 33554432);
    assert_int_equal(s.memory.limit, 33554432);
    assert_true(s.memory.n_stat > 5);
    assert_int_equal(s.pids.current, 1);
    assert_int_equal(s.pids.limit, 9);
    assert_int_equal(s.memory.oom_kills, 0);
    cgroup_stats_done(&s);
    end(w, &p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        BOX_TEST(limits_can_be_raised_and_lowered),
        BOX_TEST(an_update_is_whole_or_not_at_all),
        BOX_TEST(a_controller_that_was_not_joined_is_joined_late),
        BOX_TEST(what_is_not_started_yet_starts_with_the_limits_of_an_update),
        BOX_TEST(memory_in_use_can_be_protected_from_an_update),
        BOX_TEST(device_rules_are_replaced),
        BOX_TEST(a_paused_container_stands_still_until_it_is_resumed),
        BOX_TEST(a_forking_container_is_paused_as_a_whole),
        BOX_TEST(a_paused_container_can_be_killed),
        BOX_TEST(a_paused_container_can_be_removed),
        BOX_TEST(its_processes_are_listed),
        BOX_TEST(its_use_is_counted),
    };
    if (!box_possible(argc, argv))
        return BOX_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
