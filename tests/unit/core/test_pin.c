// SPDX-License-Identifier: Apache-2.0
/* What the tag of an image means, for how long, and when it is looked at again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

enum { SECOND = 1000 };

#define TEST(name) static void name(void **unused __attribute__((unused)))

static struct spec_service web(uint32_t replicas, enum spec_pull policy)
{
    struct spec_service s = doc_service("web", "i", replicas);
    s.image.pull = policy;
    return s;
}

static const char *digest(struct rig *r, uint32_t index)
{
    const struct rig_container *c = rig_find(r, "web", index);
    assert_non_null(c);
    return c->digest;
}

static void settle(struct rig *r)
{
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_deployment(r).status, DEP_RUNNING);
}

TEST(replicas_made_later_are_of_the_image_that_the_tag_meant_at_the_deploy)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, web(1, SPEC_PULL_ALWAYS));
    assert_string_equal(digest(r, 1), "i-0");
    r->tag = 1;
    rig_exit(r, "web", 1, 1);
    settle(r);
    assert_string_equal(digest(r, 1), "i-0");
    assert_string_equal(rig_service(r, "web").digest, "i-0");
    assert_string_equal(rig_service(r, "web").previous_digest, "");
    rig_free(r);
}

TEST(scaling_keeps_it_unless_the_policy_wants_the_registry_asked)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, web(1, SPEC_PULL_IF_NOT_PRESENT));
    settle(r);
    r->tag = 1;
    (void)rig_deploy_one(r, web(3, SPEC_PULL_IF_NOT_PRESENT));
    settle(r);
    for (uint32_t k = 1; k <= 3; k++)
        assert_string_equal(digest(r, k), "i-0");
    assert_int_equal(r->asked[EFF_PULL], 1);
    rig_free(r);
}

TEST(a_new_agent_keeps_it_also_when_nothing_runs_any_more)
{
    struct rig *r = rig_new();
    struct spec_service s = web(2, SPEC_PULL_ALWAYS);
    struct spec *spec = doc_new("shop", &s, 1);
    const struct row_service service = { .name = "web", .digest = "i-0", .previous_digest = "old" };
    const struct row_deployment row = {
        .name = "shop", .revision = 1, .spec = spec, .services = &service, .n_services = 1
    };
    struct event end = { .kind = EV_FOUND_END, .found_end.rebooted = true };
    struct zl_error err;
    r->tag = 1;
    assert_int_equal(core_restore(r->core,
                                  &(struct stored_rows){ .deployments = &row, .n_deployments = 1 },
                                  r->now, &err),
                     0);
    (void)rig_tell(r, &end);
    settle(r);
    assert_string_equal(digest(r, 1), "i-0");
    assert_string_equal(digest(r, 2), "i-0");
    assert_string_equal(rig_service(r, "web").previous_digest, "old");
    spec_unref(spec);
    rig_free(r);
}

TEST(it_is_stored_before_anything_is_made_of_it)
{
    struct rig *r = rig_new();
    r->held[EFF_PULL] = true;
    (void)rig_deploy_one(r, web(1, SPEC_PULL_IF_NOT_PRESENT));
    size_t stored = r->asked[EFF_PUT_DEPLOYMENT];
    rig_answer(r, EFF_PULL, NULL);
    assert_int_equal(r->asked[EFF_PUT_DEPLOYMENT], stored + 1);
    assert_string_equal(rig_deployment(r).row->services[0].digest, "i-0");
    rig_free(r);
}

TEST(another_document_settles_it_anew_and_remembers_the_one_before)
{
    struct rig *r = rig_new();
    struct spec_service s = web(2, SPEC_PULL_IF_NOT_PRESENT);
    (void)rig_deploy_one(r, s);
    settle(r);
    r->tag = 1;
    s.network = SPEC_NET_HOST; /* another version of the same image */
    (void)rig_deploy_one(r, s);
    settle(r);
    assert_string_equal(digest(r, 1), "i-1");
    assert_string_equal(digest(r, 2), "i-1");
    assert_string_equal(rig_service(r, "web").previous_digest, "i-0");
    rig_free(r);
}

TEST(always_pulls_and_replaces_with_every_deploy) /* 26 */
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, web(2, SPEC_PULL_ALWAYS));
    settle(r);
    uint64_t before = rig_find(r, "web", 1)->id.v;
    (void)rig_deploy_one(r, web(2, SPEC_PULL_ALWAYS));
    settle(r);
    assert_int_equal(r->asked[EFF_PULL], 2);
    assert_true(rig_find(r, "web", 1)->id.v != before);
    assert_string_equal(digest(r, 1), "i-0");
    r->tag = 1;
    (void)rig_deploy_one(r, web(2, SPEC_PULL_ALWAYS));
    settle(r);
    assert_string_equal(digest(r, 1), "i-1");
    assert_string_equal(digest(r, 2), "i-1");
    assert_int_equal(rig_deployment(r).row->revision, 1);
    rig_free(r);
}

TEST(newer_asks_with_every_deploy_and_replaces_only_what_is_another) /* 26 */
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, web(2, SPEC_PULL_NEWER));
    settle(r);
    uint64_t before = rig_find(r, "web", 1)->id.v;
    (void)rig_deploy_one(r, web(2, SPEC_PULL_NEWER));
    settle(r);
    assert_int_equal(r->asked[EFF_PULL], 2);
    assert_true(rig_find(r, "web", 1)->id.v == before);
    r->tag = 1;
    (void)rig_deploy_one(r, web(2, SPEC_PULL_NEWER));
    settle(r);
    assert_int_equal(r->asked[EFF_PULL], 3);
    assert_string_equal(digest(r, 1), "i-1");
    assert_string_equal(digest(r, 2), "i-1");
    assert_string_equal(rig_service(r, "web").previous_digest, "i-0");
    assert_non_null(strstr(rig_last(r, "image_changed")->text, "i-1"));
    rig_free(r);
}

TEST(a_deploy_is_not_done_before_the_registry_has_answered)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, web(1, SPEC_PULL_NEWER));
    settle(r);
    r->held[EFF_PULL] = true;
    (void)rig_deploy_one(r, web(1, SPEC_PULL_NEWER));
    rig_pass(r, 600 * SECOND);
    assert_int_equal(rig_deployment(r).status, DEP_DEPLOYING);
    assert_true(rig_deployment(r).row->services[0].renew);
    rig_answer(r, EFF_PULL, NULL);
    settle(r);
    assert_false(rig_deployment(r).row->services[0].renew);
    rig_free(r);
}

TEST(what_runs_stays_when_the_registry_does_not_answer)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, web(1, SPEC_PULL_NEWER));
    settle(r);
    uint64_t before = rig_find(r, "web", 1)->id.v;
    r->missing = "i";
    (void)rig_deploy_one(r, web(1, SPEC_PULL_NEWER));
    settle(r);
    assert_true(rig_find(r, "web", 1)->id.v == before);
    assert_non_null(strstr(rig_last(r, "pull_failed")->text, "no such image"));
    r->missing = NULL;
    r->held[EFF_PULL] = true;
    (void)rig_deploy_one(r, web(1, SPEC_PULL_NEWER));
    rig_pass(r, 3601 * SECOND);
    settle(r);
    assert_true(rig_find(r, "web", 1)->id.v == before);
    rig_free(r);
}

TEST(a_rollout_that_fails_returns_to_the_image_before)
{
    struct rig *r = rig_new();
    struct spec_service s = web(1, SPEC_PULL_ALWAYS);
    (void)rig_deploy_one(r, s);
    settle(r);
    r->tag = 1;
    s.network = SPEC_NET_HOST; /* another version of the same image */
    r->unstartable = "web";
    (void)rig_deploy_one(r, s);
    rig_pass(r, 60 * SECOND);
    r->unstartable = NULL;
    assert_int_equal(rig_deployment(r).status, DEP_FAILED);
    rig_exit(r, "web", 1, 1); /* the old one, which is made again */
    rig_pass(r, 60 * SECOND);
    assert_string_equal(digest(r, 1), "i-0");
    rig_free(r);
}

TEST(a_stopped_service_asks_nobody)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, web(1, SPEC_PULL_NEWER));
    settle(r);
    r->held[EFF_PULL] = true;
    (void)rig_deploy_one(r, web(1, SPEC_PULL_NEWER));
    rig_stop(r, "web");
    assert_false(rig_deployment(r).row->services[0].renew);
    r->tag = 1;
    rig_answer(r, EFF_PULL, NULL);
    assert_string_equal(rig_service(r, "web").digest, "i-0");
    rig_free(r);
}

/* ---- jobs --------------------------------------------------------------------------------- */

static struct spec_service job(enum spec_pull policy)
{
    struct spec_service s = doc_job("report", "i");
    s.image.pull = policy;
    return s;
}

/* Which image the next execution is made from, and recorded with. */
static const char *run(struct rig *r)
{
    static char made_of[CORE_DIGEST_MAX];
    uint64_t id = rig_run_job(r, "report");
    assert_int_equal(rig_execution(r, id).status, EXEC_RUNNING);
    assert_int_equal(r->n_containers, 1);
    (void)snprintf(made_of, sizeof made_of, "%s", r->containers[0].digest);
    assert_string_equal(rig_execution(r, id).digest, made_of);
    struct event ev = { .kind = EV_EXIT, .exit = { r->containers[0].id, { .code = 0 } } };
    (void)rig_tell(r, &ev);
    assert_string_equal(rig_execution(r, id).digest, made_of);
    return made_of;
}

TEST(executions_are_of_the_image_that_the_first_of_the_revision_found)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, job(SPEC_PULL_IF_NOT_PRESENT));
    assert_string_equal(run(r), "i-0");
    r->tag = 1;
    assert_string_equal(run(r), "i-0");
    (void)rig_deploy_one(r, job(SPEC_PULL_IF_NOT_PRESENT)); /* changes nothing */
    assert_string_equal(run(r), "i-0");
    assert_string_equal(rig_service(r, "report").digest, "i-0");

    struct spec_service changed = job(SPEC_PULL_IF_NOT_PRESENT);
    changed.network = SPEC_NET_HOST;
    (void)rig_deploy_one(r, changed);
    assert_string_equal(run(r), "i-1");
    assert_string_equal(rig_service(r, "report").previous_digest, "i-0");
    rig_free(r);
}

TEST(with_always_and_newer_each_execution_asks)
{
    static const enum spec_pull policies[] = { SPEC_PULL_ALWAYS, SPEC_PULL_NEWER };
    for (size_t i = 0; i < ZL_ARRAY_LEN(policies); i++) {
        struct rig *r = rig_new();
        (void)rig_deploy_one(r, job(policies[i]));
        assert_string_equal(run(r), "i-0");
        r->tag = 1;
        assert_string_equal(run(r), "i-1");
        assert_string_equal(rig_service(r, "report").digest, "i-1");
        assert_string_equal(rig_service(r, "report").previous_digest, "i-0");
        rig_free(r);
    }
}

TEST(executions_that_begin_together_are_of_one_image)
{
    struct rig *r = rig_new();
    (void)rig_deploy_one(r, job(SPEC_PULL_IF_NOT_PRESENT));
    r->held[EFF_PULL] = true;
    uint64_t first = rig_run_job(r, "report"), second = rig_run_job(r, "report");
    r->held[EFF_PULL] = false;
    rig_settle(r);
    assert_string_equal(rig_execution(r, first).digest, "i-0");
    assert_string_equal(rig_execution(r, second).digest, "i-0");
    assert_int_equal(r->n_containers, 2);
    assert_string_equal(r->containers[0].digest, r->containers[1].digest);
    rig_free(r);
}

TEST(a_new_agent_makes_executions_of_what_was_recorded)
{
    struct rig *r = rig_new();
    struct spec_service s = job(SPEC_PULL_IF_NOT_PRESENT);
    struct spec *spec = doc_new("shop", &s, 1);
    const struct row_service service = { .name = "report", .digest = "i-0" };
    const struct row_deployment row = {
        .name = "shop", .revision = 1, .spec = spec, .services = &service, .n_services = 1
    };
    const struct row_execution old = { .id = 7,
                                       .deployment = "shop",
                                       .job = "report",
                                       .revision = 1,
                                       .status = EXEC_COMPLETED,
                                       .reason = "",
                                       .digest = "older",
                                       .created_ms = 1,
                                       .started_ms = 1,
                                       .finished_ms = r->now.wall_ms };
    const struct stored_rows rows = {
        .deployments = &row, .n_deployments = 1, .executions = &old, .n_executions = 1
    };
    struct event end = { .kind = EV_FOUND_END };
    struct zl_error err;
    r->tag = 1;
    assert_int_equal(core_restore(r->core, &rows, r->now, &err), 0);
    (void)rig_tell(r, &end);
    assert_string_equal(rig_execution(r, 7).digest, "older");
    assert_string_equal(run(r), "i-0");
    spec_unref(spec);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_made_later_are_of_the_image_that_the_tag_meant_at_the_deploy),
        cmocka_unit_test(scaling_keeps_it_unless_the_policy_wants_the_registry_asked),
        cmocka_unit_test(a_new_agent_keeps_it_also_when_nothing_runs_any_more),
        cmocka_unit_test(it_is_stored_before_anything_is_made_of_it),
        cmocka_unit_test(another_document_settles_it_anew_and_remembers_the_one_before),
        cmocka_unit_test(always_pulls_and_replaces_with_every_deploy),
        cmocka_unit_test(newer_asks_with_every_deploy_and_replaces_only_what_is_another),
        cmocka_unit_test(a_deploy_is_not_done_before_the_registry_has_answered),
        cmocka_unit_test(what_runs_stays_when_the_registry_does_not_answer),
        cmocka_unit_test(a_rollout_that_fails_returns_to_the_image_before),
        cmocka_unit_test(a_stopped_service_asks_nobody),
        cmocka_unit_test(executions_are_of_the_image_that_the_first_of_the_revision_found),
        cmocka_unit_test(with_always_and_newer_each_execution_asks),
        cmocka_unit_test(executions_that_begin_together_are_of_one_image),
        cmocka_unit_test(a_new_agent_makes_executions_of_what_was_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
