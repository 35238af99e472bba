// SPDX-License-Identifier: Apache-2.0
/* A new agent: what was stored meets what is found. Numbers are items of the acceptance list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

enum { SECOND = 1000 };

#define TEST(name) static void name(void **unused __attribute__((unused)))

/* A deployment of s alone is as asked for; *ret_spec is its document, for the store. */
static struct rig *deployed(struct spec_service s, struct spec **ret_spec)
{
    struct rig *r = rig_new();
    *ret_spec = doc_new("shop", &s, 1);
    (void)rig_deploy_one(r, s);
    return r;
}

static void finish(struct rig *r, struct spec *spec)
{
    spec_unref(spec);
    rig_free(r);
}

/* The agent of r is replaced by one that is told these rows. */
static void restart(struct rig *r, const struct stored_rows *rows)
{
    struct zl_error err;
    core_free(r->core);
    r->core = core_new(NULL);
    assert_non_null(r->core);
    assert_int_equal(core_restore(r->core, rows, r->now, &err), 0);
    r->n_open = 0;
}

static void restart_with(struct rig *r, struct spec *spec, bool removing)
{
    const struct row_deployment row = {
        .name = "shop", .revision = 1, .spec = spec, .removing = removing
    };
    restart(r, &(struct stored_rows){ .deployments = &row, .n_deployments = 1 });
}

static void tell_found(struct rig *r, const struct rig_container *c, enum found_state state,
                       int code)
{
    struct event ev = { .kind = EV_FOUND };
    ev.found.id = c->id;
    ev.found.label = (struct inst_label){ c->owner,   c->owner == OWNER_STANDALONE ? "-" : "shop",
                                          c->service, "default",
                                          c->index,   c->execution,
                                          c->hash };
    ev.found.state = state;
    ev.found.exit.code = code;
    (void)rig_tell(r, &ev);
    assert_int_equal(r->out.n, 0); /* nothing before all were found */
}

static void found_end(struct rig *r, bool rebooted)
{
    struct event ev = { .kind = EV_FOUND_END, .found_end.rebooted = rebooted };
    (void)rig_tell(r, &ev);
}

static void find_all(struct rig *r, bool rebooted)
{
    for (size_t i = 0; i < r->n_containers; i++)
        tell_found(r, &r->containers[i], r->containers[i].ended ? FOUND_EXITED : FOUND_RUNNING, 1);
    found_end(r, rebooted);
}

TEST(living_containers_are_adopted_and_nothing_is_started) /* 39, W-34 */
{
    struct spec *spec;
    struct rig *r = deployed(doc_checked("web", "i", 3), &spec);
    size_t made = r->n_made;
    restart_with(r, spec, false);
    find_all(r, false);
    rig_pass(r, 60 * SECOND);
    assert_int_equal(r->n_made, made);
    assert_int_equal(r->asked[EFF_STOP], 0);
    assert_int_equal(rig_deployment(r).status, DEP_RUNNING);
    assert_int_equal(rig_service(r, "web").healthy, 3);
    finish(r, spec);
}

TEST(users_are_refused_until_all_is_found)
{
    struct rig *r = rig_new();
    struct stored_rows none = { 0 };
    restart(r, &none);
    assert_int_equal(rig_deploy_one(r, doc_service("web", "i", 1)), ZL_ERR_CONFLICT);
    found_end(r, false);
    assert_int_equal(rig_deploy_one(r, doc_service("web", "i", 1)), ZL_OK);
    assert_int_equal(rig_running(r, "web"), 1);
    rig_free(r);
}

TEST(a_replica_that_is_gone_is_made_again_in_its_slot) /* 11 */
{
    struct spec *spec;
    struct rig *r = deployed(doc_service("web", "i", 3), &spec);
    *rig_find(r, "web", 2) = r->containers[--r->n_containers]; /* removed by hand */
    restart_with(r, spec, false);
    find_all(r, false);
    assert_int_equal(rig_running(r, "web"), 3);
    assert_int_equal(r->made[r->n_made - 1].index, 2);
    finish(r, spec);
}

TEST(an_exit_that_happened_meanwhile_is_judged_as_any_other)
{
    struct spec *spec;
    struct rig *r = deployed(doc_service("web", "i", 1), &spec);
    restart_with(r, spec, false);
    tell_found(r, &r->containers[0], FOUND_EXITED, 3);
    found_end(r, false);
    rig_pass(r, 0);
    assert_int_equal(rig_running(r, "web"), 1);
    assert_string_equal(rig_last(r, "restart")->text, "web-1: exit code 3; restart 1 in 0 ms");
    finish(r, spec);
}

/* What the store has of "web", and an agent that starts anew with it. */
static void restart_as_stored(struct rig *r, struct spec *spec, bool rebooted)
{
    struct row_service web = rig_deployment(r).row->services[0];
    struct row_attempts attempts[4];
    assert_in_range(web.n_attempts, 0, 4);
    if (web.n_attempts)
        memcpy(attempts, web.attempts, web.n_attempts * sizeof *attempts);
    web.name = "web";
    web.digest = web.previous_digest = "";
    web.attempts = attempts;
    const struct row_deployment row = {
        .name = "shop", .revision = 1, .spec = spec, .services = &web, .n_services = 1
    };
    restart(r, &(struct stored_rows){ .deployments = &row, .n_deployments = 1 });
    find_all(r, rebooted);
}

static struct spec_service three_attempts(void)
{
    struct spec_service s = doc_service("web", "i", 1);
    s.restart = (struct spec_restart_policy){ .kind = SPEC_RESTART_ON_FAILURE, .max_attempts = 3 };
    return s;
}

static void crash(struct rig *r)
{
    rig_exit(r, "web", 1, 1);
    rig_pass(r, 60 * SECOND);
}

TEST(attempts_that_are_used_up_stay_so_for_a_new_agent)
{
    struct spec *spec;
    struct rig *r = deployed(three_attempts(), &spec);
    for (int i = 0; i < 4; i++)
        crash(r);
    assert_int_equal(r->n_made, 4);
    for (int agents = 0; agents < 3; agents++) {
        restart_as_stored(r, spec, false);
        rig_pass(r, 600 * SECOND);
        assert_int_equal(r->n_made, 4);
        assert_true(rig_slot(r, "web", 1).ended);
    }
    finish(r, spec);
}

TEST(a_new_agent_goes_on_counting_attempts_and_counts_an_end_once)
{
    struct spec *spec;
    struct rig *r = deployed(three_attempts(), &spec);
    crash(r);
    r->held[EFF_REMOVE] = true; /* the agent dies before what ended is removed */
    rig_exit(r, "web", 1, 1);
    restart_as_stored(r, spec, false);
    r->held[EFF_REMOVE] = false;
    rig_pass(r, 600 * SECOND);
    assert_int_equal(rig_deployment(r).row->services[0].attempts[0].attempts, 2);
    crash(r);
    assert_int_equal(rig_running(r, "web"), 1); /* by the third and last */
    crash(r);
    assert_int_equal(rig_running(r, "web"), 0);
    assert_true(rig_slot(r, "web", 1).ended);
    finish(r, spec);
}

TEST(a_deploy_and_a_boot_give_all_attempts_again)
{
    struct spec_service s = three_attempts();
    struct spec *spec;
    struct rig *r = deployed(s, &spec);
    for (int i = 0; i < 4; i++)
        crash(r);
    assert_int_equal(rig_deployment(r).row->services[0].n_attempts, 1);
    s.full_hash++;
    (void)rig_deploy_one(r, s);
    assert_int_equal(rig_deployment(r).row->services[0].n_attempts, 0);
    crash(r);
    assert_int_equal(rig_deployment(r).row->services[0].n_attempts, 1);
    r->n_containers = 0;
    restart_as_stored(r, spec, true);
    assert_int_equal(rig_deployment(r).row->services[0].n_attempts, 0);
    finish(r, spec);
}

TEST(a_completed_replica_is_still_completed)
{
    struct spec *spec;
    struct rig *r = deployed(doc_service("web", "i", 1), &spec);
    rig_exit(r, "web", 1, 0);
    restart_with(r, spec, false);
    tell_found(r, &r->containers[0], FOUND_EXITED, 0);
    found_end(r, false);
    rig_pass(r, 3600 * SECOND);
    assert_int_equal(r->n_made, 1);
    assert_true(rig_slot(r, "web", 1).ended);
    finish(r, spec);
}

TEST(another_version_is_rolled_one_after_the_other)
{
    struct rig *r = rig_new();
    struct spec_service old = doc_checked("web", "one", 2), now = doc_checked("web", "two", 2);
    struct spec *spec = doc_new("shop", &now, 1);
    (void)rig_deploy_one(r, old);
    restart_with(r, spec, false);
    find_all(r, false);
    for (int i = 0; i < 150; i++) {
        rig_pass(r, 100);
        assert_true(rig_running(r, "web") >= 2);
    }
    assert_int_equal(rig_find(r, "web", 1)->hash, spec->services[0].container_hash);
    assert_int_equal(rig_find(r, "web", 2)->hash, spec->services[0].container_hash);
    assert_int_equal(r->n_containers, 2);
    finish(r, spec);
}

TEST(of_two_in_one_slot_the_running_one_of_the_present_version_stays)
{
    struct spec *spec;
    struct rig *r = deployed(doc_service("web", "i", 1), &spec);
    struct inst_id mine = r->containers[0].id;
    struct rig_container other = r->containers[0];
    other.id.v ^= 1;
    other.hash ^= 2;
    memmove(&r->containers[1], &r->containers[0], sizeof other);
    r->containers[0] = other; /* found first */
    r->n_containers = 2;
    restart_with(r, spec, false);
    find_all(r, false);
    assert_int_equal(r->n_containers, 1);
    assert_int_equal(r->containers[0].id.v, mine.v);
    finish(r, spec);
}

TEST(what_nobody_wants_is_stopped_and_removed)
{
    struct rig *r = rig_new();
    struct stored_rows none = { 0 };
    (void)rig_deploy_one(r, doc_service("web", "i", 2));
    (void)rig_run(r, "one", "i", false);
    restart(r, &none);
    find_all(r, false);
    assert_int_equal(r->n_containers, 0);
    assert_int_equal(r->asked[EFF_STOP], 3);
    rig_free(r);
}

TEST(a_removal_that_had_begun_is_finished)
{
    struct spec *spec;
    struct rig *r = deployed(doc_service("web", "i", 2), &spec);
    restart_with(r, spec, true);
    find_all(r, false);
    assert_int_equal(r->n_containers, 0);
    assert_int_equal(r->asked[EFF_DEL_DEPLOYMENT], 1);
    finish(r, spec);
}

TEST(a_stopped_service_is_not_started_by_a_new_agent) /* 107 */
{
    static const struct row_service stopped = { .name = "web", .created_ms = 1, .stopped = true };
    struct rig *r = rig_new();
    struct spec_service s = doc_service("web", "i", 2);
    struct spec *spec = doc_new("shop", &s, 1);
    const struct row_deployment row = {
        .name = "shop", .revision = 1, .spec = spec, .services = &stopped, .n_services = 1
    };
    restart(r, &(struct stored_rows){ .deployments = &row, .n_deployments = 1 });
    found_end(r, false);
    assert_int_equal(r->n_made, 0);
    assert_string_equal(rig_service(r, "web").status, "stopped");
    finish(r, spec);
}

TEST(an_age_counts_from_the_deploy_and_not_from_the_start_of_the_agent)
{
    struct rig *r = rig_new();
    struct spec_service list[] = { doc_service("db", "i", 1), doc_service("web", "i", 1) };
    struct spec *spec = doc_new("shop", list, 2);
    (void)rig_deploy(r, list, 1);
    int64_t first = rig_service(r, "db").created_ms;
    rig_pass(r, 3600 * SECOND);
    (void)rig_deploy(r, list, 2);
    int64_t later = rig_service(r, "web").created_ms;
    assert_int_equal(later - first, 3600 * SECOND);
    struct row_service services[2]; /* as the store has them; the rows die with the core */
    memcpy(services, rig_deployment(r).row->services, sizeof services);
    services[0].name = "db";
    services[1].name = "web";
    for (int i = 0; i < 2; i++)
        services[i].digest = services[i].previous_digest = "";
    const struct row_deployment row = { .name = "shop",
                                        .revision = 2,
                                        .spec = spec,
                                        .created_ms = first,
                                        .services = services,
                                        .n_services = 2 };
    restart(r, &(struct stored_rows){ .deployments = &row, .n_deployments = 1 });
    find_all(r, false);
    rig_pass(r, 60 * SECOND);
    assert_int_equal(rig_service(r, "db").created_ms, first);
    assert_int_equal(rig_service(r, "web").created_ms, later);
    finish(r, spec);
}

TEST(a_found_container_is_as_old_as_it_is)
{
    struct spec *spec;
    struct rig *r = deployed(doc_service("web", "i", 1), &spec);
    int64_t made = rig_slot(r, "web", 1).created_ms;
    rig_pass(r, 3600 * SECOND);
    restart_with(r, spec, false);
    struct event ev = { .kind = EV_FOUND,
                        .found = { .id = r->containers[0].id,
                                   .label = { OWNER_REPLICA, "shop", "web", "default", 1, 0,
                                              r->containers[0].hash },
                                   .state = FOUND_RUNNING,
                                   .created_wall_ms = made } };
    (void)rig_tell(r, &ev);
    found_end(r, false);
    assert_int_equal(rig_slot(r, "web", 1).created_ms, made);
    finish(r, spec);
}

TEST(after_a_reboot_replicas_start_by_the_graph)
{
    struct rig *r = rig_new();
    const struct spec_depends on_db = { "db", 0, SPEC_HEALTHY, 300 * SECOND, SPEC_TIMEOUT_FAIL };
    struct spec_service list[] = { doc_checked("db", "i", 1), doc_service("web", "i", 1) };
    list[1].depends = &on_db;
    list[1].n_depends = 1;
    struct spec *spec = doc_new("shop", list, 2);
    r->held[EFF_PROBE] = true;
    restart_with(r, spec, false);
    found_end(r, true);
    assert_int_equal(r->n_made, 1);
    rig_answer(r, EFF_PROBE, NULL);
    assert_int_equal(rig_running(r, "web"), 1);
    finish(r, spec);
}

TEST(one_deployment_with_a_vanished_image_does_not_keep_the_others_down) /* 40 */
{
    struct rig *r = rig_new();
    struct spec_service bad = doc_service("web", "gone", 1), good = doc_service("db", "i", 1);
    struct spec *specs[] = { doc_new("blog", &bad, 1), doc_new("shop", &good, 1) };
    const struct row_deployment rows[] = { { .name = "blog", .revision = 1, .spec = specs[0] },
                                           { .name = "shop", .revision = 1, .spec = specs[1] } };
    r->missing = "gone";
    restart(r, &(struct stored_rows){ .deployments = rows, .n_deployments = 2 });
    found_end(r, true);
    assert_int_equal(rig_running(r, "db"), 1);
    spec_unref(specs[0]);
    spec_unref(specs[1]);
    rig_free(r);
}

/* ---- executions --------------------------------------------------------------------------- */

static struct row_execution restored(enum execution_status status,
                                     const struct rig_container *found, enum found_state state,
                                     int code, bool rebooted)
{
    struct rig *r = rig_new();
    struct spec_service s = doc_job("report", "j");
    struct spec *spec = doc_new("shop", &s, 1);
    const struct row_deployment row = { .name = "shop", .revision = 1, .spec = spec };
    const struct row_execution stored = { .id = 77,
                                          .deployment = "shop",
                                          .job = "report",
                                          .revision = 1,
                                          .status = status,
                                          .reason = "",
                                          .exit_code = -1,
                                          .started_ms = status == EXEC_RUNNING ? 5 : 0 };
    static char reason[64];
    restart(r, &(struct stored_rows){ &row, &stored, NULL, 1, 1, 0 });
    if (found)
        tell_found(r, found, state, code);
    r->held[EFF_CREATE] = true; /* whatever is begun now stays pending */
    found_end(r, rebooted);
    struct row_execution x = rig_execution(r, 77);
    assert_int_equal(x.id, 77);
    strncpy(reason, x.reason, sizeof reason - 1);
    x.reason = reason;
    spec_unref(spec);
    rig_free(r);
    return x;
}

TEST(an_execution_takes_the_end_that_is_known_or_is_lost) /* 80, ARCHITECTURE 6 */
{
    static const struct rig_container c = {
        .id = { 5 }, .owner = OWNER_EXECUTION, .service = "report", .execution = 77
    };
    static const struct {
        enum execution_status before;
        bool found;
        enum found_state state;
        int code;
        bool rebooted;
        enum execution_status after;
        const char *reason;
    } cases[] = {
        { EXEC_RUNNING, true, FOUND_RUNNING, 0, false, EXEC_RUNNING, "" },
        { EXEC_PENDING, true, FOUND_RUNNING, 0, false, EXEC_RUNNING, "" },
        { EXEC_RUNNING, true, FOUND_EXITED, 0, false, EXEC_COMPLETED, "" },
        { EXEC_RUNNING, true, FOUND_EXITED, 4, true, EXEC_FAILED, "exit code 4" },
        { EXEC_PENDING, true, FOUND_EXITED, 0, false, EXEC_COMPLETED, "" },
        { EXEC_RUNNING, false, FOUND_DEBRIS, 0, false, EXEC_FAILED,
          "lost: nothing is known of its end" },
        { EXEC_RUNNING, true, FOUND_DEBRIS, 0, true, EXEC_FAILED, "host restarted" },
        { EXEC_PENDING, true, FOUND_DEBRIS, 0, false, EXEC_FAILED,
          "lost: nothing is known of its end" },
        { EXEC_PENDING, false, FOUND_DEBRIS, 0, true, EXEC_FAILED, "host restarted" },
        { EXEC_PENDING, false, FOUND_DEBRIS, 0, false, EXEC_PENDING, "" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        struct row_execution x = restored(cases[i].before, cases[i].found ? &c : NULL,
                                          cases[i].state, cases[i].code, cases[i].rebooted);
        assert_int_equal(x.status, cases[i].after);
        assert_string_equal(x.reason, cases[i].reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(living_containers_are_adopted_and_nothing_is_started),
        cmocka_unit_test(users_are_refused_until_all_is_found),
        cmocka_unit_test(a_replica_that_is_gone_is_made_again_in_its_slot),
        cmocka_unit_test(an_exit_that_happened_meanwhile_is_judged_as_any_other),
        cmocka_unit_test(attempts_that_are_used_up_stay_so_for_a_new_agent),
        cmocka_unit_test(a_new_agent_goes_on_counting_attempts_and_counts_an_end_once),
        cmocka_unit_test(a_deploy_and_a_boot_give_all_attempts_again),
        cmocka_unit_test(a_completed_replica_is_still_completed),
        cmocka_unit_test(another_version_is_rolled_one_after_the_other),
        cmocka_unit_test(of_two_in_one_slot_the_running_one_of_the_present_version_stays),
        cmocka_unit_test(what_nobody_wants_is_stopped_and_removed),
        cmocka_unit_test(a_removal_that_had_begun_is_finished),
        cmocka_unit_test(a_stopped_service_is_not_started_by_a_new_agent),
        cmocka_unit_test(an_age_counts_from_the_deploy_and_not_from_the_start_of_the_agent),
        cmocka_unit_test(a_found_container_is_as_old_as_it_is),
        cmocka_unit_test(after_a_reboot_replicas_start_by_the_graph),
        cmocka_unit_test(one_deployment_with_a_vanished_image_does_not_keep_the_others_down),
        cmocka_unit_test(an_execution_takes_the_end_that_is_known_or_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
