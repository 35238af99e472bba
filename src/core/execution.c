// SPDX-License-Identifier: Apache-2.0
#include "core/execution.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/utf8.h"
#include "core/emit.h"
#include "core/instance.h"
#include "core/model/deployment.h"
#include "core/model/execution.h"
#include "core/model/instance.h"
#include "core/model/machine.h"
#include "core/model/service.h"
#include "core/pin.h"
#include "core/touch.h"

/* clang-format off */
static const struct { bool terminal; } traits[] = {
    [EXEC_PENDING]   = { false },
    [EXEC_RUNNING]   = { false },
    [EXEC_COMPLETED] = { true },
    [EXEC_FAILED]    = { true },
    [EXEC_CANCELLED] = { true },
};
/* clang-format on */

static const char lost[] = "lost: nothing is known of its end";
static const char rebooted_reason[] = "host restarted";

bool execution_terminal(const struct execution *x)
{
    return traits[x->status].terminal;
}

/* How long an ended one is kept, ms. */
static uint64_t kept_ms(const struct core *c, const struct execution *x)
{
    const struct spec_service *job = x->version.service;
    const struct spec_job_options *o = job ? job->job_options : NULL;
    return o ? o->keep_for_ms : c->limits.executions_kept_ms;
}

static void mark_dirty(struct execution *x)
{
    if (!x->dirty)
        TAILQ_INSERT_TAIL(&x->deployment->dirty_executions, x, dirty_link);
    x->dirty = true;
}

/* The only writer of x->status. */
static void set_status(struct core *c, struct execution *x, enum execution_status status)
{
    x->status = status;
    mark_dirty(x);
    touch_deployment(c, x->deployment);
    if (!execution_terminal(x))
        return;
    x->finished_ms = c->now.wall_ms;
    x->expires_at = c->now.mono_ms + kept_ms(c, x);
    emit_event(c, "job_end", x->deployment->name, x->job, (struct inst_id){ x->id }, "%s: %s%s%s",
               x->job, execution_status_name(status), x->reason[0] ? ": " : "", x->reason);
}

/* ---- life of the object ------------------------------------------------------------------- */

static void free_execution(struct grave *g)
{
    struct execution *x = (struct execution *)g;
    version_clear(&x->version);
    free(x->job);
    free(x->display);
    free(x);
}

static struct execution *allocate(struct deployment *d, const char *job, uint64_t id)
{
    struct execution *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->grave.free = free_execution;
    x->deployment = d;
    x->id = id;
    x->exit_code = -1;
    x->expires_at = NEVER;
    char text[ZL_ID_LEN + 1];
    zl_id_format(id, text);
    x->job = strdup(job);
    if (!x->job || asprintf(&x->display, "%s-%s", job, text) < 0) {
        x->display = NULL;
        free_execution(&x->grave);
        return NULL;
    }
    return x;
}

static bool is_older(const struct execution *a, const struct execution *b)
{
    return a->created_ms != b->created_ms ? a->created_ms < b->created_ms : a->id < b->id;
}

/* Among those of the job by its age; most are the youngest. */
static void join_job(struct execution *x, struct service *job)
{
    struct execution *after;
    x->service = job;
    if (!job) {
        x->deployment->orphans = true;
        return;
    }
    TAILQ_FOREACH_REVERSE (after, &job->runs, execution_list, job_link)
        if (is_older(after, x))
            break;
    if (after)
        TAILQ_INSERT_AFTER(&job->runs, after, x, job_link);
    else
        TAILQ_INSERT_HEAD(&job->runs, x, job_link);
}

void execution_hand_over(struct service *from, struct service *to)
{
    struct execution *x;
    while ((x = TAILQ_FIRST(&from->runs))) {
        TAILQ_REMOVE(&from->runs, x, job_link);
        join_job(x, to);
    }
}

struct execution *execution_new(struct core *c, struct service *job, enum execution_cause cause,
                                int64_t due_ms)
{
    struct execution *x = allocate(job->deployment, job->name, core_random(c));
    if (!x)
        return NULL;
    x->cause = cause;
    x->due_ms = due_ms;
    x->revision = job->deployment->revision;
    x->created_ms = c->now.wall_ms;
    version_copy(&x->version, &job->target);
    TAILQ_INSERT_TAIL(&job->deployment->executions, x, link);
    TAILQ_INSERT_TAIL(&job->runs, x, job_link);
    x->service = job;
    c->n_objects++;
    set_status(c, x, EXEC_PENDING);
    if (job->gave_up && cause != CAUSE_DEPENDENT) { /* what it waited for may be there by now */
        job->gave_up = false;
        job->wait_since = c->now.mono_ms;
    }
    return x;
}

static void record_digest(struct execution *x, const char *digest)
{
    (void)snprintf(x->digest, sizeof x->digest, "%s", digest ? digest : "");
}

static uint64_t time_left(const struct core *c, const struct execution *x)
{
    int64_t age = c->now.wall_ms - x->finished_ms;
    uint64_t kept = kept_ms(c, x);
    if (age < 0)
        return kept;
    return (uint64_t)age < kept ? kept - (uint64_t)age : 0;
}

struct execution *execution_load(struct core *c, struct deployment *d,
                                 const struct row_execution *row)
{
    struct execution *x = allocate(d, row->job, row->id), *after;
    if (!x)
        return NULL;
    x->revision = row->revision;
    x->status = row->status;
    x->exit_code = row->exit_code;
    x->cause = row->cause;
    x->due_ms = row->due_ms;
    x->created_ms = row->created_ms;
    x->started_ms = row->started_ms;
    x->finished_ms = row->finished_ms;
    why_set(x->reason, "%s", row->reason ? row->reason : "");
    x->interrupted = strcmp(x->reason, lost) == 0 || strcmp(x->reason, rebooted_reason) == 0;
    struct service *job = service_find(d, x->job);
    if (job)
        version_copy(&x->version, &job->target);
    join_job(x, job && service_is_job(job) ? job : NULL);
    record_digest(x, row->digest);
    if (execution_terminal(x))
        x->expires_at = c->now.mono_ms + time_left(c, x);

    TAILQ_FOREACH_REVERSE (after, &d->executions, execution_list, link)
        if (is_older(after, x))
            break;
    if (after)
        TAILQ_INSERT_AFTER(&d->executions, after, x, link);
    else
        TAILQ_INSERT_HEAD(&d->executions, x, link);
    c->n_objects++;
    return x;
}

void execution_delete(struct core *c, struct execution *x)
{
    emit_store(c, EFF_DEL_EXECUTION)->execution =
        (struct row_execution){ .id = x->id, .deployment = x->deployment->name, .job = x->job };
    TAILQ_REMOVE(&x->deployment->executions, x, link);
    if (x->service)
        TAILQ_REMOVE(&x->service->runs, x, job_link);
    if (x->dirty)
        TAILQ_REMOVE(&x->deployment->dirty_executions, x, dirty_link);
    core_bury(c, &x->grave);
    c->n_objects--;
    touch_deployment(c, x->deployment);
}

struct execution *execution_find(const struct core *c, uint64_t id)
{
    struct deployment *d;
    struct execution *x;
    TAILQ_FOREACH (d, &c->deployments, link)
        TAILQ_FOREACH (x, &d->executions, link)
            if (x->id == id)
                return x;
    return NULL;
}

void execution_row(const struct execution *x, struct row_execution *ret)
{
    *ret = (struct row_execution){
        .id = x->id,
        .deployment = x->deployment->name,
        .job = x->job,
        .revision = x->revision,
        .status = x->status,
        .reason = x->reason,
        .digest = x->digest,
        .exit_code = x->exit_code,
        .created_ms = x->created_ms,
        .started_ms = x->started_ms,
        .finished_ms = x->finished_ms,
        .cause = x->cause,
        .due_ms = x->due_ms,
    };
}

uint64_t execution_deadline(const struct execution *x, uint64_t now)
{
    return x->expires_at > now ? x->expires_at : NEVER; /* later only when another one ends */
}

/* ---- ends --------------------------------------------------------------------------------- */

void execution_fail(struct core *c, struct execution *x, int code, const char *fmt, ...)
{
    va_list ap;
    if (execution_terminal(x))
        return;
    va_start(ap, fmt);
    (void)vsnprintf(x->reason, sizeof x->reason, fmt, ap);
    va_end(ap);
    zl_utf8_mend(x->reason);
    x->exit_code = code;
    set_status(c, x, EXEC_FAILED);
}

void execution_cancel(struct core *c, struct execution *x, const struct stop_how *how)
{
    struct stop_how out = { .grace_ms = how->grace_ms, .force = how->force };
    if (!execution_terminal(x))
        set_status(c, x, EXEC_CANCELLED);
    if (x->inst)
        instance_stop(c, x->inst, &out);
}

static void take_exit(struct core *c, struct execution *x, const struct inst_exit *exit)
{
    if (execution_terminal(x))
        return;
    if (exit->lost) {
        x->interrupted = true;
        execution_fail(c, x, exit->code, "%s", lost);
    } else if (exit->code) {
        execution_fail(c, x, exit->code, "exit code %d%s", exit->code, inst_exit_note(exit));
    } else {
        x->exit_code = 0;
        set_status(c, x, EXEC_COMPLETED);
    }
}

/* ---- what its instance tells -------------------------------------------------------------- */

static void when_pulled(struct instance *i)
{
    struct execution *x = i->execution;
    if (x->service)
        pin_execution_pulled(x->service, &i->version);
    record_digest(x, i->version.digest);
    mark_dirty(x);
}

static void when_up(struct core *c, struct instance *i)
{
    struct execution *x = i->execution;
    if (execution_terminal(x))
        return;
    x->started_ms = i->started_ms;
    set_status(c, x, EXEC_RUNNING);
    emit_event(c, "job_start", x->deployment->name, x->job, (struct inst_id){ x->id }, "%s",
               x->job);
}

static void when_exited(struct core *c, struct instance *i)
{
    struct execution *x = i->execution;
    if (!x->started_ms)
        x->started_ms = i->started_ms ? i->started_ms : i->exit.wall_ms;
    take_exit(c, x, &i->exit);
    instance_remove(c, i);
}

static void when_failed(struct core *c, struct instance *i, const struct start_failure *f)
{
    execution_fail(c, i->execution, -1, "%s", f->err->msg);
}

static void when_gone(struct core *c, struct instance *i)
{
    i->execution->inst = NULL;
    touch_deployment(c, i->execution->deployment);
}

const struct owner_ops execution_owner_ops = {
    .pulled = when_pulled,
    .up = when_up,
    .exited = when_exited,
    .failed = when_failed,
    .gone = when_gone,
};

/* ---- restore ------------------------------------------------------------------------------ */

void execution_adopt(struct core *c, struct execution *x, struct instance *i)
{
    x->inst = i;
    i->execution = x;
    if (i->version.digest[0] && strcmp(x->digest, i->version.digest) != 0) {
        record_digest(x, i->version.digest);
        mark_dirty(x);
    }
    if (i->state != INST_UP || x->status == EXEC_RUNNING)
        return;
    x->started_ms = i->started_ms;
    set_status(c, x, EXEC_RUNNING);
}

void execution_settle_restored(struct core *c, struct execution *x, bool rebooted)
{
    if (execution_terminal(x) || x->inst)
        return;
    if (x->status == EXEC_PENDING && !rebooted && !x->left_debris)
        return; /* not begun yet: a container that ended is removed after its end is stored */
    x->interrupted = true;
    execution_fail(c, x, -1, "%s", rebooted ? rebooted_reason : lost);
}

/* ---- those of one job ------------------------------------------------------------------- */

/* Calls for executions of the present revision only. */
static bool any_of_revision(const struct service *job, bool (*is)(const struct execution *x))
{
    const struct execution *x;
    TAILQ_FOREACH (x, &job->runs, job_link)
        if (x->revision == job->deployment->revision && is(x))
            return true;
    return false;
}

static bool has_begun(const struct execution *x)
{
    return x->started_ms != 0;
}

static bool has_completed(const struct execution *x)
{
    return x->status == EXEC_COMPLETED;
}

static bool counts_as_run(const struct execution *x)
{
    return !x->interrupted;
}

bool execution_has_run(const struct service *job)
{
    return any_of_revision(job, counts_as_run);
}

bool execution_has_started(const struct service *job)
{
    return any_of_revision(job, has_begun);
}

bool execution_has_completed(const struct service *job)
{
    return any_of_revision(job, has_completed);
}

bool execution_any_busy(const struct service *job)
{
    const struct execution *x;
    TAILQ_FOREACH (x, &job->runs, job_link)
        if (!execution_terminal(x) || (x->inst && !x->inst->ended))
            return true;
    return false;
}

void execution_replace_others(struct core *c, const struct execution *x, const char *why)
{
    struct execution *other;
    TAILQ_FOREACH (other, &x->service->runs, job_link) {
        if (other == x || execution_terminal(other))
            continue;
        why_set(other->reason, "%s", why);
        execution_cancel(c, other, &(struct stop_how){ 0 });
    }
}

void execution_cancel_all(struct core *c, const struct service *job, const struct stop_how *how)
{
    struct execution *x;
    TAILQ_FOREACH (x, &job->runs, job_link)
        if (!execution_terminal(x) || (x->inst && how->force))
            execution_cancel(c, x, how);
}
