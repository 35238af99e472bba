// SPDX-License-Identifier: Apache-2.0
/* When crons run. Numbers are items of the acceptance list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"
#include "spec/time/cron.h"
#include "spec/time/zonefile.h"

#define TEST(name) static void name(void **unused __attribute__((unused)))
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* 2026-01-01T00:00:00Z, a Thursday */
#define NEW_YEAR (INT64_C(1767225600) * SECOND)

static struct rig *rig_at(int64_t wall_ms)
{
    struct rig *r = rig_new();
    r->now.wall_ms = wall_ms;
    return r;
}

static void deploy(struct rig *r, const char *schedule, const struct spec_schedule_options *o)
{
    assert_int_equal(rig_deploy_one(r, doc_cron("tidy", "ok", schedule, o)), ZL_OK);
}

struct cron_search {
    struct view_cron found;
    bool has;
};

static bool take_cron(void *arg, const struct view_cron *v)
{
    struct cron_search *s = arg;
    s->found = *v;
    s->has = true;
    return false;
}

static struct view_cron look(const struct rig *r)
{
    struct cron_search s = { .has = false };
    core_each_cron(r->core, "shop", take_cron, &s);
    assert_true(s.has);
    return s.found;
}

static bool count_cron(void *arg, const struct view_cron *v)
{
    (void)v;
    ++*(size_t *)arg;
    return true;
}

static size_t look_count(const struct rig *r)
{
    size_t n = 0;
    core_each_cron(r->core, NULL, count_cron, &n);
    return n;
}

static bool count_one(void *arg, const struct row_execution *x)
{
    (void)x;
    ++*(size_t *)arg;
    return true;
}

static size_t executions(const struct rig *r)
{
    size_t n = 0;
    core_each_execution(r->core, "shop", "tidy", count_one, &n);
    return n;
}

struct by_due {
    int64_t due_ms;
    struct row_execution found;
    size_t n;
};

static bool is_due(void *arg, const struct row_execution *x)
{
    struct by_due *s = arg;
    if (x->due_ms == s->due_ms) {
        s->found = *x;
        s->n++;
    }
    return true;
}

/* The only one of that due time. */
static struct row_execution run_of(const struct rig *r, int64_t due_ms)
{
    struct by_due s = { .due_ms = due_ms };
    core_each_execution(r->core, "shop", "tidy", is_due, &s);
    assert_int_equal(s.n, 1);
    return s.found;
}

static void end_all(struct rig *r)
{
    while (rig_running(r, "tidy"))
        rig_exit(r, "tidy", 0, 0);
}

static void rig_exit_of(struct rig *r, uint64_t execution)
{
    struct event ev = { .kind = EV_EXIT, .exit = { { 0 }, { .code = 143 } } };
    for (size_t i = 0; i < r->n_containers; i++)
        if (r->containers[i].execution == execution)
            ev.exit.id = r->containers[i].id;
    (void)rig_tell(r, &ev);
}

static void set_enabled(struct rig *r, bool enabled)
{
    struct event ev = { .kind = EV_CRON_SET, .cron_set = { NULL, "tidy", enabled } };
    assert_int_equal(rig_tell(r, &ev), ZL_OK);
}

/* ---- a new agent -------------------------------------------------------------------------- */

struct kept {
    struct row_execution executions[32];
    char reasons[32][128], digests[32][CORE_DIGEST_MAX];
    size_t n;
};

static bool keep_execution(void *arg, const struct row_execution *x)
{
    struct kept *k = arg;
    assert_true(k->n < 32);
    k->executions[k->n] = *x;
    k->executions[k->n].deployment = "shop";
    k->executions[k->n].job = "tidy";
    (void)snprintf(k->reasons[k->n], sizeof k->reasons[k->n], "%s", x->reason);
    k->executions[k->n].reason = k->reasons[k->n];
    (void)snprintf(k->digests[k->n], sizeof k->digests[k->n], "%s", x->digest);
    k->executions[k->n].digest = k->digests[k->n];
    k->n++;
    return true;
}

static void tell_found(struct rig *r, const struct rig_container *c)
{
    struct event ev = { .kind = EV_FOUND };
    ev.found.id = c->id;
    ev.found.label = (struct inst_label){ c->owner, "shop",       c->service, "default",
                                          c->index, c->execution, c->hash };
    ev.found.state = c->ended ? FOUND_EXITED : FOUND_RUNNING;
    (void)rig_tell(r, &ev);
}

/* The agent is gone for so long; its host has its own idea of the time. */
static void restart_after(struct rig *r, const struct spec_schedule_options *o,
                          const char *schedule, int64_t ms)
{
    struct row_cron cron = *look(r).row;
    struct spec_service service = doc_cron("tidy", "ok", schedule, o);
    struct spec *spec = doc_new("shop", &service, 1);
    const struct row_service named = { .name = "tidy" };
    const struct row_deployment row = {
        .name = "shop", .revision = 1, .spec = spec, .services = &named, .n_services = 1
    };
    struct kept kept = { .n = 0 };
    struct zl_error err;
    core_each_execution(r->core, "shop", "tidy", keep_execution, &kept);
    cron.deployment = "shop";
    cron.cron = "tidy";
    core_free(r->core);
    r->core = core_new(NULL);
    r->n_open = 0;
    r->now.mono_ms += (uint64_t)(ms > 0 ? ms : 0);
    r->now.wall_ms += ms;
    const struct stored_rows rows = { .deployments = &row,
                                      .n_deployments = 1,
                                      .executions = kept.executions,
                                      .n_executions = kept.n,
                                      .crons = &cron,
                                      .n_crons = 1 };
    assert_int_equal(core_restore(r->core, &rows, r->now, &err), 0);
    for (size_t i = 0; i < r->n_containers; i++)
        tell_found(r, &r->containers[i]);
    struct event ev = { .kind = EV_FOUND_END };
    (void)rig_tell(r, &ev);
    spec_unref(spec);
}

/* ---- in time ------------------------------------------------------------------------------ */

TEST(it_runs_at_its_times_and_not_when_it_is_deployed)
{
    struct rig *r = rig_at(NEW_YEAR + 500);
    deploy(r, "0 */10 * * * *", NULL);
    assert_int_equal(executions(r), 0);
    assert_int_equal(look(r).next_ms, NEW_YEAR + 10 * MINUTE);
    rig_pass(r, (uint64_t)(10 * MINUTE - 501));
    assert_int_equal(executions(r), 0);
    rig_pass(r, 1);
    struct row_execution x = run_of(r, NEW_YEAR + 10 * MINUTE);
    assert_int_equal(x.status, EXEC_RUNNING);
    assert_int_equal(x.cause, CAUSE_SCHEDULE);
    assert_int_equal(look(r).row->last_execution, x.id);
    assert_int_equal(look(r).next_ms, NEW_YEAR + 20 * MINUTE);
    end_all(r);
    assert_int_equal(look(r).last.status, EXEC_COMPLETED);
    rig_pass(r, (uint64_t)DAY);
    assert_int_equal(look(r).row->runs + look(r).row->skipped, 145);
    rig_free(r);
}

TEST(a_zone_is_kept_to_through_both_changes_of_the_clock)
{
    struct tz *berlin = NULL;
    struct zl_error err;
    assert_int_equal(tz_load(TZ_DIR, "Europe/Berlin", &berlin, &err), 0);
    const struct spec_schedule_options o = { .time_zone = "Europe/Berlin",
                                             .zone = berlin,
                                             .overlap = SPEC_OVERLAP_ALLOW,
                                             .catch_up_window_ms = 1 };
    const int64_t march = INT64_C(1774741200),
                  october = INT64_C(1792886400); /* 00:00 in Berlin + 1 h */
    struct rig *r = rig_at(march * SECOND);
    deploy(r, "0 30 2 * * *", &o); /* skipped on 29 March: at 03:00, which is 01:00Z */
    rig_pass(r, (uint64_t)(20 * HOUR));
    assert_int_equal(executions(r), 1);
    (void)run_of(r, INT64_C(1774746000) * SECOND);
    rig_set_clock(r, october * SECOND); /* shown twice on 25 October: at the first, 00:30Z */
    rig_pass(r, (uint64_t)(20 * HOUR));
    (void)run_of(r, INT64_C(1792888200) * SECOND);
    rig_free(r);
    tz_free(berlin);
}

TEST(a_zone_without_a_table_does_not_run_by_another)
{
    const struct spec_schedule_options o = { .time_zone = "Europe/Berlin" };
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "* * * * * *", &o);
    rig_pass(r, (uint64_t)HOUR);
    assert_int_equal(executions(r), 0);
    assert_string_equal(look(r).why, "this host has no table of its time zone");
    rig_free(r);
}

TEST(jitter_delays_by_less_than_the_distance_and_the_same_after_a_restart)
{
    const struct spec_schedule_options o = { .time_zone = "UTC",
                                             .catch_up_window_ms = (uint64_t)HOUR,
                                             .jitter_ms = (uint64_t)DAY };
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 0 * * * *", &o);
    int64_t first = look(r).next_ms;
    assert_in_range(first, NEW_YEAR + HOUR, NEW_YEAR + 2 * HOUR - 1);
    restart_after(r, &o, "0 0 * * * *", SECOND);
    assert_int_equal(look(r).next_ms, first);
    rig_pass(r, (uint64_t)(first - r->now.wall_ms));
    assert_int_equal(executions(r), 1);
    (void)run_of(r, NEW_YEAR + HOUR);
    end_all(r);
    int64_t second = look(r).next_ms;
    assert_in_range(second, NEW_YEAR + 2 * HOUR, NEW_YEAR + 3 * HOUR - 1);
    assert_int_not_equal(second - first, HOUR);
    rig_free(r);
}

/* ---- late --------------------------------------------------------------------------------- */

/* 86 */
TEST(a_jump_of_the_clock_over_five_is_one_run)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 */10 * * * *", NULL);
    rig_set_clock(r, NEW_YEAR + 55 * MINUTE);
    assert_int_equal(executions(r), 1);
    (void)run_of(r, NEW_YEAR + 50 * MINUTE);
    assert_int_equal(look(r).row->missed, 4);
    assert_string_equal(rig_last(r, "cron_missed")->text,
                        "tidy: 4 runs up to that of 2026-01-01T00:40:00Z were missed, and not "
                        "made up for");
    assert_string_equal(rig_last(r, "cron_run")->text,
                        "tidy: the run of 2026-01-01T00:50:00Z, late");
    assert_int_equal(look(r).next_ms, NEW_YEAR + HOUR);
    rig_free(r);
}

/* 86: what is older than the window is counted */
TEST(a_downtime_over_five_is_one_run_when_the_last_is_young_and_none_when_it_is_not)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 0 0-5 * * *", NULL);
    restart_after(r, NULL, "0 0 0-5 * * *", 5 * HOUR + 30 * MINUTE);
    assert_int_equal(executions(r), 1);
    (void)run_of(r, NEW_YEAR + 5 * HOUR);
    assert_int_equal(look(r).row->missed, 4);
    end_all(r);
    restart_after(r, NULL, "0 0 0-5 * * *", DAY + HOUR);
    assert_int_equal(executions(r), 1);
    assert_int_equal(look(r).row->missed, 10);
    rig_free(r);
}

TEST(catch_up_none_runs_what_is_a_little_late_only)
{
    const struct spec_schedule_options o = { .time_zone = "UTC",
                                             .catch_up = SPEC_CATCH_UP_NONE,
                                             .catch_up_window_ms = (uint64_t)HOUR };
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 */10 * * * *", &o);
    rig_set_clock(r, NEW_YEAR + 10 * MINUTE + 10 * SECOND);
    (void)run_of(r, NEW_YEAR + 10 * MINUTE);
    end_all(r);
    rig_set_clock(r, NEW_YEAR + 20 * MINUTE + 10 * SECOND + 1);
    assert_int_equal(executions(r), 1);
    assert_int_equal(look(r).row->missed, 1);
    rig_free(r);
}

TEST(catch_up_all_runs_them_one_after_another)
{
    const struct spec_schedule_options o = { .time_zone = "UTC",
                                             .catch_up = SPEC_CATCH_UP_ALL,
                                             .catch_up_window_ms = (uint64_t)HOUR };
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 */10 * * * *", &o);
    restart_after(r, &o, "0 */10 * * * *", 95 * MINUTE);
    assert_int_equal(executions(r), 6); /* 00:40 to 01:30 */
    assert_int_equal(look(r).row->missed, 3);
    for (int64_t due = 40; due <= 90; due += 10) {
        assert_int_equal(rig_running(r, "tidy"), 1);
        assert_int_equal(run_of(r, NEW_YEAR + due * MINUTE).status, EXEC_RUNNING);
        rig_exit(r, "tidy", 0, 0);
    }
    assert_int_equal(rig_running(r, "tidy"), 0);
    rig_free(r);
}

TEST(all_that_was_missed_in_a_year_is_counted_up_to_a_thousand)
{
    const struct spec_schedule_options o = { .time_zone = "UTC",
                                             .catch_up = SPEC_CATCH_UP_ALL,
                                             .overlap = SPEC_OVERLAP_ALLOW,
                                             .catch_up_window_ms = (uint64_t)(365 * DAY) };
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 * * * * *", &o);
    r->held[EFF_PULL] = true;
    rig_set_clock(r, NEW_YEAR + 300 * DAY);
    assert_int_equal(executions(r), 100);
    assert_int_equal(look(r).row->missed, 1000);
    assert_string_equal(rig_last(r, "cron_missed")->text,
                        "tidy: over 1000 runs up to that of 2026-10-27T22:20:00Z were missed, and "
                        "not made up for");
    rig_free(r);
}

/* ---- a clock that is set back ------------------------------------------------------------- */

TEST(what_a_clock_shows_again_has_run)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 0 12 * * *", NULL);
    rig_pass(r, (uint64_t)(12 * HOUR));
    end_all(r);
    rig_set_clock(r, NEW_YEAR + 11 * HOUR);
    assert_int_equal(look(r).next_ms, NEW_YEAR + 36 * HOUR);
    rig_pass(r, (uint64_t)(2 * HOUR));
    assert_int_equal(executions(r), 1);
    assert_int_equal(rig_lines(r, "cron_clock"), 0);
    rig_free(r);
}

TEST(a_clock_that_was_a_day_ahead_makes_nothing_silent_and_nothing_run_twice)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 0 12 * * *", NULL);
    rig_set_clock(r,
                  NEW_YEAR + DAY + 12 * HOUR + MINUTE); /* wrong: runs the 12:00 of the next day */
    assert_int_equal(executions(r), 1);
    end_all(r);
    rig_set_clock(r, NEW_YEAR + HOUR);
    assert_int_equal(rig_lines(r, "cron_clock"), 1);
    assert_string_equal(rig_last(r, "cron_clock")->text,
                        "tidy: the clock shows 2026-01-01T01:00:00Z and has shown "
                        "2026-01-02T12:00:00Z: the schedule starts over");
    assert_int_equal(look(r).next_ms, NEW_YEAR + 12 * HOUR);
    rig_set_clock(r, NEW_YEAR + DAY + 12 * HOUR + MINUTE); /* and that was right after all */
    assert_int_equal(executions(r), 1);
    rig_free(r);
}

TEST(a_day_that_really_comes_is_run_though_the_clock_has_shown_it_before)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 0 12 * * *", NULL);
    rig_set_clock(r, NEW_YEAR + 12 * HOUR + 30 * MINUTE);
    end_all(r);
    rig_set_clock(r, NEW_YEAR);
    rig_pass(r, (uint64_t)(12 * HOUR));
    assert_int_equal(executions(r), 2);
    assert_int_equal(look(r).row->runs, 2);
    rig_free(r);
}

TEST(a_rhythm_does_not_pause_for_more_than_a_beat)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 * * * * *", NULL);
    rig_pass(r, (uint64_t)HOUR);
    rig_set_clock(r, NEW_YEAR + HOUR - 30 * SECOND); /* the full hour comes again */
    assert_int_equal(look(r).next_ms, NEW_YEAR + HOUR + MINUTE);
    rig_set_clock(r, NEW_YEAR + 50 * MINUTE);
    assert_int_equal(rig_lines(r, "cron_clock"), 1);
    assert_int_equal(look(r).next_ms, NEW_YEAR + 51 * MINUTE);
    rig_free(r);
}

/* A host without a clock of its own shows 1970 until it has asked the network. */
TEST(a_boot_in_1970_runs_nothing_again)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 0 12 * * *", NULL);
    rig_pass(r, (uint64_t)(12 * HOUR));
    end_all(r);
    restart_after(r, NULL, "0 0 12 * * *", -(NEW_YEAR + 12 * HOUR) + 5 * SECOND);
    rig_pass(r, 10000);
    rig_set_clock(r, NEW_YEAR + 12 * HOUR + 20 * MINUTE);
    assert_int_equal(executions(r), 1);
    assert_int_equal(look(r).row->missed, 0);
    assert_int_equal(look(r).next_ms, NEW_YEAR + 36 * HOUR);
    rig_free(r);
}

/* ---- one goes on -------------------------------------------------------------------------- */

/* 87 */
TEST(a_run_still_going_makes_the_next_one_skipped_and_counted)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 * * * * *", NULL);
    rig_pass(r, (uint64_t)(10 * MINUTE));
    assert_int_equal(executions(r), 1);
    assert_int_equal(look(r).row->skipped, 9);
    assert_int_equal(rig_lines(r, "cron_skipped"), 4); /* the first, second, fourth and eighth */
    end_all(r);
    rig_pass(r, (uint64_t)MINUTE);
    assert_int_equal(look(r).row->runs, 2);
    rig_free(r);
}

TEST(a_run_by_hand_counts_as_going_and_waits_for_one_that_goes)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 * * * * *", NULL);
    uint64_t one = rig_run_job(r, "tidy"), two = rig_run_job(r, "tidy");
    assert_int_equal(rig_execution(r, one).status, EXEC_RUNNING);
    assert_int_equal(rig_execution(r, two).status, EXEC_PENDING);
    rig_pass(r, (uint64_t)MINUTE);
    assert_int_equal(look(r).row->skipped, 1);
    rig_exit(r, "tidy", 0, 0);
    assert_int_equal(rig_execution(r, two).status, EXEC_RUNNING);
    assert_int_equal(rig_execution(r, two).cause, CAUSE_USER);
    rig_free(r);
}

TEST(allowed_runs_go_side_by_side)
{
    const struct spec_schedule_options o = { .time_zone = "UTC", .overlap = SPEC_OVERLAP_ALLOW };
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 * * * * *", &o);
    rig_pass(r, (uint64_t)(12 * MINUTE));
    assert_int_equal(look(r).row->runs, 12);
    assert_int_equal(rig_running(r, "tidy"), 10); /* as many as jobs may be at a time */
    rig_free(r);
}

TEST(a_replaced_run_has_ended_before_the_next_one_starts)
{
    const struct spec_schedule_options o = { .time_zone = "UTC", .overlap = SPEC_OVERLAP_REPLACE };
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 * * * * *", &o);
    rig_pass(r, (uint64_t)MINUTE);
    r->held[EFF_STOP] = true;
    rig_pass(r, (uint64_t)MINUTE);
    struct row_execution old = run_of(r, NEW_YEAR + MINUTE);
    assert_int_equal(old.status, EXEC_CANCELLED);
    assert_string_equal(old.reason, "replaced by the run of 2026-01-01T00:02:00Z");
    assert_int_equal(run_of(r, NEW_YEAR + 2 * MINUTE).status, EXEC_PENDING);
    assert_int_equal(rig_running(r, "tidy"), 1);
    r->held[EFF_STOP] = false;
    rig_answer(r, EFF_STOP, NULL);
    rig_exit_of(r, old.id);
    assert_int_equal(run_of(r, NEW_YEAR + 2 * MINUTE).status, EXEC_RUNNING);
    assert_int_equal(rig_running(r, "tidy"), 1);
    rig_free(r);
}

/* ---- failing ------------------------------------------------------------------------------ */

/* 89 */
TEST(a_run_that_cannot_start_is_not_tried_before_the_next_time)
{
    struct rig *r = rig_at(NEW_YEAR);
    r->missing = "ok";
    deploy(r, "0 0 * * * *", NULL);
    rig_pass(r, (uint64_t)HOUR);
    assert_int_equal(run_of(r, NEW_YEAR + HOUR).status, EXEC_FAILED);
    rig_pass(r, (uint64_t)(59 * MINUTE));
    assert_int_equal(executions(r), 1);
    rig_pass(r, (uint64_t)MINUTE);
    assert_int_equal(executions(r), 2);
    rig_free(r);
}

/* ---- what users do ------------------------------------------------------------------------ */

/* 88 */
TEST(a_disabled_one_stays_so_and_runs_by_hand_only)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 * * * * *", NULL);
    set_enabled(r, false);
    assert_true(look(r).next_ms == INT64_MAX);
    restart_after(r, NULL, "0 * * * * *", 10 * MINUTE);
    rig_pass(r, (uint64_t)(10 * MINUTE));
    assert_true(look(r).next_ms == INT64_MAX);
    assert_string_equal(look(r).why, "disabled");
    assert_int_equal(executions(r), 0);
    uint64_t id = rig_run_job(r, "tidy");
    assert_int_equal(rig_execution(r, id).status, EXEC_RUNNING);
    assert_int_equal(look(r).row->last_execution, id);
    end_all(r);
    set_enabled(r, true);
    assert_int_equal(look(r).next_ms, NEW_YEAR + 21 * MINUTE);
    assert_int_equal(look(r).row->missed, 0);
    rig_pass(r, (uint64_t)MINUTE);
    (void)run_of(r, NEW_YEAR + 21 * MINUTE);
    rig_free(r);
}

TEST(only_a_cron_can_be_disabled)
{
    struct rig *r = rig_at(NEW_YEAR);
    assert_int_equal(rig_deploy_one(r, doc_job("tidy", "ok")), ZL_OK);
    struct event ev = { .kind = EV_CRON_SET, .cron_set = { "shop", "tidy", false } };
    assert_int_equal(rig_tell(r, &ev), ZL_ERR_INVALID);
    ev.cron_set.cron = "other";
    assert_int_equal(rig_tell(r, &ev), ZL_ERR_NOT_FOUND);
    rig_free(r);
}

TEST(the_same_document_again_changes_nothing_and_another_schedule_begins_now)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 0 * * * *", NULL);
    set_enabled(r, false);
    deploy(r, "0 0 * * * *", NULL);
    assert_true(look(r).row->disabled);
    set_enabled(r, true);
    rig_pass(r, (uint64_t)HOUR);
    end_all(r);
    uint64_t last = look(r).row->last_execution;
    r->now.wall_ms += 90 * MINUTE; /* nobody has looked at the clock yet */
    deploy(r, "0 15 * * * *", NULL);
    assert_int_equal(look(r).next_ms, NEW_YEAR + 3 * HOUR + 15 * MINUTE);
    assert_int_equal(look(r).row->last_execution, last);
    rig_free(r);
}

TEST(stopped_it_rests_until_the_next_deploy)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 * * * * *", NULL);
    rig_stop(r, "tidy");
    rig_pass(r, (uint64_t)HOUR);
    assert_int_equal(executions(r), 0);
    assert_string_equal(look(r).why, "stopped until the next deploy");
    deploy(r, "0 * * * * *", NULL);
    assert_int_equal(executions(r), 0);
    assert_int_equal(look(r).next_ms, NEW_YEAR + HOUR + MINUTE);
    rig_free(r);
}

TEST(down_ends_the_run_and_forgets_the_schedule)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 * * * * *", NULL);
    rig_pass(r, (uint64_t)MINUTE);
    assert_int_equal(rig_running(r, "tidy"), 1);
    rig_down(r);
    rig_pass(r, (uint64_t)HOUR);
    assert_int_equal(r->asked[EFF_DEL_CRON], 1);
    assert_int_equal(rig_running(r, "tidy"), 0);
    assert_int_equal(look_count(r), 0);
    assert_true(core_next_wall(r->core) == INT64_MAX);
    rig_free(r);
}

TEST(a_cron_that_the_document_has_no_more_is_forgotten)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 * * * * *", NULL);
    assert_int_equal(rig_deploy_one(r, doc_job("tidy", "ok")), ZL_OK);
    rig_pass(r, (uint64_t)HOUR);
    assert_int_equal(executions(r), 0);
    assert_int_equal(r->asked[EFF_DEL_CRON], 1);
    rig_free(r);
}

/* ---- a new agent -------------------------------------------------------------------------- */

TEST(a_new_agent_runs_nothing_twice_and_knows_what_goes_on)
{
    struct rig *r = rig_at(NEW_YEAR);
    deploy(r, "0 * * * * *", NULL);
    rig_pass(r, (uint64_t)MINUTE);
    restart_after(r, NULL, "0 * * * * *", SECOND);
    assert_int_equal(executions(r), 1);
    assert_int_equal(run_of(r, NEW_YEAR + MINUTE).status, EXEC_RUNNING);
    assert_int_equal(run_of(r, NEW_YEAR + MINUTE).cause, CAUSE_SCHEDULE);
    rig_pass(r, (uint64_t)MINUTE);
    assert_int_equal(look(r).row->skipped, 1);
    end_all(r);
    rig_pass(r, (uint64_t)MINUTE);
    assert_int_equal(executions(r), 2);
    assert_int_equal(look(r).row->runs, 2);
    rig_free(r);
}

TEST(history_is_kept_as_the_document_says)
{
    static const struct spec_job_options kept = { .max_concurrent = 1,
                                                  .keep = 2,
                                                  .keep_for_ms = 1000 };
    struct rig *r = rig_at(NEW_YEAR);
    struct spec_service s = doc_cron("tidy", "ok", "0 * * * * *", NULL);
    s.job_options = &kept;
    assert_int_equal(rig_deploy_one(r, s), ZL_OK);
    for (int i = 0; i < 6; i++) {
        rig_pass(r, (uint64_t)MINUTE);
        end_all(r);
    }
    rig_pass(r, 1000);
    assert_int_equal(executions(r), 2);
    assert_int_equal(look(r).row->runs, 6);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_at_its_times_and_not_when_it_is_deployed),
        cmocka_unit_test(a_zone_is_kept_to_through_both_changes_of_the_clock),
        cmocka_unit_test(a_zone_without_a_table_does_not_run_by_another),
        cmocka_unit_test(jitter_delays_by_less_than_the_distance_and_the_same_after_a_restart),
        cmocka_unit_test(a_jump_of_the_clock_over_five_is_one_run),
        cmocka_unit_test(
            a_downtime_over_five_is_one_run_when_the_last_is_young_and_none_when_it_is_not),
        cmocka_unit_test(catch_up_none_runs_what_is_a_little_late_only),
        cmocka_unit_test(catch_up_all_runs_them_one_after_another),
        cmocka_unit_test(all_that_was_missed_in_a_year_is_counted_up_to_a_thousand),
        cmocka_unit_test(what_a_clock_shows_again_has_run),
        cmocka_unit_test(a_clock_that_was_a_day_ahead_makes_nothing_silent_and_nothing_run_twice),
        cmocka_unit_test(a_day_that_really_comes_is_run_though_the_clock_has_shown_it_before),
        cmocka_unit_test(a_rhythm_does_not_pause_for_more_than_a_beat),
        cmocka_unit_test(a_boot_in_1970_runs_nothing_again),
        cmocka_unit_test(a_run_still_going_makes_the_next_one_skipped_and_counted),
        cmocka_unit_test(a_run_by_hand_counts_as_going_and_waits_for_one_that_goes),
        cmocka_unit_test(allowed_runs_go_side_by_side),
        cmocka_unit_test(a_replaced_run_has_ended_before_the_next_one_starts),
        cmocka_unit_test(a_run_that_cannot_start_is_not_tried_before_the_next_time),
        cmocka_unit_test(a_disabled_one_stays_so_and_runs_by_hand_only),
        cmocka_unit_test(only_a_cron_can_be_disabled),
        cmocka_unit_test(the_same_document_again_changes_nothing_and_another_schedule_begins_now),
        cmocka_unit_test(stopped_it_rests_until_the_next_deploy),
        cmocka_unit_test(down_ends_the_run_and_forgets_the_schedule),
        cmocka_unit_test(a_cron_that_the_document_has_no_more_is_forgotten),
        cmocka_unit_test(a_new_agent_runs_nothing_twice_and_knows_what_goes_on),
        cmocka_unit_test(history_is_kept_as_the_document_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
