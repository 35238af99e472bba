// SPDX-License-Identifier: Apache-2.0
/* Executions and standalone containers. Numbers are items of the acceptance list, part J. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

enum { SECOND = 1000, HOUR = 3600 * SECOND };

#define TEST(name) static void name(void **unused __attribute__((unused)))

static struct rig *with_job(void)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, doc_job("report", "j"));
    assert_int_equal(r->n_containers, 0); /* a deploy only registers it */
    return r;
}

static void end_execution(struct rig *r, uint64_t id, int code)
{
    for (size_t i = 0; i < r->n_containers; i++) {
        if (r->containers[i].execution != id)
            continue;
        struct event ev = { .kind = EV_EXIT, .exit = { r->containers[i].id, { .code = code } } };
        (void)rig_tell(r, &ev);
        return;
    }
    fail_msg("the execution has no container");
}

TEST(a_trigger_answers_at_once_and_the_statuses_follow) /* 79 */
{
    struct rig *r = with_job();
    r->held[EFF_PULL] = true;
    uint64_t id = rig_run_job(r, "report");
    assert_int_equal(rig_execution(r, id).status, EXEC_PENDING);
    r->held[EFF_PULL] = false;
    rig_settle(r);
    assert_int_equal(rig_execution(r, id).status, EXEC_RUNNING);
    rig_pass(r, 3 * SECOND);
    end_execution(r, id, 0);
    struct row_execution x = rig_execution(r, id);
    assert_int_equal(x.status, EXEC_COMPLETED);
    assert_int_equal(x.exit_code, 0);
    assert_int_equal(x.finished_ms - x.started_ms, 3 * SECOND);
    assert_int_equal(r->n_containers, 0);
    rig_free(r);
}

TEST(an_exit_code_makes_it_failed_and_nothing_restarts_it) /* 80 */
{
    struct rig *r = with_job();
    uint64_t id = rig_run_job(r, "report");
    end_execution(r, id, 3);
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_execution(r, id).status, EXEC_FAILED);
    assert_int_equal(rig_execution(r, id).exit_code, 3);
    assert_int_equal(r->n_made, 1);
    rig_free(r);
}

TEST(a_job_that_cannot_start_fails_with_the_reason)
{
    struct rig *r = with_job();
    r->unstartable = "report";
    uint64_t id = rig_run_job(r, "report");
    assert_int_equal(rig_execution(r, id).status, EXEC_FAILED);
    assert_string_equal(rig_execution(r, id).reason, "no such command");
    assert_int_equal(r->n_containers, 0);
    rig_free(r);
}

TEST(the_eleventh_waits_for_one_to_end) /* 81 */
{
    struct rig *r = with_job();
    uint64_t ids[11];
    for (size_t i = 0; i < 11; i++)
        ids[i] = rig_run_job(r, "report");
    assert_int_equal(rig_running(r, "report"), 10);
    assert_int_equal(rig_execution(r, ids[10]).status, EXEC_PENDING);
    end_execution(r, ids[4], 0);
    assert_int_equal(rig_execution(r, ids[10]).status, EXEC_RUNNING);
    rig_free(r);
}

static enum zl_err_kind cancel(struct rig *r, uint64_t id)
{
    struct event ev = { .kind = EV_INST_STOP, .inst.id = { id } };
    return rig_tell(r, &ev);
}

TEST(a_cancelled_execution_stays_cancelled_and_a_finished_one_is_refused) /* 82 */
{
    struct rig *r = with_job();
    r->held[EFF_CREATE] = true;
    uint64_t early = rig_run_job(r, "report");
    assert_int_equal(cancel(r, early), ZL_OK);
    r->held[EFF_CREATE] = false;
    rig_settle(r);
    assert_int_equal(rig_execution(r, early).status, EXEC_CANCELLED);
    assert_int_equal(r->n_containers, 0);

    uint64_t late = rig_run_job(r, "report");
    r->held[EFF_STOP] = true;
    assert_int_equal(cancel(r, late), ZL_OK);
    end_execution(r, late, 0); /* it ends well meanwhile */
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_execution(r, late).status, EXEC_CANCELLED);
    assert_int_equal(cancel(r, late), ZL_ERR_CONFLICT);
    rig_free(r);
}

TEST(a_stop_of_a_job_cancels_what_has_not_ended_and_it_can_be_run_again)
{
    struct rig *r = with_job();
    uint64_t ids[12];
    ids[0] = rig_run_job(r, "report");
    end_execution(r, ids[0], 0);
    for (size_t i = 1; i < 12; i++)
        ids[i] = rig_run_job(r, "report");
    assert_int_equal(rig_running(r, "report"), 10); /* and one waits */
    rig_stop(r, "report");
    rig_settle(r);
    assert_int_equal(r->n_containers, 0);
    assert_int_equal(rig_execution(r, ids[0]).status, EXEC_COMPLETED);
    for (size_t i = 1; i < 12; i++)
        assert_int_equal(rig_execution(r, ids[i]).status, EXEC_CANCELLED);
    uint64_t again = rig_run_job(r, "report");
    assert_int_equal(rig_execution(r, again).status, EXEC_RUNNING);
    rig_stop(r, NULL); /* all of the deployment: jobs as well */
    rig_settle(r);
    assert_int_equal(rig_execution(r, again).status, EXEC_CANCELLED);
    assert_int_equal(r->n_containers, 0);
    rig_free(r);
}

static bool count_one(void *arg, const struct row_execution *v)
{
    uint64_t *seen = arg; /* [0] how many, [1] the first */
    if (seen[0]++ == 0)
        seen[1] = v->id;
    return true;
}

TEST(the_last_ten_are_kept_and_whatever_is_younger_than_an_hour) /* 83 */
{
    struct rig *r = with_job();
    uint64_t last = 0, seen[2] = { 0 };
    for (int i = 0; i < 14; i++) {
        last = rig_run_job(r, "report");
        end_execution(r, last, 0);
        rig_pass(r, SECOND);
    }
    core_each_execution(r->core, "shop", "report", count_one, seen);
    assert_int_equal(seen[0], 14);
    assert_int_equal(seen[1], last); /* newest first */
    rig_pass(r, HOUR);
    seen[0] = 0;
    core_each_execution(r->core, "shop", "report", count_one, seen);
    assert_int_equal(seen[0], 10);
    rig_free(r);
}

TEST(an_unknown_job_is_not_found)
{
    struct rig *r = with_job();
    struct event ev = { .kind = EV_JOB_RUN, .job_run.job = "nothing" };
    assert_int_equal(rig_tell(r, &ev), ZL_ERR_NOT_FOUND);
    rig_free(r);
}

/* ---- standalone containers ---------------------------------------------------------------- */

TEST(the_exit_of_a_standalone_container_is_kept_until_it_is_removed)
{
    struct rig *r = rig_new();
    uint64_t id = rig_run(r, "one", "i", false);
    rig_exit(r, "one", 0, 42);
    struct view_container v = rig_slot(r, "one", 0);
    assert_int_equal(v.state, INST_EXITED);
    assert_int_equal(v.exit.code, 42);
    rig_pass(r, HOUR);
    assert_int_equal(r->n_made, 1);
    struct event rm = { .kind = EV_INST_REMOVE, .inst.id = { id } };
    assert_int_equal(rig_tell(r, &rm), ZL_OK);
    assert_int_equal(r->n_containers, 0);
    assert_int_equal(r->asked[EFF_DEL_STANDALONE], 1);
    rig_free(r);
}

TEST(delete_on_exit_leaves_nothing)
{
    struct rig *r = rig_new();
    (void)rig_run(r, "one", "i", true);
    rig_exit(r, "one", 0, 1);
    assert_int_equal(r->n_containers, 0);
    assert_int_equal(r->asked[EFF_DEL_STANDALONE], 1);
    rig_free(r);
}

TEST(a_running_one_is_removed_only_by_force_and_its_name_is_its_own)
{
    struct rig *r = rig_new();
    uint64_t id = rig_run(r, "one", "i", false);
    struct event rm = { .kind = EV_INST_REMOVE, .inst.id = { id } };
    assert_int_equal(rig_tell(r, &rm), ZL_ERR_CONFLICT);

    struct spec_service s = doc_service("one", "i", 1);
    struct spec *spec = doc_new("-", &s, 1);
    struct event again = { .kind = EV_RUN, .run = { .spec = spec } };
    assert_int_equal(rig_tell(r, &again), ZL_ERR_EXISTS);
    spec_unref(spec);

    rm.inst.force = true;
    assert_int_equal(rig_tell(r, &rm), ZL_OK);
    assert_int_equal(r->n_containers, 0);
    rig_free(r);
}

TEST(a_command_that_does_not_exist_is_code_127_with_its_reason)
{
    struct rig *r = rig_new();
    r->unstartable = "one";
    (void)rig_run(r, "one", "i", false);
    struct view_container v = rig_slot(r, "one", 0);
    assert_int_equal(v.exit.code, 127);
    assert_string_equal(v.why, "no such command");
    assert_int_equal(r->n_containers, 0);
    rig_free(r);
}

TEST(a_stopped_standalone_container_keeps_its_exit)
{
    struct rig *r = rig_new();
    uint64_t id = rig_run(r, "one", "i", false);
    r->held[EFF_STOP] = true;
    struct event stop = { .kind = EV_INST_STOP, .inst.id = { id } };
    assert_int_equal(rig_tell(r, &stop), ZL_OK);
    rig_exit(r, "one", 0, 143);
    assert_int_equal(rig_slot(r, "one", 0).state, INST_EXITED);
    assert_int_equal(rig_slot(r, "one", 0).exit.code, 143);
    rig_free(r);
}

/* Whichever is answered first. */
TEST(a_start_that_fails_after_a_stop_is_why_it_ended)
{
    for (int first = 0; first < 2; first++) {
        struct rig *r = rig_new();
        r->held[EFF_START] = r->held[EFF_STOP] = true;
        uint64_t id = rig_run(r, "one", "i", false);
        struct event stop = { .kind = EV_INST_STOP, .inst.id = { id } };
        assert_int_equal(rig_tell(r, &stop), ZL_OK);
        assert_int_equal(rig_slot(r, "one", 0).state, INST_STOPPING);
        if (first == 0)
            rig_answer(r, EFF_START, "no such command");
        rig_answer(r, EFF_STOP, NULL);
        if (first == 1)
            rig_answer(r, EFF_START, "no such command");
        struct view_container v = rig_slot(r, "one", 0);
        assert_int_equal(v.state, INST_EXITED);
        assert_string_equal(v.why, "no such command");
        assert_false(v.exit.lost);
        assert_string_equal(rig_last(r, "start_failed")->text, "one: no such command");
        assert_int_equal(r->asked[EFF_REMOVE], 1);
        rig_free(r);
    }
}

TEST(one_that_has_stopped_is_removed_without_another_stop)
{
    struct rig *r = rig_new();
    uint64_t id = rig_run(r, "one", "i", false);
    struct event stop = { .kind = EV_INST_STOP, .inst.id = { id } };
    assert_int_equal(rig_tell(r, &stop), ZL_OK); /* answered; its exit is yet to be told */
    assert_int_equal(rig_slot(r, "one", 0).state, INST_STOPPING);
    struct event rm = { .kind = EV_INST_REMOVE, .inst = { .id = { id }, .force = true } };
    assert_int_equal(rig_tell(r, &rm), ZL_OK);
    assert_int_equal(r->asked[EFF_STOP], 1);
    assert_int_equal(r->asked[EFF_REMOVE], 1);
    assert_int_equal(r->n_containers, 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trigger_answers_at_once_and_the_statuses_follow),
        cmocka_unit_test(an_exit_code_makes_it_failed_and_nothing_restarts_it),
        cmocka_unit_test(a_job_that_cannot_start_fails_with_the_reason),
        cmocka_unit_test(the_eleventh_waits_for_one_to_end),
        cmocka_unit_test(a_stop_of_a_job_cancels_what_has_not_ended_and_it_can_be_run_again),
        cmocka_unit_test(a_cancelled_execution_stays_cancelled_and_a_finished_one_is_refused),
        cmocka_unit_test(the_last_ten_are_kept_and_whatever_is_younger_than_an_hour),
        cmocka_unit_test(an_unknown_job_is_not_found),
        cmocka_unit_test(the_exit_of_a_standalone_container_is_kept_until_it_is_removed),
        cmocka_unit_test(delete_on_exit_leaves_nothing),
        cmocka_unit_test(a_running_one_is_removed_only_by_force_and_its_name_is_its_own),
        cmocka_unit_test(a_command_that_does_not_exist_is_code_127_with_its_reason),
        cmocka_unit_test(a_stopped_standalone_container_keeps_its_exit),
        cmocka_unit_test(a_start_that_fails_after_a_stop_is_why_it_ended),
        cmocka_unit_test(one_that_has_stopped_is_removed_without_another_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
