// SPDX-License-Identifier: Apache-2.0
#include "core/request.h"

#include <string.h>

#include "base/id.h"
#include "core/deployment.h"
#include "core/execution.h"
#include "core/instance.h"
#include "core/job.h"
#include "core/model/deployment.h"
#include "core/model/execution.h"
#include "core/model/machine.h"
#include "core/model/service.h"
#include "core/schedule.h"
#include "core/service.h"
#include "core/slot.h"
#include "core/stability.h"
#include "core/standalone.h"
#include "core/touch.h"

void request_deploy(struct core *c, const struct event *ev, struct effects *out)
{
    (void)deployment_deploy(c, ev->deploy.spec, ev->deploy.base_dir, &out->refused);
}

static struct deployment *known(const struct core *c, const char *name, struct zl_error *err)
{
    struct deployment *d = deployment_find(c, name);
    if (!d)
        (void)zl_fail(err, ZL_ERR_NOT_FOUND, "there is no deployment '%s'", name);
    return d;
}

void request_down(struct core *c, const struct event *ev, struct effects *out)
{
    struct deployment *d = known(c, ev->down.deployment, &out->refused);
    if (d)
        deployment_remove(
            c, d, &(struct stop_how){ .grace_ms = ev->down.grace_ms, .force = ev->down.force });
}

void request_stop(struct core *c, const struct event *ev, struct effects *out)
{
    struct stop_how how = { .grace_ms = ev->stop.grace_ms, .force = ev->stop.force };
    struct deployment *d = known(c, ev->stop.deployment, &out->refused);
    struct service *s;
    if (!d)
        return;
    const char *name = ev->stop.service;
    s = name ? service_find(d, name) : NULL;
    if (name && (!s || s->absent)) {
        (void)zl_fail(&out->refused, ZL_ERR_NOT_FOUND, "deployment '%s' has no service '%s'",
                      d->name, name);
        return;
    }
    TAILQ_FOREACH (s, &d->services, link)
        if (!s->absent && (!name || strcmp(s->name, name) == 0))
            service_stop(c, s, &how);
    d->dirty = true;
    touch_deployment(c, d);
}

static int restart_replica(struct core *c, struct service *s, uint32_t index, struct zl_error *err)
{
    struct slot *slot = slot_find(s, index);
    if (s->stopped || s->shutdown || s->gave_up)
        return zl_fail(err, ZL_ERR_CONFLICT, "restart '%s-%u': %s %s; restart that", s->name, index,
                       s->name, s->stopped ? "is stopped" : "has failed");
    if (!slot || index > s->desired)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "restart: there is no replica %u of '%s'", index,
                       s->name);
    slot_restart(c, slot);
    return 0;
}

static int restart_service(struct core *c, struct service *s, uint32_t index, struct zl_error *err)
{
    if (s->absent || service_is_job(s))
        return zl_fail(err, ZL_ERR_CONFLICT, "restart '%s': %s", s->name,
                       s->absent ? "it is being removed" : "it is a job; run it again");
    if (index)
        return restart_replica(c, s, index, err);
    return service_restart(c, s) ? 0
                                 : zl_fail(err, ZL_ERR_SYSTEM, "restart '%s': no memory", s->name);
}

void request_restart(struct core *c, const struct event *ev, struct effects *out)
{
    struct deployment *d = known(c, ev->restart.deployment, &out->refused);
    const char *name = ev->restart.service;
    struct service *s = d && name ? service_find(d, name) : NULL;
    if (d && d->removing)
        (void)zl_fail(&out->refused, ZL_ERR_CONFLICT, "restart '%s': it is being removed", d->name);
    else if (d && name && !s)
        (void)zl_fail(&out->refused, ZL_ERR_NOT_FOUND, "deployment '%s' has no service '%s'",
                      d->name, name);
    if (out->refused.kind != ZL_OK ||
        (s && restart_service(c, s, ev->restart.index, &out->refused) < 0))
        return;
    TAILQ_FOREACH (s, &d->services, link)
        if (!name && !s->absent && !service_is_job(s))
            (void)restart_service(c, s, 0, &out->refused);
    stability_begin(c, d);
    d->dirty = true;
}

/* The job of that name; deployment NULL: the only one that has it. */
static struct service *find_job(const struct core *c, const char *deployment, const char *name,
                                const char *wish, struct zl_error *err)
{
    struct deployment *d;
    struct service *found = NULL;
    TAILQ_FOREACH (d, &c->deployments, link) {
        struct service *s = service_find(d, name);
        if (!s || s->absent || !service_is_job(s) || d->removing ||
            (deployment && strcmp(deployment, d->name) != 0))
            continue;
        if (found) {
            (void)zl_fail(err, ZL_ERR_CONFLICT, "%s '%s': both '%s' and '%s' have one", wish, name,
                          found->deployment->name, d->name);
            return NULL;
        }
        found = s;
    }
    if (!found)
        (void)zl_fail(err, ZL_ERR_NOT_FOUND, "%s '%s': there is no such job%s%s", wish, name,
                      deployment ? " in " : "", deployment ? deployment : "");
    return found;
}

void request_job_run(struct core *c, const struct event *ev, struct effects *out)
{
    struct service *job =
        find_job(c, ev->job_run.deployment, ev->job_run.job, "run job", &out->refused);
    if (!job)
        return;
    struct execution *x = job_run(c, job, CAUSE_USER);
    if (!x) {
        (void)zl_fail(&out->refused, ZL_ERR_SYSTEM, "run job '%s': no memory", job->name);
        return;
    }
    out->given_id = x->id;
}

void request_cron_set(struct core *c, const struct event *ev, struct effects *out)
{
    const char *wish = ev->cron_set.enabled ? "enable cron" : "disable cron";
    struct service *job =
        find_job(c, ev->cron_set.deployment, ev->cron_set.cron, wish, &out->refused);
    if (job && !job->schedule)
        (void)zl_fail(&out->refused, ZL_ERR_INVALID, "%s '%s': it is a job without a schedule",
                      wish, job->name);
    else if (job)
        schedule_enable(c, job->schedule, ev->cron_set.enabled);
}

void request_run(struct core *c, const struct event *ev, struct effects *out)
{
    struct inst_id id;
    if (standalone_run(c, ev->run.spec, ev->run.text, ev->run.hold, &id, &out->refused) == 0)
        out->given_id = id.v;
}

static struct execution *find_execution(const struct core *c, struct inst_id id)
{
    const struct instance *i = instance_find(c, id);
    if (i && i->label.owner == OWNER_EXECUTION && i->owner)
        return i->execution;
    return execution_find(c, id.v);
}

/* Of a wish for one that is neither standalone nor of an execution. */
static void not_found(const struct core *c, const struct event *ev, struct effects *out)
{
    char text[ZL_ID_LEN + 1];
    const struct instance *i = instance_find(c, ev->inst.id);
    zl_id_format(ev->inst.id.v, text);
    if (i && i->label.owner == OWNER_REPLICA)
        (void)zl_fail(&out->refused, ZL_ERR_CONFLICT,
                      "container '%s' belongs to the service '%s/%s', which would replace it: stop "
                      "that, or restart the replica",
                      text, i->label.deployment, i->label.service);
    else
        (void)zl_fail(&out->refused, ZL_ERR_NOT_FOUND, "there is no container or execution '%s'",
                      text);
}

void request_inst_stop(struct core *c, const struct event *ev, struct effects *out)
{
    struct stop_how how = { .grace_ms = ev->inst.grace_ms, .force = ev->inst.force };
    struct standalone *a = standalone_find(c, ev->inst.id);
    struct execution *x = a ? NULL : find_execution(c, ev->inst.id);
    if (a)
        standalone_stop(c, a, &how);
    else if (!x)
        not_found(c, ev, out);
    else if (execution_terminal(x) && !(how.force && x->inst))
        (void)zl_fail(&out->refused, ZL_ERR_CONFLICT, "cancel '%s': it is %s already", x->display,
                      execution_status_name(x->status));
    else
        execution_cancel(c, x, &how);
}

void request_inst_remove(struct core *c, const struct event *ev, struct effects *out)
{
    struct stop_how how = { .grace_ms = ev->inst.grace_ms, .force = ev->inst.force };
    struct standalone *a = standalone_find(c, ev->inst.id);
    if (a)
        (void)standalone_remove(c, a, &how, &out->refused);
    else
        not_found(c, ev, out);
}
