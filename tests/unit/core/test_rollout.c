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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replacement_that_is_healthy_just_in_time_is_kept),
        cmocka_unit_test(a_replacement_that_is_not_healthy_in_time_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
