// SPDX-License-Identifier: Apache-2.0
/* The store of the simulated agent: rows in arrays. A transaction is a run of store_apply(). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static void copy(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text ? text : "");
}

struct stored_deployment *store_deployment(struct store *s, const char *name)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(s->deployments); i++)
        if (s->deployments[i].used && strcmp(s->deployments[i].name, name) == 0)
            return &s->deployments[i];
    return NULL;
}

struct stored_execution *store_execution(struct store *s, uint64_t id)
{
    for (size_t i = 0; i < ROWS_MAX; i++)
        if (s->executions[i].used && s->executions[i].row.id == id)
            return &s->executions[i];
    return NULL;
}

struct stored_standalone *store_standalone(struct store *s, struct inst_id id)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(s->standalones); i++)
        if (s->standalones[i].used && s->standalones[i].row.id.v == id.v)
            return &s->standalones[i];
    return NULL;
}

static void drop_deployment(struct stored_deployment *d)
{
    if (!d)
        return;
    spec_unref(d->row.spec);
    d->used = false;
}

static void put_deployment(struct store *s, const struct effect *e)
{
    const struct row_deployment *row = &e->deployment;
    struct stored_deployment *d = store_deployment(s, row->name);
    struct spec *spec = spec_ref(row->spec);
    drop_deployment(d);
    for (size_t i = 0; !d && i < ZL_ARRAY_LEN(s->deployments); i++)
        if (!s->deployments[i].used)
            d = &s->deployments[i];
    if (!d)
        abort();
    d->used = true;
    d->row = *row;
    d->row.spec = spec;
    copy(d->name, sizeof d->name, row->name);
    d->row.name = d->name;
    for (size_t i = 0; i < row->n_services; i++) {
        copy(d->service_names[i], sizeof d->service_names[i], row->services[i].name);
        d->services[i] = row->services[i];
        d->services[i].name = d->service_names[i];
        copy(d->digests[i][0], WORDS_MAX, row->services[i].digest);
        copy(d->digests[i][1], WORDS_MAX, row->services[i].previous_digest);
        if (row->services[i].n_attempts > ZL_ARRAY_LEN(d->attempts[i]))
            abort();
        for (size_t k = 0; k < row->services[i].n_attempts; k++)
            d->attempts[i][k] = row->services[i].attempts[k];
        d->services[i].attempts = d->attempts[i];
        d->services[i].digest = d->digests[i][0];
        d->services[i].previous_digest = d->digests[i][1];
    }
    d->row.services = d->services;
}

static void del_deployment(struct store *s, const struct effect *e)
{
    drop_deployment(store_deployment(s, e->deployment.name));
}

static void put_execution(struct store *s, const struct effect *e)
{
    struct stored_execution *x = store_execution(s, e->execution.id);
    for (size_t i = 0; !x && i < ROWS_MAX; i++)
        if (!s->executions[i].used)
            x = &s->executions[i];
    if (!x)
        abort();
    x->used = true;
    x->row = e->execution;
    copy(x->deployment, sizeof x->deployment, e->execution.deployment);
    copy(x->job, sizeof x->job, e->execution.job);
    copy(x->reason, sizeof x->reason, e->execution.reason);
    copy(x->digest, sizeof x->digest, e->execution.digest);
    x->row.deployment = x->deployment;
    x->row.job = x->job;
    x->row.reason = x->reason;
    x->row.digest = x->digest;
}

static void del_execution(struct store *s, const struct effect *e)
{
    struct stored_execution *x = store_execution(s, e->execution.id);
    if (x)
        x->used = false;
}

struct stored_cron *store_cron(struct store *s, const char *deployment, const char *cron)
{
    for (size_t i = 0; i < CRONS_MAX; i++)
        if (s->crons[i].used && strcmp(s->crons[i].deployment, deployment) == 0 &&
            strcmp(s->crons[i].cron, cron) == 0)
            return &s->crons[i];
    return NULL;
}

static void put_cron(struct store *s, const struct effect *e)
{
    struct stored_cron *h = store_cron(s, e->cron.deployment, e->cron.cron);
    for (size_t i = 0; !h && i < CRONS_MAX; i++)
        if (!s->crons[i].used)
            h = &s->crons[i];
    if (!h)
        abort();
    h->used = true;
    h->row = e->cron;
    copy(h->deployment, sizeof h->deployment, e->cron.deployment);
    copy(h->cron, sizeof h->cron, e->cron.cron);
    h->row.deployment = h->deployment;
    h->row.cron = h->cron;
}

static void del_cron(struct store *s, const struct effect *e)
{
    struct stored_cron *h = store_cron(s, e->cron.deployment, e->cron.cron);
    if (h)
        h->used = false;
}

static void drop_standalone(struct stored_standalone *a)
{
    if (!a)
        return;
    spec_unref(a->row.spec);
    a->used = false;
}

static void put_standalone(struct store *s, const struct effect *e)
{
    struct stored_standalone *a = store_standalone(s, e->standalone.id);
    struct spec *spec = spec_ref(e->standalone.spec);
    drop_standalone(a);
    for (size_t i = 0; !a && i < ZL_ARRAY_LEN(s->standalones); i++)
        if (!s->standalones[i].used)
            a = &s->standalones[i];
    if (!a)
        abort();
    a->used = true;
    a->row = e->standalone;
    a->row.spec = spec;
    copy(a->name, sizeof a->name, e->standalone.name);
    copy(a->error, sizeof a->error, e->standalone.error);
    a->row.name = a->name;
    a->row.text = "";
    a->row.error = a->error;
}

static void del_standalone(struct store *s, const struct effect *e)
{
    drop_standalone(store_standalone(s, e->standalone.id));
}

void store_apply(struct store *s, const struct effect *e)
{
    static void (*const apply[EFF_KINDS])(struct store *, const struct effect *) = {
        [EFF_PUT_DEPLOYMENT] = put_deployment,
        [EFF_DEL_DEPLOYMENT] = del_deployment,
        [EFF_PUT_EXECUTION] = put_execution,
        [EFF_DEL_EXECUTION] = del_execution,
        [EFF_PUT_CRON] = put_cron,
        [EFF_DEL_CRON] = del_cron,
        [EFF_PUT_STANDALONE] = put_standalone,
        [EFF_DEL_STANDALONE] = del_standalone,
    };
    if (apply[e->kind])
        apply[e->kind](s, e);
}

void store_clear(struct store *s)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(s->deployments); i++)
        if (s->deployments[i].used)
            drop_deployment(&s->deployments[i]);
    for (size_t i = 0; i < ZL_ARRAY_LEN(s->standalones); i++)
        if (s->standalones[i].used)
            drop_standalone(&s->standalones[i]);
    memset(s, 0, sizeof *s);
}
