// SPDX-License-Identifier: Apache-2.0
/* Rollouts whose events come at the edge of a time limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

enum { SECOND = 1000 };

#define TEST(name) static void name(void **unused __attribute__((unused)))

/* A replacement may take 41 s; its first probe may take longer. */
static struct spec_service slowly_checked(const char *image)
{
    struct spec_service s = doc_checked("web", image, 1);
    s.health.start_grace_ms = 0;
    s.health.retries = 0;
    s.health.interval_ms = 1 * SECOND;
    s.health.timeout_ms = 40 * SECOND;
    return s;
}

/* The new version is up in slot 2, and its first probe is under way. */
static struct rig *begin(void)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, slowly_checked("one"));
    rig_pass(r, 3500);
    r->held[EFF_PROBE] = true;
    (void)rig_deploy_one(r, slowly_checked("two"));
    assert_int_equal(r->n_open, 1);
    assert_int_equal(rig_running(r, "web"), 2);
    return r;
}

TEST(a_replacement_that_is_healthy_just_in_time_is_kept)
{
    struct rig *r = begin();
    rig_pass(r, 40500);
    while (r->n_open) /* of the old one as well */
        rig_answer(r, EFF_PROBE, NULL);
    r->held[EFF_PROBE] = false;
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_lines(r, "rollout_failed"), 0);
    assert_int_equal(rig_running(r, "web"), 1);
    assert_int_equal(rig_find(r, "web", 1)->hash, rig_service(r, "web").service->container_hash);
    rig_free(r);
}

TEST(a_replacement_that_is_not_healthy_in_time_is_given_up)
{
    struct rig *r = begin();
    rig_pass(r, 41 * SECOND);
    assert_int_equal(rig_lines(r, "rollout_failed"), 1);
    assert_int_equal(rig_running(r, "web"), 1);
    rig_free(r);
}

TEST(a_restart_replaces_all_replicas_of_the_same_version_and_never_has_fewer)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, doc_service("web", "i", 3));
    uint64_t before[3];
    for (uint32_t n = 1; n <= 3; n++)
        before[n - 1] = rig_find(r, "web", n)->id.v;
    uint64_t revision = rig_deployment(r).row->revision;
    assert_int_equal(rig_restart(r, "web", 0), ZL_OK);
    assert_int_equal(rig_deployment(r).status, DEP_DEPLOYING);
    for (int s = 0; s < 120; s++) {
        assert_in_range(rig_running(r, "web"), 3, 4);
        rig_pass(r, SECOND);
    }
    for (uint32_t n = 1; n <= 3; n++)
        assert_int_not_equal(rig_find(r, "web", n)->id.v, before[n - 1]);
    assert_int_equal(rig_running(r, "web"), 3);
    assert_int_equal(rig_deployment(r).status, DEP_RUNNING);
    assert_int_equal(rig_deployment(r).row->revision, revision);
    assert_int_equal(rig_lines(r, "restart"), 0); /* no crash was seen */
    rig_free(r);
}

TEST(a_restart_of_one_replica_leaves_the_others_alone)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, doc_service("web", "i", 2));
    uint64_t one = rig_find(r, "web", 1)->id.v, two = rig_find(r, "web", 2)->id.v;
    assert_int_equal(rig_restart(r, "web", 2), ZL_OK);
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_find(r, "web", 1)->id.v, one);
    assert_int_not_equal(rig_find(r, "web", 2)->id.v, two);
    assert_int_equal(rig_running(r, "web"), 2);
    assert_int_equal(rig_restart(r, "web", 3), ZL_ERR_NOT_FOUND);
    rig_free(r);
}

TEST(a_restart_starts_what_was_stopped_or_has_failed)
{
    struct rig *r = rig_new();
    struct spec_service s = doc_service("web", "i", 1);
    s.restart.kind = SPEC_RESTART_NO;
    (void)rig_deploy_one(r, s);
    rig_stop(r, "web");
    rig_settle(r);
    assert_int_equal(rig_restart(r, "web", 1), ZL_ERR_CONFLICT);
    assert_int_equal(rig_restart(r, NULL, 0), ZL_OK);
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_running(r, "web"), 1);
    rig_exit(r, "web", 1, 1);
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_running(r, "web"), 0);
    assert_int_equal(rig_restart(r, "web", 1), ZL_OK);
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_running(r, "web"), 1);
    assert_int_equal(rig_restart(r, "nobody", 0), ZL_ERR_NOT_FOUND);
    rig_free(r);
}

TEST(a_replica_of_a_service_that_was_shut_down_is_not_restarted_alone)
{
    struct rig *r = rig_new();
    struct spec_service s = doc_service("web", "i", 2);
    s.on_panic = SPEC_PANIC_SHUTDOWN;
    (void)rig_deploy_one(r, s);
    rig_exit(r, "web", 1, 1);
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_running(r, "web"), 0);
    assert_int_equal(rig_restart(r, "web", 1), ZL_ERR_CONFLICT);
    assert_int_equal(rig_restart(r, "web", 0), ZL_OK);
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_running(r, "web"), 2);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_replaces_all_replicas_of_the_same_version_and_never_has_fewer),
        cmocka_unit_test(a_restart_of_one_replica_leaves_the_others_alone),
        cmocka_unit_test(a_restart_starts_what_was_stopped_or_has_failed),
        cmocka_unit_test(a_replica_of_a_service_that_was_shut_down_is_not_restarted_alone),
        cmocka_unit_test(a_replacement_that_is_healthy_just_in_time_is_kept),
        cmocka_unit_test(a_replacement_that_is_not_healthy_in_time_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
