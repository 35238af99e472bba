// SPDX-License-Identifier: Apache-2.0
/*
 * zlayer-sim: random histories of the agent's decisions, in virtual time, against a store and a
 * runtime that fail in every way that is foreseen. The invariants are checked after every step; at
 * the end the faults stop, and the state has to become what the users asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "doc.h"
#include "user.h"
#include "world.h"

enum { SETTLE_STEPS = 20000, EXIT_VIOLATION = 1, EXIT_USAGE = 2 };

struct options {
    uint64_t seed, count, events, jobs;
    bool verbose, keep_going;
};

static struct world world; /* half a megabyte: not for the stack */
static struct checks checks;
static uint64_t *digests; /* one sum per share, common to all processes */

/* ---- one history -------------------------------------------------------------------------- */

/* What happens besides what is under way; true: it did. */
static bool something_odd_happens(struct world *w)
{
    if (!w->core) {
        if (rng_one_in(&w->rng, 12))
            world_reboot(w);
        if (rng_one_in(&w->rng, 4))
            world_put_stray(w);
        if (rng_one_in(&w->rng, 8))
            world_lose_one(w);
        world_start_agent(w);
        return true;
    }
    if (rng_one_in(&w->rng, 400)) {
        world_log(w, "the agent is killed");
        world_kill_agent(w);
        return true;
    }
    if (rng_one_in(&w->rng, 100)) {
        int64_t by = (int64_t)rng_below(&w->rng, 172800000) - 86400000;
        world_set_clock(w, rng_one_in(&w->rng, 2) ? by : by / 5000);
        return true;
    }
    if (rng_one_in(&w->rng, 60)) {
        world_move_tag(w);
        return true;
    }
    if (rng_one_in(&w->rng, 12)) {
        user_acts(w);
        return true;
    }
    return false;
}

static void wild_days(struct world *w, uint64_t events)
{
    w->faults = true;
    while (w->steps < events && !w->checks->violations) {
        if (something_odd_happens(w))
            continue;
        if (w->core && !world_advance(w))
            user_acts(w);
    }
}

/* No faults any more. False: it does not converge. */
static bool quiet_days(struct world *w, char *why, size_t size)
{
    w->faults = false;
    size_t end = w->steps + SETTLE_STEPS;
    while (!w->core)
        world_start_agent(w);
    while (w->steps < end && !w->checks->violations) {
        if (check_converged(w, why, size))
            return true;
        if (!world_advance(w))
            return check_converged(w, why, size);
    }
    return false;
}

/* After all has settled, a new agent finds nothing to do. */
static void succession(struct world *w)
{
    char why[256] = "";
    world_kill_agent(w);
    world_start_agent(w);
    if (!quiet_days(w, why, sizeof why))
        violation(w, "a new agent does not converge: %s", why);
}

static bool run_history(uint64_t seed, uint64_t events, bool verbose)
{
    char why[256] = "";
    check_reset(&checks);
    world_init(&world, seed, &checks, verbose);
    wild_days(&world, events);
    if (!checks.violations && !quiet_days(&world, why, sizeof why))
        violation(&world, "it does not converge: %s", why);
    if (!checks.violations && rng_one_in(&world.rng, 2))
        succession(&world);
    size_t steps = world.steps;
    world_done(&world);
    bool fine = checks.violations == 0;
    if (!fine)
        printf("seed %llu, %s\n", (unsigned long long)seed, checks.first);
    else if (verbose)
        printf("seed %llu: %zu steps, converged, digest %016llx\n", (unsigned long long)seed, steps,
               (unsigned long long)world.digest);
    check_reset(&checks);
    if (fine && doc_live()) {
        printf("seed %llu leaks %zu documents\n", (unsigned long long)seed, doc_live());
        return false;
    }
    return fine;
}

/* ---- many --------------------------------------------------------------------------------- */

static int run_share(const struct options *o, uint64_t share)
{
    int rc = 0;
    for (uint64_t i = share; i < o->count; i += o->jobs) {
        bool fine = run_history(o->seed + i, o->events, o->verbose);
        digests[share] += world.digest; /* a sum: however the histories are shared out */
        if (!fine)
            rc = EXIT_VIOLATION;
        if (!fine && !o->keep_going)
            break;
    }
    (void)fflush(stdout);
    return rc;
}

static int run_all(const struct options *o)
{
    int rc = 0, status;
    for (uint64_t share = 0; share < o->jobs; share++) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("zlayer-sim: fork");
            return EXIT_USAGE;
        }
        if (pid == 0)
            _exit(run_share(o, share));
    }
    while (wait(&status) > 0)
        if (WIFSIGNALED(status)) {
            printf("a share of the histories died by signal %d\n", WTERMSIG(status));
            rc = EXIT_VIOLATION;
        } else if (WEXITSTATUS(status)) {
            rc = EXIT_VIOLATION;
        }
    return rc;
}

static bool share_digests(uint64_t jobs)
{
    digests = mmap(NULL, jobs * sizeof *digests, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                   -1, 0);
    return digests != MAP_FAILED;
}

static uint64_t whole_digest(uint64_t jobs)
{
    uint64_t sum = 0;
    for (uint64_t share = 0; share < jobs; share++)
        sum += digests[share];
    return sum;
}

static uint64_t seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: zlayer-sim [--seed N] [--count N] [--events N] [--jobs N] "
                          "[--keep-going] [--replay SEED [-v]]\n");
    return EXIT_USAGE;
}

static bool number(const char *text, uint64_t *ret)
{
    char *end;
    if (!text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

int main(int argc, char **argv)
{
    struct options o = { .seed = 1, .count = 1000, .events = 200, .jobs = 1 };
    uint64_t replay = 0;
    bool one = false;
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* nothing of it is lost when a history aborts */
    for (int i = 1; i < argc; i++) {
        const struct {
            const char *name;
            uint64_t *value;
        } numbers[] = { { "--seed", &o.seed },
                        { "--count", &o.count },
                        { "--jobs", &o.jobs },
                        { "--events", &o.events },
                        { "--replay", &replay } };
        size_t k = 0;
        if (strcmp(argv[i], "-v") == 0) {
            o.verbose = true;
            continue;
        }
        if (strcmp(argv[i], "--keep-going") == 0) {
            o.keep_going = true;
            continue;
        }
        while (k < ZL_ARRAY_LEN(numbers) && strcmp(argv[i], numbers[k].name) != 0)
            k++;
        if (k == ZL_ARRAY_LEN(numbers) || !number(argv[++i], numbers[k].value))
            return usage();
        one |= numbers[k].value == &replay;
    }
    if (one)
        return run_history(replay, o.events, o.verbose) ? 0 : EXIT_VIOLATION;
    if (!o.jobs)
        return usage();
    if (!share_digests(o.jobs)) {
        perror("zlayer-sim: mmap");
        return EXIT_USAGE;
    }

    uint64_t begin = seconds();
    int rc = run_all(&o);
    printf("%llu histories of %llu events from seed %llu: %s, %llu s, digest %016llx\n",
           (unsigned long long)o.count, (unsigned long long)o.events, (unsigned long long)o.seed,
           rc ? "VIOLATIONS" : "no violation", (unsigned long long)(seconds() - begin),
           (unsigned long long)whole_digest(o.jobs));
    return rc;
}
