// SPDX-License-Identifier: Apache-2.0
/* Services, from their deploy to their removal. Numbers are items of the acceptance list, B to F.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

enum { SECOND = 1000 };

#define TEST(name) static void name(void **unused __attribute__((unused)))

TEST(three_replicas_share_one_pull_and_get_their_names) /* 8, 9 */
{
    struct rig *r = rig_new();
    assert_int_equal(rig_deploy_one(r, doc_service("web", "i", 3)), ZL_OK);
    assert_int_equal(rig_running(r, "web"), 3);
    assert_int_equal(r->asked[EFF_PULL], 1);
    assert_string_equal(rig_slot(r, "web", 1).name, "web-rep-1");
    assert_string_equal(rig_slot(r, "web", 3).name, "web-rep-3");
    rig_free(r);
}

TEST(scaling_down_removes_the_highest_index_first_and_touches_no_other) /* 10 */
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, doc_service("web", "i", 3));
    struct inst_id first = rig_find(r, "web", 1)->id, third = rig_find(r, "web", 3)->id;
    r->held[EFF_STOP] = true;
    (void)rig_deploy_one(r, doc_service("web", "i", 1));
    assert_int_equal(r->n_open, 2);
    assert_int_equal(r->open[0].id.v, third.v);
    rig_answer(r, EFF_STOP, NULL);
    rig_answer(r, EFF_STOP, NULL);
    assert_int_equal(r->n_containers, 1);
    assert_int_equal(r->containers[0].id.v, first.v);
    assert_int_equal(rig_lines(r, "restart"), 0); /* 47 */
    rig_free(r);
}

TEST(a_crash_is_restarted_at_once_in_the_same_slot) /* 41 */
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, doc_service("web", "i", 2));
    rig_exit(r, "web", 2, 1);
    rig_pass(r, 0);
    assert_int_equal(rig_running(r, "web"), 2);
    assert_int_equal(r->asked[EFF_PULL], 1); /* a restart needs none */
    struct view_container v = rig_slot(r, "web", 2);
    assert_int_equal(v.restarts, 1);
    assert_true(v.has_exit);
    assert_int_equal(v.exit.code, 1);
    rig_free(r);
}

TEST(a_completed_replica_stays_completed_unless_its_policy_says_always) /* 42 */
{
    struct rig *r = rig_new();
    struct spec_service s = doc_service("web", "i", 1);
    (void)rig_deploy_one(r, s);
    rig_exit(r, "web", 1, 0);
    rig_pass(r, 3600 * SECOND);
    assert_int_equal(rig_running(r, "web"), 0);
    assert_true(rig_slot(r, "web", 1).ended);
    assert_int_equal(rig_slot(r, "web", 1).state, INST_EXITED);

    s.restart.kind = SPEC_RESTART_ALWAYS;
    (void)rig_deploy_one(r, s); /* a deploy tries what has ended again */
    rig_exit(r, "web", 1, 0);
    rig_pass(r, 0);
    assert_int_equal(rig_running(r, "web"), 1);
    rig_free(r);
}

TEST(a_crash_loop_pauses_thirty_seconds_with_one_restart_pending) /* 44 */
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, doc_service("web", "i", 1));
    for (int i = 0; i < 6; i++) {
        rig_exit(r, "web", 1, 1);
        if (i < 5)
            rig_pass(r, 16 * SECOND);
    }
    assert_int_equal(rig_lines(r, "crash_loop"), 1);
    assert_true(rig_slot(r, "web", 1).crash_loop);
    size_t made = r->n_made;
    rig_pass(r, 29 * SECOND);
    assert_int_equal(r->n_made, made);
    rig_pass(r, 600 * SECOND);
    assert_int_equal(r->n_made, made + 1);
    rig_free(r);
}

TEST(shutdown_takes_the_whole_service_down_and_says_so) /* 46 */
{
    struct rig *r = rig_new();
    struct spec_service s = doc_service("web", "i", 3);
    s.on_panic = SPEC_PANIC_SHUTDOWN;
    (void)rig_deploy_one(r, s);
    rig_exit(r, "web", 2, 7);
    assert_int_equal(rig_running(r, "web"), 0);
    assert_string_equal(rig_service(r, "web").status, "failed");
    assert_int_equal(rig_deployment(r).status, DEP_FAILED);
    assert_non_null(strstr(rig_deployment(r).message, "web-2: exit code 7"));
    rig_pass(r, 3600 * SECOND);
    assert_int_equal(rig_running(r, "web"), 0);
    rig_free(r);
}

TEST(an_isolated_replica_is_kept_for_inspection) /* 46 */
{
    struct rig *r = rig_new();
    struct spec_service s = doc_service("web", "i", 2);
    s.on_panic = SPEC_PANIC_ISOLATE;
    (void)rig_deploy_one(r, s);
    rig_exit(r, "web", 1, 7);
    rig_pass(r, 3600 * SECOND);
    assert_int_equal(rig_running(r, "web"), 1);
    assert_int_equal(r->n_containers, 2);
    assert_int_equal(rig_slot(r, "web", 1).state, INST_EXITED);
    rig_free(r);
}

TEST(a_failing_start_leaves_nothing_and_is_tried_again_with_its_reason) /* 14, 49 */
{
    struct rig *r = rig_new();
    const struct spec_service list[] = { doc_service("bad", "i", 1), doc_service("web", "j", 2) };
    r->unstartable = "bad";
    (void)rig_deploy(r, list, 2);
    assert_int_equal(rig_running(r, "web"), 2);
    assert_null(rig_find(r, "bad", 1));
    rig_pass(r, 10 * SECOND);
    struct view_container v = rig_slot(r, "bad", 1);
    assert_int_equal(v.restarts, 5); /* after 0, 1, 2 and 4 s, and one is pending */
    assert_non_null(strstr(v.why, "no such command"));
    rig_free(r);
}

TEST(a_missing_image_is_asked_for_again_but_not_in_a_hot_loop)
{
    struct rig *r = rig_new();
    struct spec_service s = doc_service("web", "i", 2);
    s.restart.kind = SPEC_RESTART_NO; /* nothing ran: it says nothing about that */
    r->missing = "i";
    (void)rig_deploy_one(r, s);
    rig_pass(r, 60 * SECOND);
    assert_true(r->asked[EFF_PULL] >= 4 && r->asked[EFF_PULL] <= 20);
    assert_non_null(strstr(rig_slot(r, "web", 1).why, "no such image"));
    r->missing = NULL;
    rig_pass(r, 61 * SECOND);
    assert_int_equal(rig_running(r, "web"), 2);
    rig_free(r);
}

TEST(at_most_ten_containers_start_at_a_time) /* 16, 33 */
{
    struct rig *r = rig_new();
    r->held[EFF_CREATE] = true;
    (void)rig_deploy_one(r, doc_service("web", "i", 14));
    assert_int_equal(r->n_open, 10);
    r->held[EFF_CREATE] = false;
    rig_settle(r);
    assert_int_equal(rig_running(r, "web"), 14);
    rig_free(r);
}

TEST(a_slow_pull_does_not_delay_another_service) /* 15 */
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, doc_service("web", "j", 1));
    r->held[EFF_PULL] = true;
    const struct spec_service list[] = { doc_service("slow", "big", 1),
                                         doc_service("web", "j", 3) };
    (void)rig_deploy(r, list, 2);
    assert_int_equal(rig_running(r, "web"), 3);
    rig_free(r);
}

TEST(a_deployment_has_its_time_to_become_well_after_a_pull_of_any_length)
{
    struct rig *r = rig_new();
    r->held[EFF_PULL] = r->held[EFF_CREATE] = true;
    (void)rig_deploy_one(r, doc_service("web", "big", 1));
    r->now.mono_ms += 120 * SECOND; /* in which nothing happens */
    rig_answer(r, EFF_PULL, NULL);
    rig_pass(r, 29 * SECOND);
    assert_int_equal(rig_deployment(r).status, DEP_DEPLOYING);
    rig_pass(r, 1 * SECOND);
    assert_int_equal(rig_deployment(r).status, DEP_FAILED);
    rig_free(r);
}

TEST(a_dependent_is_made_when_its_dependency_is_healthy) /* 28 */
{
    struct rig *r = rig_new();
    const struct spec_depends on_db = { .service = "db",
                                        .condition = SPEC_HEALTHY,
                                        .timeout_ms = 300000 };
    struct spec_service list[] = { doc_checked("db", "i", 1), doc_service("web", "i", 1) };
    list[1].depends = &on_db;
    list[1].n_depends = 1;
    r->sick = "db";
    (void)rig_deploy(r, list, 2);
    assert_int_equal(rig_running(r, "db"), 1);
    assert_null(rig_find(r, "web", 1));
    assert_string_equal(rig_slot(r, "web", 1).why, "waits for db to be healthy");
    r->sick = NULL;
    rig_pass(r, 2 * SECOND);
    assert_int_equal(rig_running(r, "web"), 1);
    rig_free(r);
}

static void deploy_waiting(struct rig *r, enum spec_on_timeout on_timeout)
{
    const struct spec_depends on_db = { "db", 0, SPEC_HEALTHY, 20 * SECOND, on_timeout };
    struct spec_service list[] = { doc_checked("db", "i", 1), doc_service("web", "i", 1) };
    list[1].depends = &on_db;
    list[1].n_depends = 1;
    r->sick = "db";
    (void)rig_deploy(r, list, 2);
    rig_pass(r, 19 * SECOND);
    assert_int_equal(rig_running(r, "web"), 0);
    rig_pass(r, 2 * SECOND);
}

TEST(a_dependency_that_times_out_fails_warns_or_is_ignored) /* 30 */
{
    static const struct {
        enum spec_on_timeout what;
        size_t running, lines;
    } cases[] = { { SPEC_TIMEOUT_FAIL, 0, 1 },
                  { SPEC_TIMEOUT_WARN, 1, 1 },
                  { SPEC_TIMEOUT_CONTINUE, 1, 0 } };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        struct rig *r = rig_new();
        deploy_waiting(r, cases[i].what);
        assert_int_equal(rig_running(r, "web"), cases[i].running);
        assert_int_equal(rig_lines(r, "dependency_timeout"), cases[i].lines);
        if (cases[i].lines)
            assert_string_equal(
                rig_last(r, "dependency_timeout")->text,
                cases[i].running
                    ? "web waited for db to be healthy, in vain for 20 s"
                    : "E-DEP-TIMEOUT: web waited for db to be healthy, in vain for 20 s");
        if (!cases[i].running)
            assert_int_equal(rig_deployment(r).status, DEP_FAILED);
        rig_free(r);
    }
}

TEST(two_dependencies_are_waited_for_at_the_same_time) /* 31 */
{
    struct rig *r = rig_new();
    const struct spec_depends both[] = {
        { "a", 0, SPEC_HEALTHY, 20 * SECOND, SPEC_TIMEOUT_WARN },
        { "b", 1, SPEC_HEALTHY, 20 * SECOND, SPEC_TIMEOUT_WARN },
    };
    struct spec_service list[] = { doc_service("a", "gone", 1), doc_service("b", "gone", 1),
                                   doc_service("web", "i", 1) };
    list[2].depends = both;
    list[2].n_depends = 2;
    r->missing = "gone";
    (void)rig_deploy(r, list, 3);
    rig_pass(r, 21 * SECOND);
    assert_int_equal(rig_running(r, "web"), 1);
    rig_free(r);
}

TEST(a_job_that_others_need_runs_before_them_once) /* ARCHITECTURE 7.5 */
{
    struct rig *r = rig_new();
    const struct spec_depends on_job = { "migrate", 0, SPEC_HEALTHY, 300 * SECOND,
                                         SPEC_TIMEOUT_FAIL };
    struct spec_service list[] = { doc_job("migrate", "m"), doc_service("web", "i", 1) };
    list[1].depends = &on_job;
    list[1].n_depends = 1;
    (void)rig_deploy(r, list, 2);
    assert_int_equal(rig_running(r, "migrate"), 1);
    assert_int_equal(rig_running(r, "web"), 0);
    rig_exit(r, "migrate", 0, 0);
    assert_int_equal(rig_running(r, "web"), 1);
    (void)rig_deploy(r, list, 2); /* the same document: the same revision */
    assert_int_equal(rig_lines(r, "job_start"), 1);
    list[1].image.name = "i2"; /* a new one */
    (void)rig_deploy(r, list, 2);
    assert_int_equal(rig_lines(r, "job_start"), 2);
    rig_free(r);
}

TEST(a_deployment_runs_when_all_is_well_for_two_seconds) /* 32, 34, 35 */
{
    struct rig *r = rig_new();
    const struct spec_service list[] = { doc_checked("web", "i", 2), doc_job("once", "j") };
    (void)rig_deploy(r, list, 2);
    assert_true(rig_deployment(r).ready);
    assert_int_equal(rig_deployment(r).status, DEP_DEPLOYING);
    rig_pass(r, 1 * SECOND);
    rig_exit(r, "web", 1, 1);
    rig_pass(r, 1500);
    assert_int_equal(rig_deployment(r).status, DEP_DEPLOYING);
    rig_pass(r, 1 * SECOND);
    assert_int_equal(rig_deployment(r).status, DEP_RUNNING);
    rig_free(r);
}

TEST(a_deployment_that_does_not_become_well_fails_with_counts_and_is_tried_on) /* 34 */
{
    struct rig *r = rig_new();
    r->unstartable = "web";
    (void)rig_deploy_one(r, doc_service("web", "i", 2));
    rig_pass(r, 31 * SECOND);
    assert_int_equal(rig_deployment(r).status, DEP_FAILED);
    assert_non_null(strstr(rig_deployment(r).message, "web: 0 of 2 running, 0 healthy"));
    r->unstartable = NULL;
    rig_pass(r, 70 * SECOND);
    assert_int_equal(rig_deployment(r).status, DEP_RUNNING);
    rig_free(r);
}

TEST(what_the_new_document_has_no_more_goes_when_the_others_are_stable) /* 37 */
{
    struct rig *r = rig_new();
    const struct spec_depends on_db = { "db", 0, SPEC_STARTED, 300 * SECOND, SPEC_TIMEOUT_FAIL };
    struct spec_service list[] = { doc_service("db", "i", 1), doc_service("old", "i", 1),
                                   doc_service("web", "i", 1) };
    list[1].depends = &on_db;
    list[1].n_depends = 1;
    (void)rig_deploy(r, list, 3);
    rig_pass(r, 3 * SECOND);
    r->held[EFF_STOP] = true;
    (void)rig_deploy(r, &list[2], 1);
    rig_pass(r, 1 * SECOND);
    assert_int_equal(r->n_open, 0);
    rig_pass(r, 2 * SECOND);
    assert_int_equal(r->n_open, 1); /* the dependent first */
    assert_string_equal(r->open[0].what, "old");
    rig_answer(r, EFF_STOP, NULL);
    assert_string_equal(r->open[0].what, "db");
    rig_answer(r, EFF_STOP, NULL);
    assert_int_equal(r->n_containers, 1);
    rig_free(r);
}

TEST(what_the_new_document_has_no_more_goes_too_when_the_others_are_not_stable_in_time)
{
    static const char *const images[] = { "never-up", "not-there" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(images); i++) {
        struct rig *r = rig_new();
        struct spec_service list[] = { doc_service("old", "i", 1), doc_service("web", "i", 1) };
        (void)rig_deploy(r, list, 2);
        rig_pass(r, 3 * SECOND);
        r->missing = "not-there";  /* fails at once, and is given up */
        r->held[EFF_START] = true; /* no answer: fails after a minute */
        list[1].image.name = images[i];
        (void)rig_deploy(r, &list[1], 1);
        rig_pass(r, 29 * SECOND);
        assert_int_equal(rig_running(r, "old"), 1);
        rig_pass(r, 70 * SECOND);
        assert_int_equal(rig_deployment(r).status, DEP_FAILED);
        assert_null(rig_find(r, "old", 1));
        assert_int_equal(rig_running(r, "web"), 1);
        rig_free(r);
    }
}

TEST(a_changed_image_rolls_without_ever_having_fewer_replicas) /* 22, 25 */
{
    struct rig *r = rig_new();
    size_t most = 0, made = 0;
    (void)rig_deploy_one(r, doc_service("web", "one", 3));
    rig_pass(r, 3 * SECOND);
    (void)rig_deploy_one(r, doc_service("web", "two", 3));
    for (int i = 0; i < 200; i++) {
        rig_pass(r, 100);
        assert_true(rig_running(r, "web") >= 3);
        most = rig_running(r, "web") > most ? rig_running(r, "web") : most;
    }
    assert_int_equal(most, 4);
    assert_int_equal(rig_running(r, "web"), 3);
    for (uint32_t k = 1; k <= 3; k++)
        made += rig_find(r, "web", k)->hash == rig_service(r, "web").service->container_hash;
    assert_int_equal(made, 3);
    assert_int_equal(rig_deployment(r).status, DEP_RUNNING);
    rig_free(r);
}

TEST(a_changed_health_interval_restarts_nothing) /* 25 */
{
    struct rig *r = rig_new();
    struct spec_service s = doc_checked("web", "i", 2);
    (void)rig_deploy_one(r, s);
    s.health.interval_ms = 3000;
    size_t probes = r->asked[EFF_PROBE];
    (void)rig_deploy_one(r, s);
    assert_int_equal(r->n_made, 2);
    rig_pass(r, 9500);
    assert_int_equal(r->asked[EFF_PROBE] - probes, 8); /* at once, and every 3 s */
    rig_free(r);
}

TEST(a_version_that_does_not_stay_up_leaves_the_old_one_serving) /* 23 */
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, doc_service("web", "one", 3));
    rig_pass(r, 3 * SECOND);
    struct inst_id old = rig_find(r, "web", 1)->id;
    (void)rig_deploy_one(r, doc_service("web", "two", 3));
    rig_exit(r, "web", 4, 1);
    rig_pass(r, 600 * SECOND);
    assert_int_equal(rig_running(r, "web"), 3);
    assert_int_equal(rig_find(r, "web", 1)->id.v, old.v);
    assert_int_equal(rig_deployment(r).status, DEP_FAILED);
    assert_non_null(strstr(rig_deployment(r).message, "given up at web-4: exit code 1"));
    assert_int_equal(r->n_made, 4);
    rig_free(r);
}

TEST(a_version_whose_image_is_missing_changes_nothing) /* 24 */
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, doc_service("web", "one", 2));
    rig_pass(r, 3 * SECOND);
    r->missing = "two";
    (void)rig_deploy_one(r, doc_service("web", "two", 2));
    rig_pass(r, 60 * SECOND);
    assert_int_equal(r->n_made, 2);
    assert_int_equal(rig_running(r, "web"), 2);
    assert_non_null(strstr(rig_deployment(r).message, "no such image"));
    rig_free(r);
}

TEST(a_service_that_binds_a_port_of_the_host_is_stopped_before_it_is_made_anew) /* 27 */
{
    struct rig *r = rig_new();
    static const struct spec_endpoint port = { "http", SPEC_HTTP, 80, 80, SPEC_INTERNAL };
    struct spec_service s = doc_service("web", "one", 1);
    s.network = SPEC_NET_HOST;
    s.endpoints = &port;
    s.n_endpoints = 1;
    (void)rig_deploy_one(r, s);
    rig_pass(r, 3 * SECOND);
    s.image.name = "two";
    (void)rig_deploy_one(r, s);
    rig_pass(r, 10 * SECOND);
    assert_int_equal(r->n_made, 2);
    assert_int_equal(r->made[1].index, 1);
    rig_free(r);
}

TEST(a_stopped_service_stays_stopped_until_the_next_deploy)
{
    struct rig *r = rig_new();
    const struct spec_service list[] = { doc_service("db", "i", 1), doc_service("web", "i", 2) };
    (void)rig_deploy(r, list, 2);
    rig_stop(r, "web");
    rig_pass(r, 3600 * SECOND);
    assert_int_equal(rig_running(r, "web"), 0);
    assert_int_equal(rig_running(r, "db"), 1);
    assert_string_equal(rig_service(r, "web").status, "stopped");
    assert_int_equal(rig_deployment(r).row->n_services, 2);
    assert_false(rig_deployment(r).row->services[0].stopped);
    assert_true(rig_deployment(r).row->services[1].stopped);
    assert_int_equal(rig_lines(r, "restart"), 0); /* 47 */
    (void)rig_deploy(r, list, 2);
    assert_int_equal(rig_running(r, "web"), 2);
    rig_free(r);
}

TEST(a_stop_carries_the_signal_and_the_grace_of_the_document) /* 21, the decision */
{
    struct rig *r = rig_new();
    struct spec_service s = doc_service("web", "i", 1);
    s.stop_signal = 2;
    s.stop_grace_ms = 2000;
    (void)rig_deploy_one(r, s);
    r->held[EFF_STOP] = true;
    rig_down(r);
    assert_int_equal(r->open[0].signal, 2);
    assert_int_equal(r->open[0].grace_ms, 2000);
    rig_free(r);
}

TEST(down_stops_dependents_first_and_leaves_nothing_in_whatever_state)
{
    struct rig *r = rig_new();
    const struct spec_depends on_db = { "db", 0, SPEC_STARTED, 300 * SECOND, SPEC_TIMEOUT_FAIL };
    struct spec_service list[] = { doc_service("db", "i", 1), doc_service("web", "i", 1),
                                   doc_service("slow", "big", 1) };
    list[1].depends = &on_db;
    list[1].n_depends = 1;
    (void)rig_deploy(r, list, 2);
    r->held[EFF_PULL] = r->held[EFF_STOP] = true;
    (void)rig_deploy(r, list, 3);
    rig_down(r);
    size_t stops = 0;
    for (size_t i = 0; i < r->n_open; i++)
        stops += r->open[i].kind == EFF_STOP;
    assert_int_equal(stops, 1);
    assert_int_equal(rig_running(r, "db"), 1);
    rig_answer(r, EFF_STOP, NULL);
    rig_answer(r, EFF_STOP, NULL);
    assert_int_equal(r->n_containers, 0);
    assert_int_equal(r->asked[EFF_DEL_DEPLOYMENT], 1);
    struct event again = { .kind = EV_DOWN, .down.deployment = "shop" };
    assert_int_equal(rig_tell(r, &again), ZL_ERR_NOT_FOUND);
    rig_free(r);
}

TEST(a_stop_that_is_never_answered_becomes_a_kill_and_a_removal)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, doc_service("web", "i", 1));
    r->held[EFF_STOP] = r->held[EFF_KILL] = true;
    rig_down(r);
    rig_pass(r, 30 * SECOND + 10 * SECOND);
    assert_int_equal(r->asked[EFF_KILL], 1);
    rig_pass(r, 10 * SECOND);
    assert_int_equal(r->n_containers, 0);
    assert_int_equal(r->asked[EFF_DEL_DEPLOYMENT], 1);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_replicas_share_one_pull_and_get_their_names),
        cmocka_unit_test(scaling_down_removes_the_highest_index_first_and_touches_no_other),
        cmocka_unit_test(a_crash_is_restarted_at_once_in_the_same_slot),
        cmocka_unit_test(a_completed_replica_stays_completed_unless_its_policy_says_always),
        cmocka_unit_test(a_crash_loop_pauses_thirty_seconds_with_one_restart_pending),
        cmocka_unit_test(shutdown_takes_the_whole_service_down_and_says_so),
        cmocka_unit_test(an_isolated_replica_is_kept_for_inspection),
        cmocka_unit_test(a_failing_start_leaves_nothing_and_is_tried_again_with_its_reason),
        cmocka_unit_test(a_missing_image_is_asked_for_again_but_not_in_a_hot_loop),
        cmocka_unit_test(at_most_ten_containers_start_at_a_time),
        cmocka_unit_test(a_slow_pull_does_not_delay_another_service),
        cmocka_unit_test(a_deployment_has_its_time_to_become_well_after_a_pull_of_any_length),
        cmocka_unit_test(a_dependent_is_made_when_its_dependency_is_healthy),
        cmocka_unit_test(a_dependency_that_times_out_fails_warns_or_is_ignored),
        cmocka_unit_test(two_dependencies_are_waited_for_at_the_same_time),
        cmocka_unit_test(a_job_that_others_need_runs_before_them_once),
        cmocka_unit_test(a_deployment_runs_when_all_is_well_for_two_seconds),
        cmocka_unit_test(a_deployment_that_does_not_become_well_fails_with_counts_and_is_tried_on),
        cmocka_unit_test(what_the_new_document_has_no_more_goes_when_the_others_are_stable),
        cmocka_unit_test(
            what_the_new_document_has_no_more_goes_too_when_the_others_are_not_stable_in_time),
        cmocka_unit_test(a_changed_image_rolls_without_ever_having_fewer_replicas),
        cmocka_unit_test(a_changed_health_interval_restarts_nothing),
        cmocka_unit_test(a_version_that_does_not_stay_up_leaves_the_old_one_serving),
        cmocka_unit_test(a_version_whose_image_is_missing_changes_nothing),
        cmocka_unit_test(a_service_that_binds_a_port_of_the_host_is_stopped_before_it_is_made_anew),
        cmocka_unit_test(a_stopped_service_stays_stopped_until_the_next_deploy),
        cmocka_unit_test(a_stop_carries_the_signal_and_the_grace_of_the_document),
        cmocka_unit_test(down_stops_dependents_first_and_leaves_nothing_in_whatever_state),
        cmocka_unit_test(a_stop_that_is_never_answered_becomes_a_kill_and_a_removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
