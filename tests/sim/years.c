// SPDX-License-Identifier: Apache-2.0
/*
 * zlayer-sim-years: crons in zones of daylight saving, over years of virtual time. In calm years
 * all that an expression names runs, once, and nothing else does. In wild ones the agent is killed
 * and kept away, the host restarted, clocks are set forward and back by seconds and by days; the
 * invariants of check_cron.c hold after every step. A violation is printed with its seed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "doc.h"
#include "spec/time/cron.h"
#include "spec/time/zonefile.h"
#include "world.h"

#define MINUTE UINT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)

enum { CRONS = 6 };

static struct world world; /* a megabyte: not for the stack */
static struct checks checks;
static struct spec_schedule_options options[CRONS];

/* clang-format off */
static const struct {
    const char *name, *schedule, *work;
    struct spec_schedule_options options;
} crons[CRONS] = {
    { "berlin",   "0 30 2 * * *",         "job-ok",    { .time_zone = "Europe/Berlin", .catch_up_window_ms = HOUR } },
    { "new-york", "0 0 * * * *",          "job-long",  { .time_zone = "America/New_York", .overlap = SPEC_OVERLAP_ALLOW,
                                                         .catch_up = SPEC_CATCH_UP_ALL, .catch_up_window_ms = 5 * HOUR } },
    { "howe",     "30 0/30 1 * * *",      "job-ok",    { .time_zone = "Australia/Lord_Howe", .catch_up = SPEC_CATCH_UP_NONE,
                                                         .catch_up_window_ms = HOUR } },
    { "santiago", "59 59 23 ? * SUN,MON", "job-fails", { .time_zone = "America/Santiago", .overlap = SPEC_OVERLAP_REPLACE,
                                                         .catch_up_window_ms = 20 * DAY } },
    { "dublin",   "0 0 1 1,15 * *",       "job-long",  { .time_zone = "Europe/Dublin", .catch_up = SPEC_CATCH_UP_ALL,
                                                         .catch_up_window_ms = 2 * DAY } },
    { "utc",      "15 0 6,18 * * *",       "job-ok",    { .time_zone = "UTC", .catch_up_window_ms = 10 * MINUTE,
                                                         .jitter_ms = 5 * MINUTE } },
};
/* clang-format on */

static struct spec *document(void)
{
    struct spec_service list[CRONS];
    for (size_t i = 0; i < CRONS; i++)
        list[i] = doc_cron(crons[i].name, crons[i].work, crons[i].schedule, &options[i]);
    return doc_new("shop", list, CRONS);
}

static void deploy(struct world *w)
{
    struct spec *spec = document();
    struct event ev = { .kind = EV_DEPLOY, .deploy.spec = spec };
    world_step(w, &ev);
    spec_unref(spec);
}

/* ---- calm years --------------------------------------------------------------------------- */

static uint64_t named(size_t i, int64_t after, int64_t until)
{
    struct cron_flaw flaw;
    struct cron c;
    uint64_t n = 0;
    if (cron_parse(crons[i].schedule, &c, &flaw) < 0)
        abort();
    while (cron_next(&c, options[i].zone, after, &after) && after <= until)
        n++;
    return n;
}

/* A run of the last moments may not have been due yet: its jitter. */
static void check_all_ran(struct world *w, int64_t from)
{
    for (size_t i = 0; i < CRONS; i++) {
        const struct stored_cron *h = store_cron(&w->store, "shop", crons[i].name);
        uint64_t n = h ? named(i, from, h->row.cursor_s) : 0;
        if (!h || n == 0 || h->row.runs != n || h->row.missed || h->row.skipped)
            violation(w, "%s: %llu times were named, %llu ran, %llu missed, %llu skipped",
                      crons[i].name, (unsigned long long)n,
                      (unsigned long long)(h ? h->row.runs : 0),
                      (unsigned long long)(h ? h->row.missed : 0),
                      (unsigned long long)(h ? h->row.skipped : 0));
        int64_t now = world_now(w).wall_ms / 1000;
        if (h && named(i, h->row.cursor_s, now - (int64_t)(options[i].jitter_ms / 1000)))
            violation(w, "%s: not all that was due is decided", crons[i].name);
    }
}

static void calm(struct world *w, uint64_t years)
{
    int64_t from = world_now(w).wall_ms / 1000;
    uint64_t end = w->mono_ms + years * YEAR;
    deploy(w);
    while (w->mono_ms < end && !w->checks->violations && world_advance(w))
        ;
    if (!w->checks->violations)
        check_all_ran(w, from);
}

/* ---- wild years --------------------------------------------------------------------------- */

static void clock_is_set(struct world *w, int64_t true_offset)
{
    static const uint64_t most[] = { 2 * MINUTE, 4 * HOUR, 3 * DAY };
    uint64_t range = most[rng_below(&w->rng, ZL_ARRAY_LEN(most))];
    int64_t by = (int64_t)rng_below(&w->rng, 2 * range) - (int64_t)range;
    if (rng_one_in(&w->rng, 2)) /* somebody puts it right */
        by = true_offset - w->wall_offset_ms;
    world_set_clock(w, by);
}

static void agent_is_away(struct world *w, int64_t true_offset)
{
    static const uint64_t most[] = { 10 * 1000, 30 * MINUTE, 4 * DAY };
    w->mono_ms += rng_below(&w->rng, most[rng_below(&w->rng, ZL_ARRAY_LEN(most))]);
    if (rng_one_in(&w->rng, 4))
        world_reboot(w);
    if (rng_one_in(&w->rng, 4))
        clock_is_set(w, true_offset);
    world_start_agent(w);
}

static void user_acts_on_crons(struct world *w)
{
    const char *cron = crons[rng_below(&w->rng, CRONS)].name;
    struct event run = { .kind = EV_JOB_RUN, .job_run = { "shop", cron } };
    struct event set = { .kind = EV_CRON_SET,
                         .cron_set = { "shop", cron, rng_one_in(&w->rng, 2) } };
    struct event stop = { .kind = EV_STOP, .stop = { "shop", cron, 0, false } };
    switch (rng_below(&w->rng, 4)) {
    case 0:
        world_step(w, &run);
        break;
    case 1:
        world_step(w, &set);
        break;
    case 2:
        world_step(w, &stop);
        break;
    default:
        deploy(w);
    }
}

static void wild(struct world *w, uint64_t years)
{
    const int64_t true_offset = w->wall_offset_ms;
    uint64_t end = w->mono_ms + years * YEAR;
    deploy(w);
    w->faults = true;
    while (w->mono_ms < end && !w->checks->violations) {
        if (!w->core)
            agent_is_away(w, true_offset);
        else if (rng_one_in(&w->rng, 1000))
            world_kill_agent(w);
        else if (rng_one_in(&w->rng, 700))
            clock_is_set(w, true_offset);
        else if (rng_one_in(&w->rng, 1500))
            user_acts_on_crons(w);
        else if (!world_advance(w))
            deploy(w); /* all rest */
    }
}

/* ---- many --------------------------------------------------------------------------------- */

static bool run(uint64_t seed, uint64_t years, bool is_calm, bool verbose)
{
    check_reset(&checks);
    world_init(&world, seed, &checks, verbose);
    (is_calm ? calm : wild)(&world, years);
    size_t steps = world.steps;
    world_done(&world);
    bool fine = checks.violations == 0;
    printf("seed %llu, %llu %s year%s: %zu steps, %s, digest %016llx\n", (unsigned long long)seed,
           (unsigned long long)years, is_calm ? "calm" : "wild", years == 1 ? "" : "s", steps,
           fine ? "no violation" : checks.first, (unsigned long long)world.digest);
    check_reset(&checks);
    if (doc_live())
        printf("seed %llu leaks %zu documents\n", (unsigned long long)seed, doc_live());
    return fine && !doc_live();
}

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (errno || *end || *text < '0' || *text > '9') {
        (void)fprintf(stderr, "zlayer-sim-years: '%s' is not a number\n", text);
        exit(2);
    }
    return n;
}

/* zlayer-sim-years calm|wild YEARS COUNT SEED [-v] */
int main(int argc, char **argv)
{
    struct zl_error err;
    struct tz *zones[CRONS] = { NULL };
    bool fine = argc >= 5;
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* nothing of it is lost when a year aborts */
    for (size_t i = 0; fine && i < CRONS; i++) {
        options[i] = crons[i].options;
        if (tz_load(TZ_DIR, options[i].time_zone, &zones[i], &err) < 0) {
            (void)fprintf(stderr, "zlayer-sim-years: %s\n", err.msg);
            return 2;
        }
        options[i].zone = zones[i];
    }
    if (!fine) {
        (void)fprintf(stderr, "usage: zlayer-sim-years calm|wild YEARS COUNT SEED [-v]\n");
        return 2;
    }
    uint64_t years = number(argv[2]), count = number(argv[3]), seed = number(argv[4]);
    bool is_calm = strcmp(argv[1], "calm") == 0;
    for (uint64_t i = 0; i < count; i++)
        fine = run(seed + i, years, is_calm, argc > 5) && fine;
    for (size_t i = 0; i < CRONS; i++)
        tz_free(zones[i]);
    return fine ? 0 : 1;
}
