// SPDX-License-Identifier: Apache-2.0
/* When replicas are probed, and what the answers mean. Numbers are items of the list, part F. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

enum { SECOND = 1000 };

#define TEST(name) static void name(void **unused __attribute__((unused)))

static struct rig *healthy_replica(void)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, doc_checked("web", "i", 1)); /* grace 5 s, every 10 s, 3 retries */
    assert_int_equal(rig_slot(r, "web", 1).health, HEALTH_HEALTHY);
    return r;
}

TEST(it_takes_three_failures_in_a_row_to_be_unhealthy_and_one_success_to_be_back) /* 51 */
{
    struct rig *r = healthy_replica();
    r->sick = "web";
    rig_pass(r, 20 * SECOND);
    assert_int_equal(rig_slot(r, "web", 1).health, HEALTH_HEALTHY);
    r->sick = NULL;
    rig_pass(r, 10 * SECOND);
    r->sick = "web";
    rig_pass(r, 30 * SECOND);
    assert_int_equal(rig_slot(r, "web", 1).health, HEALTH_UNHEALTHY);
    assert_string_equal(rig_slot(r, "web", 1).health_reason, "connection refused");
    assert_int_equal(rig_service(r, "web").healthy, 0);
    assert_int_equal(rig_running(r, "web"), 1); /* it is only marked */
    r->sick = NULL;
    rig_pass(r, 20 * SECOND);
    assert_int_equal(rig_slot(r, "web", 1).health, HEALTH_HEALTHY);
    rig_free(r);
}

TEST(failures_in_the_start_grace_do_not_count_and_a_success_ends_it) /* 52 */
{
    struct rig *r = rig_new();
    r->sick = "web";
    (void)rig_deploy_one(r, doc_checked("web", "i", 1));
    rig_pass(r, 4500);
    assert_int_equal(r->asked[EFF_PROBE], 5); /* at once and every second */
    assert_int_equal(rig_slot(r, "web", 1).health, HEALTH_CHECKING);
    r->sick = NULL;
    rig_pass(r, 500);
    assert_int_equal(rig_slot(r, "web", 1).health, HEALTH_HEALTHY);
    rig_free(r);
}

TEST(the_pause_doubles_while_it_is_unhealthy_up_to_a_minute) /* 53 */
{
    struct rig *r = healthy_replica();
    r->sick = "web";
    rig_pass(r, 30 * SECOND); /* the third failure: from now on 20, 40, 60, 60 s */
    size_t probes = r->asked[EFF_PROBE];
    rig_pass(r, 19 * SECOND);
    assert_int_equal(r->asked[EFF_PROBE], probes);
    rig_pass(r, 1 * SECOND);
    assert_int_equal(r->asked[EFF_PROBE], probes + 1);
    rig_pass(r, 40 * SECOND);
    assert_int_equal(r->asked[EFF_PROBE], probes + 2);
    rig_pass(r, 120 * SECOND);
    assert_int_equal(r->asked[EFF_PROBE], probes + 4);
    r->sick = NULL;
    rig_pass(r, 60 * SECOND);
    probes = r->asked[EFF_PROBE];
    rig_pass(r, 10 * SECOND);
    assert_int_equal(r->asked[EFF_PROBE], probes + 1);
    rig_free(r);
}

TEST(a_probe_that_is_never_answered_counts_as_failed)
{
    struct rig *r = healthy_replica();
    r->mute = "web";
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_slot(r, "web", 1).health, HEALTH_UNHEALTHY);
    assert_string_equal(rig_slot(r, "web", 1).health_reason, "the probe was not answered");
    assert_true(r->asked[EFF_PROBE_CANCEL] >= 3);
    rig_free(r);
}

TEST(a_postponed_probe_tells_nothing_and_is_sent_again)
{
    struct rig *r = healthy_replica();
    r->sick = r->paused = "web";
    size_t probes = r->asked[EFF_PROBE];
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_slot(r, "web", 1).health, HEALTH_HEALTHY);
    assert_int_equal(r->asked[EFF_PROBE], probes + 6);
    r->paused = NULL;
    rig_pass(r, 30 * SECOND);
    assert_int_equal(rig_slot(r, "web", 1).health, HEALTH_UNHEALTHY);
    rig_free(r);
}

TEST(a_slow_answer_within_its_time_out_passes) /* 58 */
{
    struct rig *r = rig_new();
    struct spec_service s = doc_checked("web", "i", 1);
    s.health.timeout_ms = 20 * SECOND;
    r->held[EFF_PROBE] = true;
    (void)rig_deploy_one(r, s);
    rig_pass(r, 15 * SECOND);
    rig_answer(r, EFF_PROBE, NULL);
    assert_int_equal(rig_slot(r, "web", 1).health, HEALTH_HEALTHY);
    rig_free(r);
}

TEST(a_worker_without_endpoints_is_healthy_while_it_runs) /* 56 */
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, doc_service("worker", "i", 1));
    assert_int_equal(rig_slot(r, "worker", 1).health, HEALTH_HEALTHY);
    assert_int_equal(r->asked[EFF_PROBE], 0);
    rig_free(r);
}

TEST(a_service_with_a_tcp_endpoint_is_probed_unless_the_document_says_otherwise) /* 56 */
{
    static const struct spec_endpoint port = { "db", SPEC_TCP, 5432, 5432, SPEC_INTERNAL };
    struct rig *r = rig_new();
    struct spec_service s = doc_service("db", "i", 1);
    s.endpoints = &port;
    s.n_endpoints = 1;
    (void)rig_deploy_one(r, s);
    assert_int_equal(r->asked[EFF_PROBE], 1);
    rig_free(r);
}

TEST(one_sick_replica_of_three_is_counted) /* 57 */
{
    struct rig *r = rig_new();
    r->held[EFF_PROBE] = true;
    (void)rig_deploy_one(r, doc_checked("web", "i", 3));
    rig_answer(r, EFF_PROBE, NULL);
    rig_answer(r, EFF_PROBE, NULL);
    struct view_service v = rig_service(r, "web");
    assert_int_equal(v.desired, 3);
    assert_int_equal(v.running, 3);
    assert_int_equal(v.healthy, 2);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            it_takes_three_failures_in_a_row_to_be_unhealthy_and_one_success_to_be_back),
        cmocka_unit_test(failures_in_the_start_grace_do_not_count_and_a_success_ends_it),
        cmocka_unit_test(the_pause_doubles_while_it_is_unhealthy_up_to_a_minute),
        cmocka_unit_test(a_postponed_probe_tells_nothing_and_is_sent_again),
        cmocka_unit_test(a_probe_that_is_never_answered_counts_as_failed),
        cmocka_unit_test(a_slow_answer_within_its_time_out_passes),
        cmocka_unit_test(a_worker_without_endpoints_is_healthy_while_it_runs),
        cmocka_unit_test(
            a_service_with_a_tcp_endpoint_is_probed_unless_the_document_says_otherwise),
        cmocka_unit_test(one_sick_replica_of_three_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
