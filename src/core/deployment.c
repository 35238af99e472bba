// SPDX-License-Identifier: Apache-2.0
#include "core/deployment.h"

#include <string.h>

#include "core/attempts.h"
#include "core/dependency.h"
#include "core/emit.h"
#include "core/execution.h"
#include "core/instance.h"
#include "core/model/deployment.h"
#include "core/model/execution.h"
#include "core/model/machine.h"
#include "core/model/service.h"
#include "core/model/slot.h"
#include "core/pin.h"
#include "core/renewal.h"
#include "core/service.h"
#include "core/slot.h"
#include "core/stability.h"
#include "core/touch.h"

static const struct inst_id no_inst;

/* ---- life of the object ------------------------------------------------------------------- */

static void free_deployment(struct grave *g)
{
    struct deployment *d = (struct deployment *)g;
    spec_unref(d->spec);
    free(d->service_rows);
    free(d->base_dir);
    free(d->name);
    free(d);
}

static struct deployment *allocate(const char *name)
{
    struct deployment *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->grave.free = free_deployment;
    TAILQ_INIT(&d->services);
    TAILQ_INIT(&d->executions);
    TAILQ_INIT(&d->dirty_executions);
    d->steady_since = NEVER;
    d->name = strdup(name);
    if (!d->name) {
        free_deployment(&d->grave);
        return NULL;
    }
    return d;
}

static void free_contents(struct deployment *d)
{
    struct service *s;
    struct slot *slot;
    struct execution *x;
    while ((s = TAILQ_FIRST(&d->services))) {
        while ((slot = TAILQ_FIRST(&s->slots)))
            slot_free(slot);
        TAILQ_REMOVE(&d->services, s, link);
        s->grave.free(&s->grave);
    }
    while ((x = TAILQ_FIRST(&d->executions))) {
        TAILQ_REMOVE(&d->executions, x, link);
        x->grave.free(&x->grave);
    }
}

void deployment_free_all(struct core *c)
{
    struct deployment *d;
    while ((d = TAILQ_FIRST(&c->deployments))) {
        TAILQ_REMOVE(&c->deployments, d, link);
        free_contents(d);
        free_deployment(&d->grave);
    }
}

const struct row_deployment *deployment_row(struct deployment *d)
{
    const struct service *s;
    size_t n = 0;
    TAILQ_FOREACH (s, &d->services, link) {
        if (s->absent)
            continue;
        struct row_service *row = &d->service_rows[n++];
        *row = (struct row_service){ .name = s->name,
                                     .created_ms = s->created_ms,
                                     .stopped = s->stopped };
        pin_row(s, row);
        attempts_row(s, row);
    }
    d->row = (struct row_deployment){
        .name = d->name,
        .revision = d->revision,
        .spec = d->spec,
        .base_dir = d->base_dir,
        .removing = d->removing,
        .services = d->service_rows,
        .n_services = n,
        .created_ms = d->created_ms,
        .updated_ms = d->updated_ms,
    };
    return &d->row;
}

/* ---- deploy ------------------------------------------------------------------------------- */

static const struct spec_service *in_spec(const struct spec *spec, const char *name)
{
    for (size_t k = 0; k < spec->n_services; k++)
        if (strcmp(spec->services[k].name, name) == 0)
            return &spec->services[k];
    return NULL;
}

static bool changes_anything(const struct deployment *d, const struct spec *spec)
{
    const struct service *s;
    size_t present = 0;
    TAILQ_FOREACH (s, &d->services, link) {
        if (s->absent)
            continue;
        const struct spec_service *now = in_spec(spec, s->name);
        if (!now || now->full_hash != s->target.service->full_hash)
            return true;
        present++;
    }
    return present != spec->n_services;
}

/* The same name with another type is another service. */
static struct service *same_service(const struct deployment *d, const struct spec_service *service)
{
    struct service *s;
    TAILQ_FOREACH (s, &d->services, link)
        if (strcmp(s->name, service->name) == 0 && s->target.service->rtype == service->rtype)
            return s;
    return NULL;
}

/* Failed executions that others wait for are tried again by a deploy. */
static void rerun_failed(struct deployment *d)
{
    struct execution *x;
    TAILQ_FOREACH (x, &d->executions, link)
        if (x->status == EXEC_FAILED || x->status == EXEC_CANCELLED)
            x->interrupted = true;
}

static void mark_absent(struct deployment *d, const struct spec *spec)
{
    struct service *s;
    TAILQ_FOREACH (s, &d->services, link) {
        const struct spec_service *now = in_spec(spec, s->name);
        s->absent |= !now || now->rtype != s->target.service->rtype;
    }
}

static bool retarget_each(struct core *c, struct deployment *d, struct spec *spec)
{
    for (size_t k = 0; k < spec->n_services; k++) {
        struct service *s = same_service(d, &spec->services[k]);
        if (s ? !service_retarget(c, s, spec, &spec->services[k])
              : !service_new(c, d, spec, &spec->services[k]))
            return false;
        s = same_service(d, &spec->services[k]);
        TAILQ_REMOVE(&d->services, s, link); /* file order; what is absent stays in front */
        TAILQ_INSERT_TAIL(&d->services, s, link);
    }
    return true;
}

static bool retarget_services(struct core *c, struct deployment *d, struct spec *spec)
{
    mark_absent(d, spec);
    bool whole = retarget_each(c, d, spec);
    dependency_note(d);
    return whole;
}

/* The memory that a deploy needs for d itself: all or nothing. */
static bool make_room(struct deployment *d, const struct spec *spec, const char *base_dir)
{
    char *dir = base_dir ? strdup(base_dir) : NULL;
    struct row_service *rows = calloc(spec->n_services + 1, sizeof *rows);
    if (!rows || (base_dir && !dir)) {
        free(dir);
        free(rows);
        return false;
    }
    free(d->base_dir);
    free(d->service_rows);
    d->base_dir = dir;
    d->service_rows = rows;
    return true;
}

static void take_spec(struct deployment *d, struct spec *spec)
{
    struct spec *old = d->spec;
    d->spec = spec_ref(spec);
    spec_unref(old);
}

int deployment_deploy(struct core *c, struct spec *spec, const char *base_dir, struct zl_error *err)
{
    struct deployment *d = deployment_find(c, spec->deployment), *fresh = NULL;
    if (d && d->removing)
        return zl_fail(err, ZL_ERR_CONFLICT, "deploy '%s': it is being removed", d->name);
    if (!d)
        d = fresh = allocate(spec->deployment);
    if (!d || !make_room(d, spec, base_dir)) {
        if (fresh)
            free_deployment(&fresh->grave);
        return zl_fail(err, ZL_ERR_SYSTEM, "deploy '%s': no memory", spec->deployment);
    }
    d->revision += fresh || changes_anything(d, spec);
    rerun_failed(d);
    take_spec(d, spec);
    d->updated_ms = c->now.wall_ms;
    if (fresh) {
        d->created_ms = c->now.wall_ms;
        TAILQ_INSERT_TAIL(&c->deployments, d, link);
    }
    bool whole = retarget_services(c, d, spec);
    stability_begin(c, d);
    d->dirty = true;
    emit_event(c, "deploy", d->name, "", no_inst, "revision %llu", (unsigned long long)d->revision);
    if (!whole)
        return zl_fail(err, ZL_ERR_SYSTEM, "deploy '%s': no memory; deploy it again", d->name);
    return 0;
}

void deployments_answer(struct core *c, uint64_t op, const struct outcome *o)
{
    struct deployment *d;
    struct service *s;
    TAILQ_FOREACH (d, &c->deployments, link)
        TAILQ_FOREACH (s, &d->services, link)
            renewal_answer(c, s, op, o);
}

static bool recall_services(struct deployment *d, const struct row_deployment *row)
{
    struct service *s;
    bool whole = true;
    TAILQ_FOREACH (s, &d->services, link)
        s->created_ms = row->created_ms;
    for (size_t k = 0; k < row->n_services; k++) {
        const struct row_service *was = &row->services[k];
        s = service_find(d, was->name);
        if (!s)
            continue;
        s->stopped = was->stopped;
        pin_recall(s, was);
        whole &= attempts_load(s, was);
        if (was->created_ms)
            s->created_ms = was->created_ms;
    }
    return whole;
}

struct deployment *deployment_load(struct core *c, const struct row_deployment *row)
{
    struct deployment *d = allocate(row->name);
    if (!d)
        return NULL;
    TAILQ_INSERT_TAIL(&c->deployments, d, link); /* from here core_free frees it */
    d->revision = row->revision;
    d->created_ms = row->created_ms;
    d->updated_ms = row->updated_ms;
    d->removing = row->removing;
    if (!make_room(d, row->spec, row->base_dir))
        return NULL;
    take_spec(d, row->spec);
    if (!retarget_services(c, d, row->spec) || !recall_services(d, row))
        return NULL;
    stability_begin(c, d);
    return d;
}

/* ---- removal ------------------------------------------------------------------------------ */

void deployment_remove(struct core *c, struct deployment *d, const struct stop_how *how)
{
    d->dirty |= !d->removing;
    d->removing = true;
    d->remove_how = *how;
    stability_set(c, d, DEP_STOPPING, "");
    touch_deployment(c, d);
}

static bool has_instances(const struct core *c, const struct deployment *d)
{
    const struct instance *i;
    TAILQ_FOREACH (i, &c->instances, link)
        if (i->label.owner != OWNER_STANDALONE && strcmp(i->label.deployment, d->name) == 0)
            return true;
    return false;
}

/* `down` leaves nothing, but what the document asks for. All of it lies together: as long as that
 * of the service which wants it longest. */
static uint64_t logs_kept_s(const struct spec *spec)
{
    uint64_t longest = 0;
    for (size_t i = 0; i < spec->n_services; i++) {
        const struct spec_logs *logs = spec->services[i].logs;
        if (logs && logs->retention_secs > longest)
            longest = logs->retention_secs;
    }
    return longest;
}

static void finish_removal(struct core *c, struct deployment *d)
{
    struct service *s;
    struct execution *x;
    TAILQ_FOREACH (s, &d->services, link)
        if (!TAILQ_EMPTY(&s->slots))
            return;
    if (has_instances(c, d))
        return;
    while ((x = TAILQ_FIRST(&d->executions)))
        execution_delete(c, x);
    while ((s = TAILQ_FIRST(&d->services)))
        service_bury(c, s);
    struct effect *e = emit_store(c, EFF_DEL_DEPLOYMENT);
    e->deployment.name = d->name;
    e->logs_kept_s = logs_kept_s(d->spec);
    emit_event(c, "remove", d->name, "", no_inst, "%s", d->name);
    TAILQ_REMOVE(&c->deployments, d, link);
    untouch_deployment(c, d);
    core_bury(c, &d->grave);
    c->changed = true;
}

static bool has_running_executions(const struct service *job)
{
    const struct execution *x;
    TAILQ_FOREACH (x, &job->runs, job_link)
        if (x->inst)
            return true;
    return false;
}

/* They are cancelled, and forgotten when nothing of them runs. */
static void bury_orphans(struct core *c, struct deployment *d)
{
    struct execution *x, *after;
    d->orphans = false;
    for (x = TAILQ_FIRST(&d->executions); x; x = after) {
        after = TAILQ_NEXT(x, link);
        if (x->service)
            continue;
        if (!execution_terminal(x))
            execution_cancel(c, x, &(struct stop_how){ 0 });
        if (x->inst)
            d->orphans = true;
        else
            execution_delete(c, x);
    }
}

/* Services that the document has no more, and executions of jobs that it has no more. */
static void bury_absent(struct core *c, struct deployment *d)
{
    struct service *s, *next;
    for (s = TAILQ_FIRST(&d->services); s; s = next) {
        next = TAILQ_NEXT(s, link);
        bool gone = service_is_job(s) ? !has_running_executions(s) : service_unwanted(s);
        if (s->absent && gone && TAILQ_EMPTY(&s->slots)) {
            emit_event(c, "remove", d->name, s->name, no_inst, "%s is not in the document any more",
                       s->name);
            service_bury(c, s);
            touch_deployment(c, d);
        }
    }
    if (d->orphans)
        bury_orphans(c, d);
}

/* ---- is all as asked for ------------------------------------------------------------------ */

void deployment_reconcile(struct core *c, struct deployment *d)
{
    struct service *s;
    TAILQ_FOREACH (s, &d->services, link)
        service_reconcile(c, s);
    if (d->removing) {
        finish_removal(c, d);
        return;
    }
    bury_absent(c, d);
    stability_check(c, d);
}

uint64_t deployment_deadline(const struct core *c, const struct deployment *d)
{
    uint64_t at = NEVER;
    const struct service *s;
    const struct execution *x;
    TAILQ_FOREACH (s, &d->services, link)
        earlier(&at, service_deadline(s, c->now.mono_ms));
    TAILQ_FOREACH (x, &d->executions, link)
        earlier(&at, execution_deadline(x, c->now.mono_ms));
    if (!d->removing)
        earlier(&at, stability_deadline(c, d));
    return at;
}
