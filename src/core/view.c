// SPDX-License-Identifier: Apache-2.0
/* Flat rows for the API. */
#include "core/view.h"

#include <string.h>

#include "core/deployment.h"
#include "core/execution.h"
#include "core/instance.h"
#include "core/model/deployment.h"
#include "core/model/execution.h"
#include "core/model/instance.h"
#include "core/model/machine.h"
#include "core/model/schedule.h"
#include "core/model/service.h"
#include "core/model/slot.h"
#include "core/model/standalone.h"
#include "core/schedule.h"
#include "core/service.h"
#include "core/slot.h"
#include "core/stability.h"
#include "core/standalone.h"

/* ---- deployments and services ------------------------------------------------------------- */

static bool is_asked(const char *asked, const char *name)
{
    return !asked || strcmp(asked, name) == 0;
}

void core_each_deployment(const struct core *c, view_deployment_fn fn, void *arg)
{
    struct deployment *d;
    TAILQ_FOREACH (d, &c->deployments, link) {
        struct view_deployment v = {
            .row = deployment_row(d),
            .status = d->status,
            .message = d->message,
            .ready = stability_is_ready(d),
        };
        if (!fn(arg, &v))
            return;
    }
}

static const char *service_status(const struct service *s, const struct service_counts *n)
{
    if (service_is_job(s))
        return "registered";
    if (service_failed(s))
        return "failed";
    if (s->stopped)
        return "stopped";
    if (service_unwanted(s) || s->absent)
        return "removing";
    if (n->running == s->desired)
        return "running";
    return n->running ? "scaling" : "pending";
}

/* The service's own reason, else that of the first replica that has one. */
static const char *service_why(const struct service *s)
{
    const struct slot *slot;
    if (s->why[0])
        return s->why;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (slot->why[0] && !slot_up(slot))
            return slot->why;
    return "";
}

void core_each_service(const struct core *c, const char *deployment, view_service_fn fn, void *arg)
{
    const struct deployment *d;
    const struct service *s;
    TAILQ_FOREACH (d, &c->deployments, link) {
        if (!is_asked(deployment, d->name))
            continue;
        TAILQ_FOREACH (s, &d->services, link) {
            struct service_counts n = service_count(s);
            struct view_service v = {
                .deployment = d->name,
                .service = s->target.service,
                .desired = s->stopped ? 0 : s->desired,
                .running = n.running,
                .healthy = n.healthy,
                .stopped = s->stopped,
                .status = service_status(s, &n),
                .why = service_why(s),
                .created_ms = s->created_ms,
                .digest = s->target.digest,
                .previous_digest = s->previous_digest,
            };
            if (!fn(arg, &v))
                return;
        }
    }
}

/* ---- containers --------------------------------------------------------------------------- */

static struct view_container of_instance(const struct instance *i)
{
    return (struct view_container){
        .id = i->id,
        .label = i->label,
        .name = i->display,
        .service = i->version.service,
        .state = i->state,
        .health = i->health.state,
        .health_reason = i->health.reason,
        .why = i->why,
        .pid = i->state == INST_UP || i->state == INST_STOPPING ? i->pid : 0,
        .created_ms = i->created_ms,
        .started_ms = i->started_ms,
        .has_exit = i->has_exit,
        .exit = i->exit,
    };
}

static const char *slot_why(const struct slot *s)
{
    if (s->inst && s->inst->why[0])
        return s->inst->why;
    if (s->why[0] || s->inst)
        return slot_up(s) ? "" : s->why;
    return s->service->why;
}

static struct view_container of_slot(const struct slot *s)
{
    struct view_container v = { .health_reason = "", .state = INST_WAITING };
    if (s->inst)
        v = of_instance(s->inst);
    v.label = (struct inst_label){
        .owner = OWNER_REPLICA,
        .deployment = s->service->deployment->name,
        .service = s->service->name,
        .role = "default",
        .index = s->index,
        .spec_hash = s->inst ? s->inst->label.spec_hash : s->version.hash,
    };
    v.name = s->display;
    if (!v.service)
        v.service = s->version.service ? s->version.service : s->service->target.service;
    v.why = slot_why(s);
    v.restarts = s->restarts;
    v.ended = slot_ended(s);
    v.crash_loop = s->supervision.crash_loop && !slot_up(s);
    if (!v.has_exit && s->has_exit) {
        v.has_exit = true;
        v.exit = s->exit;
    }
    return v;
}

static struct view_container of_standalone(const struct standalone *a)
{
    struct view_container v = {
        .id = a->id,
        .service = &a->spec->services[0],
        .state = a->exited ? INST_EXITED : INST_WAITING,
        .health_reason = "",
    };
    if (a->inst)
        v = of_instance(a->inst);
    v.label = (struct inst_label){
        .owner = OWNER_STANDALONE,
        .deployment = "-",
        .service = a->name,
        .role = "default",
        .spec_hash = a->spec->services[0].container_hash,
    };
    v.name = a->name;
    v.why = a->error;
    v.created_ms = a->created_ms;
    v.started_ms = a->started_ms;
    v.has_exit = a->exited;
    v.exit = a->exit;
    return v;
}

static bool each_of_deployment(const struct deployment *d, view_container_fn fn, void *arg)
{
    const struct service *s;
    const struct slot *slot;
    const struct execution *x;
    struct view_container v;
    TAILQ_FOREACH (s, &d->services, link) {
        TAILQ_FOREACH (slot, &s->slots, link) {
            v = of_slot(slot);
            if (!fn(arg, &v))
                return false;
        }
    }
    TAILQ_FOREACH (x, &d->executions, link) {
        if (!x->inst)
            continue;
        v = of_instance(x->inst);
        if (!fn(arg, &v))
            return false;
    }
    return true;
}

/* What nobody owns any more, but is still there. */
static bool each_leftover(const struct core *c, const char *deployment, view_container_fn fn,
                          void *arg)
{
    const struct instance *i;
    TAILQ_FOREACH (i, &c->instances, link) {
        if (i->owner || !is_asked(deployment, i->label.deployment))
            continue;
        struct view_container v = of_instance(i);
        if (!fn(arg, &v))
            return false;
    }
    return true;
}

void core_each_container(const struct core *c, const char *deployment, view_container_fn fn,
                         void *arg)
{
    const struct deployment *d;
    const struct standalone *a;
    TAILQ_FOREACH (d, &c->deployments, link)
        if (is_asked(deployment, d->name) && !each_of_deployment(d, fn, arg))
            return;
    if (is_asked(deployment, "-")) {
        TAILQ_FOREACH (a, &c->standalones, link) {
            struct view_container v = of_standalone(a);
            if (!fn(arg, &v))
                return;
        }
    }
    (void)each_leftover(c, deployment, fn, arg);
}

bool core_find_container(const struct core *c, struct inst_id id, struct view_container *ret)
{
    const struct standalone *a = standalone_find(c, id);
    const struct instance *i = a ? a->inst : instance_find(c, id);
    if (!a && !i)
        return false;
    if (a)
        *ret = of_standalone(a);
    else if (i->owner && i->label.owner == OWNER_REPLICA)
        *ret = of_slot(i->slot);
    else
        *ret = of_instance(i); /* of executions, and what nobody owns any more */
    return true;
}

/* ---- executions --------------------------------------------------------------------------- */

void core_each_execution(const struct core *c, const char *deployment, const char *job,
                         view_execution_fn fn, void *arg)
{
    const struct deployment *d;
    const struct execution *x;
    TAILQ_FOREACH (d, &c->deployments, link) {
        if (!is_asked(deployment, d->name))
            continue;
        TAILQ_FOREACH_REVERSE (x, &d->executions, execution_list, link) {
            struct row_execution row;
            if (!is_asked(job, x->job))
                continue;
            execution_row(x, &row);
            if (!fn(arg, &row))
                return;
        }
    }
}

/* ---- crons -------------------------------------------------------------------------------- */

static struct view_cron of_cron(const struct service *s)
{
    const struct schedule *h = s->schedule;
    struct view_cron v = {
        .row = &h->row,
        .service = s->target.service,
        .time_zone = h->options->time_zone,
        .next_ms = schedule_next_ms(h),
        .why = schedule_why(h),
    };
    const struct execution *x;
    TAILQ_FOREACH (x, &s->runs, job_link) {
        v.running += !execution_terminal(x);
        if (x->id == h->row.last_execution) {
            v.has_last = true;
            execution_row(x, &v.last);
        }
    }
    return v;
}

void core_each_cron(const struct core *c, const char *deployment, view_cron_fn fn, void *arg)
{
    const struct deployment *d;
    const struct service *s;
    TAILQ_FOREACH (d, &c->deployments, link) {
        TAILQ_FOREACH (s, &d->services, link) {
            if (!s->schedule || s->absent || !is_asked(deployment, d->name))
                continue;
            struct view_cron v = of_cron(s);
            if (!fn(arg, &v))
                return;
        }
    }
}

/* ---- images ------------------------------------------------------------------------------- */

static bool each_of_service(const struct spec_service *s, view_image_fn fn, void *arg)
{
    if (!s)
        return true; /* a version that is not set */
    for (size_t i = 0; i < s->n_groups; i++) {
        if (s->groups[i].image && !fn(arg, s->groups[i].image->name))
            return false;
    }
    return fn(arg, s->image.name);
}

static bool each_of_spec(const struct spec *spec, view_image_fn fn, void *arg)
{
    for (size_t i = 0; spec && i < spec->n_services; i++) {
        if (!each_of_service(&spec->services[i], fn, arg))
            return false;
    }
    return true;
}

static bool each_digest(const struct service *s, view_image_fn fn, void *arg)
{
    const char *digests[] = { s->target.digest, s->previous_digest };
    for (size_t i = 0; i < ZL_ARRAY_LEN(digests); i++) {
        if (digests[i][0] && !fn(arg, digests[i]))
            return false;
    }
    return true;
}

/* Slots may lag behind their deployment's spec, or be about to return to an older one. */
static bool each_of_slots(const struct deployment *d, view_image_fn fn, void *arg)
{
    const struct service *s;
    const struct slot *slot;
    TAILQ_FOREACH (s, &d->services, link) {
        if (!each_of_service(s->target.service, fn, arg) || !each_digest(s, fn, arg))
            return false;
        TAILQ_FOREACH (slot, &s->slots, link) {
            if (!each_of_service(slot->version.service, fn, arg) ||
                !each_of_service(slot->previous.service, fn, arg))
                return false;
        }
    }
    return true;
}

void core_each_image(const struct core *c, view_image_fn fn, void *arg)
{
    const struct deployment *d;
    const struct standalone *a;
    const struct instance *i;
    const struct execution *x;
    TAILQ_FOREACH (d, &c->deployments, link) {
        if (!each_of_spec(d->spec, fn, arg) || !each_of_slots(d, fn, arg))
            return;
        TAILQ_FOREACH (x, &d->executions, link) {
            if (!each_of_service(x->version.service, fn, arg) ||
                (!execution_terminal(x) && x->digest[0] && !fn(arg, x->digest)))
                return;
        }
    }
    TAILQ_FOREACH (a, &c->standalones, link) {
        if (!each_of_spec(a->spec, fn, arg))
            return;
    }
    TAILQ_FOREACH (i, &c->instances, link) {
        if (!each_of_service(i->version.service, fn, arg))
            return;
    }
}
