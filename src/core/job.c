// SPDX-License-Identifier: Apache-2.0
#include "core/job.h"

#include "core/dependency.h"
#include "core/execution.h"
#include "core/instance.h"
#include "core/model/deployment.h"
#include "core/model/execution.h"
#include "core/model/machine.h"
#include "core/model/service.h"
#include "core/pin.h"
#include "core/schedule.h"

enum { MAX_CONCURRENT = 10 };

struct execution *job_run(struct core *c, struct service *job, enum execution_cause cause)
{
    struct execution *x = execution_new(c, job, cause, 0);
    if (x && job->schedule)
        schedule_note_run(job->schedule, x);
    return x;
}

static void run_for_dependents(struct core *c, struct service *job)
{
    if (execution_has_run(job) || !dependency_is_needed(job))
        return;
    if (!job_run(c, job, CAUSE_DEPENDENT))
        c->starved = true;
}

static void start(struct core *c, const struct service *job, struct execution *x)
{
    struct inst_label label = {
        .owner = OWNER_EXECUTION,
        .deployment = x->deployment->name,
        .service = x->job,
        .role = "default",
        .execution = x->id,
        .spec_hash = x->version.hash,
    };
    struct inst_id id = { core_random(c) };
    pin_execution(job, &x->version);
    x->inst = instance_new(c, id, &label, &x->version, x);
    c->starved |= !x->inst;
}

static uint32_t max_concurrent(const struct service *job)
{
    const struct spec_job_options *o = job->target.service->job_options;
    if (job->schedule && !schedule_overlaps(job->schedule))
        return 1;
    return o ? o->max_concurrent : MAX_CONCURRENT;
}

static void start_pending(struct core *c, struct service *job)
{
    struct execution *x;
    uint32_t busy = 0, limit = max_concurrent(job);
    TAILQ_FOREACH (x, &job->runs, job_link)
        busy += x->inst && !x->inst->ended;
    TAILQ_FOREACH (x, &job->runs, job_link) {
        if (x->status != EXEC_PENDING || x->inst)
            continue;
        if (job->gave_up)
            execution_fail(c, x, -1, "%s", job->why);
        else if (job->released && busy++ < limit)
            start(c, job, x);
    }
}

static bool any_pending(const struct service *job)
{
    const struct execution *x;
    TAILQ_FOREACH (x, &job->runs, job_link)
        if (x->status == EXEC_PENDING)
            return true;
    return false;
}

/* Others rely on its having completed. */
static bool is_needed(const struct service *job, const struct execution *x)
{
    return x->revision == job->deployment->revision && x->status == EXEC_COMPLETED &&
           dependency_is_needed(job);
}

/* The newest ones are kept, and whatever is younger than the retention time. */
static void forget_old(struct core *c, struct service *job)
{
    const struct spec_job_options *o = job->target.service->job_options;
    struct execution *x, *before;
    uint32_t kept = 0, keep = o ? o->keep : c->limits.executions_kept;
    for (x = TAILQ_LAST(&job->runs, execution_list); x; x = before) {
        before = TAILQ_PREV(x, execution_list, job_link);
        if (!execution_terminal(x))
            continue;
        bool kept_now = kept++ < keep || c->now.mono_ms < x->expires_at || x->inst;
        if (!kept_now && !is_needed(job, x))
            execution_delete(c, x);
    }
}

void job_reconcile(struct core *c, struct service *job)
{
    const struct deployment *d = job->deployment;
    if (d->removing || job->absent) {
        if (job->schedule)
            schedule_rest(c, job->schedule);
        execution_cancel_all(c, job, &d->remove_how);
        return;
    }
    if (job->schedule)
        schedule_step(c, job->schedule);
    if (!job->stopped)
        run_for_dependents(c, job);
    if (!job->released && !job->gave_up && (any_pending(job) || dependency_is_needed(job)))
        dependency_tick(c, job);
    start_pending(c, job);
    forget_old(c, job);
}
