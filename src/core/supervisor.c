// SPDX-License-Identifier: Apache-2.0
/*
 * Restart policy, back-off and crash loop (reference: orchestration 2). A written restart_policy
 * decides about every exit and leaves crash loops to on_panic; without one, exit 0 completes and
 * on_panic decides about the rest.
 */
#include "core/supervisor.h"

#include "core/model/slot.h"

enum {
    DELAY_FIRST_MS = 1000, /* 0, 1, 2, 4, … s */
    DELAY_MAX_MS = 60 * 1000,
    LOOP_WINDOW_MS = 300 * 1000, /* CRASHES_KEPT crashes within it are a crash loop */
    LOOP_DELAY_MS = 30 * 1000,   /* at least, in a crash loop */
    UP_FOR_LONG_MS = 600 * 1000, /* after which the back-off begins anew */
};

/* clang-format off */
static const struct { bool on_success, on_failure; } restarts[] = {
    [SPEC_RESTART_NONE_WRITTEN]   = { false, true },
    [SPEC_RESTART_NO]             = { false, false },
    [SPEC_RESTART_ALWAYS]         = { true,  true },
    [SPEC_RESTART_UNLESS_STOPPED] = { true,  true },
    [SPEC_RESTART_ON_FAILURE]     = { false, true },
};

static const enum verdict on_panic[] = {
    [SPEC_PANIC_RESTART]  = VERDICT_RESTART,
    [SPEC_PANIC_SHUTDOWN] = VERDICT_SHUTDOWN,
    [SPEC_PANIC_ISOLATE]  = VERDICT_ISOLATE,
};
/* clang-format on */

static void note_crash(struct supervision *s, uint64_t now)
{
    s->crashes[s->n_crashes++ % CRASHES_KEPT] = now;
    if (s->n_crashes < CRASHES_KEPT)
        return;
    uint64_t oldest = s->crashes[s->n_crashes % CRASHES_KEPT];
    s->crash_loop = now - oldest <= LOOP_WINDOW_MS;
}

static uint64_t next_delay(struct supervision *s, uint64_t base_ms)
{
    uint64_t ceiling = base_ms > DELAY_MAX_MS ? base_ms : DELAY_MAX_MS;
    uint64_t delay = base_ms ? base_ms : DELAY_FIRST_MS;
    uint32_t doublings = s->streak++;
    if (!base_ms && doublings-- == 0)
        delay = 0;
    else
        while (doublings-- > 0 && delay < ceiling)
            delay *= 2;
    if (delay > ceiling)
        delay = ceiling;
    return s->crash_loop && delay < LOOP_DELAY_MS ? LOOP_DELAY_MS : delay;
}

enum verdict supervision_judge(struct supervision *s, const struct spec_service *service,
                               enum ending ending, uint64_t now, uint64_t up_ms,
                               uint64_t *ret_delay)
{
    const struct spec_restart_policy *policy = &service->restart;
    bool clean = ending == ENDED_CLEAN, pull = ending == ENDED_UNPULLED;
    if (up_ms >= UP_FOR_LONG_MS)
        s->streak = s->attempts = 0;

    bool again = clean ? restarts[policy->kind].on_success : restarts[policy->kind].on_failure;
    if (!again && !pull)
        return clean ? VERDICT_COMPLETED : VERDICT_FAILED;

    enum verdict panic = pull ? VERDICT_RESTART : on_panic[service->on_panic];
    if (policy->kind == SPEC_RESTART_NONE_WRITTEN && panic != VERDICT_RESTART)
        return panic;
    if (!pull && policy->max_attempts && s->attempts >= policy->max_attempts)
        return VERDICT_FAILED;

    s->attempts += !pull;
    note_crash(s, now);
    if (s->crash_loop && panic != VERDICT_RESTART)
        return panic;
    *ret_delay = next_delay(s, policy->delay_ms);
    return VERDICT_RESTART;
}
