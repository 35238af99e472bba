// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOP_WINDOW_MS = 300 * 1000, LOOP_PAUSE_MS = 30 * 1000, UP_FOR_LONG_MS = 600 * 1000 };

void check_reset(struct checks *k)
{
    for (size_t i = 0; i < WISHES_MAX; i++)
        if (k->wishes[i].used)
            spec_unref(k->wishes[i].spec);
    memset(k, 0, sizeof *k);
}

void violation(struct world *w, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    world_log(w, "VIOLATION: %s", text);
    if (w->checks->violations++ == 0)
        (void)snprintf(w->checks->first, sizeof w->checks->first, "step %zu: %s", w->steps, text);
}

/* ---- wishes ------------------------------------------------------------------------------- */

struct wish *wish_find(struct checks *k, const char *deployment)
{
    for (size_t i = 0; i < WISHES_MAX; i++)
        if (k->wishes[i].used && strcmp(k->wishes[i].name, deployment) == 0)
            return &k->wishes[i];
    return NULL;
}

const struct spec_service *wish_service(const struct wish *d, const char *name,
                                        struct service_wish **ret)
{
    for (size_t i = 0; d && i < d->spec->n_services; i++) {
        if (strcmp(d->spec->services[i].name, name) != 0)
            continue;
        if (ret)
            *ret = &((struct wish *)(uintptr_t)d)->services[i];
        return &d->spec->services[i];
    }
    return NULL;
}

static const struct row_deployment *row_of(struct world *w, const char *deployment)
{
    const struct row_deployment *row = NULL;
    for (size_t i = 0; i < w->out.commit; i++) /* about to be stored */
        if (w->out.v[i].kind == EFF_PUT_DEPLOYMENT &&
            strcmp(w->out.v[i].deployment.name, deployment) == 0)
            row = &w->out.v[i].deployment;
    const struct stored_deployment *stored = row ? NULL : store_deployment(&w->store, deployment);
    return stored ? &stored->row : row;
}

uint64_t wish_hash(struct world *w, const char *deployment, const struct spec_service *s)
{
    const struct row_deployment *row = row_of(w, deployment);
    for (size_t i = 0; row && i < row->n_services; i++)
        if (strcmp(row->services[i].name, s->name) == 0)
            return core_replica_hash(s, row->services[i].renewals);
    return s->container_hash;
}

static bool same_edges(const struct spec_service *a, const struct spec_service *b)
{
    if (a->n_depends != b->n_depends)
        return false;
    for (size_t i = 0; i < a->n_depends; i++)
        if (strcmp(a->depends[i].service, b->depends[i].service) != 0 ||
            a->depends[i].condition != b->depends[i].condition)
            return false;
    return true;
}

/* What a service keeps of its past when the document changes. */
static struct service_wish carry_over(struct world *w, const struct wish *old,
                                      const struct spec_service *s)
{
    struct service_wish *was, now = { .since = w->mono_ms };
    const struct spec_service *before = old ? wish_service(old, s->name, &was) : NULL;
    if (!before || before->rtype != s->rtype || was->stopped ||
        before->container_hash != s->container_hash || s->image.pull == SPEC_PULL_ALWAYS ||
        !same_edges(before, s))
        return now;
    now = *was;
    memset(now.slots, 0, sizeof now.slots);
    return now;
}

/* Containers are probed as the newest document says that fits them; what they have earned stays. */
void wish_health(struct world *w, struct container *c, bool any_version)
{
    const struct spec_service *s =
        wish_service(wish_find(w->checks, c->deployment), c->service, NULL);
    if (c->owner != OWNER_REPLICA || !s ||
        (!any_version && wish_hash(w, c->deployment, s) != c->spec_hash))
        return;
    if (c->checked == s->health.written)
        return;
    if (!c->checked)
        c->healthy = c->known_up;
    c->checked = s->health.written;
    c->retries = s->health.retries;
    c->failures = 0;
}

static void wish_deployed(struct world *w, const struct event *ev)
{
    struct spec *spec = ev->deploy.spec;
    struct checks *k = w->checks;
    struct wish *d = wish_find(k, spec->deployment), old = { 0 };
    for (size_t i = 0; !d && i < WISHES_MAX; i++)
        if (!k->wishes[i].used)
            d = &k->wishes[i];
    if (!d)
        abort();
    old = *d;
    memset(d, 0, sizeof *d);
    d->used = true;
    d->spec = spec_ref(spec);
    (void)snprintf(d->name, sizeof d->name, "%s", spec->deployment);
    for (size_t i = 0; i < spec->n_services; i++)
        d->services[i] = carry_over(w, old.used ? &old : NULL, &spec->services[i]);
    if (old.used)
        spec_unref(old.spec);
    for (size_t i = 0; i < w->n_containers; i++)
        wish_health(w, &w->containers[i], false);
    for (size_t i = 0; i < w->n_items; i++) /* and those whose creation is under way */
        if (w->items[i].request == EFF_CREATE && w->items[i].wanted.id.v)
            wish_health(w, &w->items[i].wanted, false);
}

static void wish_down(struct world *w, const struct event *ev)
{
    struct wish *d = wish_find(w->checks, ev->down.deployment);
    if (d)
        d->removing = true;
}

static void wish_stop(struct world *w, const struct event *ev)
{
    struct wish *d = wish_find(w->checks, ev->stop.deployment);
    for (size_t i = 0; d && i < d->spec->n_services; i++)
        if (!ev->stop.service || strcmp(d->spec->services[i].name, ev->stop.service) == 0)
            d->services[i].stopped = true;
}

/* What was stopped starts again, and by a user's will, not as a crash asks for. A service that
 * waits has its dependencies looked at anew. */
static void wish_restart(struct world *w, const struct event *ev)
{
    struct wish *d = wish_find(w->checks, ev->restart.deployment);
    for (size_t i = 0; d && i < d->spec->n_services; i++) {
        struct service_wish *s = &d->services[i];
        if (d->spec->services[i].rtype != SPEC_SERVICE ||
            (ev->restart.service && strcmp(d->spec->services[i].name, ev->restart.service) != 0))
            continue;
        if (!ev->restart.index && s->stopped)
            *s = (struct service_wish){ .since = w->mono_ms };
        if (!ev->restart.index)
            memset(s->slots, 0, sizeof s->slots);
        else if (ev->restart.index < SLOTS_MAX)
            memset(&s->slots[ev->restart.index], 0, sizeof s->slots[0]);
    }
}

void wish_granted(struct world *w, const struct event *ev)
{
    static void (*const wishes[EV_KINDS])(struct world *, const struct event *) = {
        [EV_DEPLOY] = wish_deployed,
        [EV_DOWN] = wish_down,
        [EV_STOP] = wish_stop,
        [EV_RESTART] = wish_restart,
    };
    if (w->out.refused.kind == ZL_OK && wishes[ev->kind])
        wishes[ev->kind](w, ev);
}

/* One of the present version is there, wherever it comes from: others may follow. */
void check_found(struct world *w, const struct container *c)
{
    struct service_wish *mine;
    const struct spec_service *s =
        wish_service(wish_find(w->checks, c->deployment), c->service, &mine);
    if (s && c->owner == OWNER_REPLICA && c->state == C_RUNNING &&
        c->spec_hash == wish_hash(w, c->deployment, s))
        mine->created = true;
}

void check_agent_started(struct world *w)
{
    for (size_t i = 0; i < WISHES_MAX; i++)
        for (size_t j = 0; j < DOC_SERVICES; j++)
            memset(w->checks->wishes[i].services[j].slots, 0,
                   sizeof w->checks->wishes[i].services[j].slots);
}

/* ---- what the world knows of containers --------------------------------------------------- */

/* As far as core can know: an exit that it was not told of yet has not happened. */
bool container_is_healthy(const struct container *c)
{
    return c->known_up && (!c->checked || c->healthy);
}

static bool is_of(const struct container *c, const char *deployment, const char *service)
{
    return c->owner == OWNER_REPLICA && strcmp(c->deployment, deployment) == 0 &&
           strcmp(c->service, service) == 0;
}

static bool same_slot(const struct container *a, const struct container *b)
{
    return a != b && is_of(a, b->deployment, b->service) && a->index == b->index;
}

/* Of this service; not counting those that core asked to stop, in this step or before. */
static uint32_t healthy_ones(const struct world *w, const char *deployment, const char *service)
{
    uint32_t n = 0;
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container *c = &w->containers[i];
        n += is_of(c, deployment, service) && !c->unwanted && c->condemned_in != w->steps &&
             container_is_healthy(c);
    }
    return n;
}

static uint32_t running_ones(const struct world *w, const char *deployment, const char *service)
{
    uint32_t n = 0;
    for (size_t i = 0; i < w->n_containers; i++)
        n += is_of(&w->containers[i], deployment, service) && w->containers[i].known_up;
    return n;
}

/* ---- dependencies ------------------------------------------------------------------------- */

static bool job_reached(const struct world *w, const struct wish *d, const char *job,
                        bool completed)
{
    struct stored_deployment *row = store_deployment((struct store *)(uintptr_t)&w->store, d->name);
    for (size_t i = 0; row && i < ROWS_MAX; i++) {
        const struct stored_execution *x = &w->store.executions[i];
        if (!x->used || strcmp(x->job, job) != 0 || strcmp(x->deployment, d->name) != 0 ||
            x->row.revision != row->row.revision)
            continue;
        if (completed ? x->row.status == EXEC_COMPLETED : x->row.started_ms != 0)
            return true;
    }
    return false;
}

static bool edge_holds(const struct world *w, const struct wish *d, const struct spec_depends *e)
{
    const struct spec_service *on = wish_service(d, e->service, NULL);
    if (on->rtype != SPEC_SERVICE)
        return job_reached(w, d, e->service, e->condition != SPEC_STARTED);
    if (e->condition == SPEC_STARTED)
        return running_ones(w, d->name, e->service) > 0;
    uint32_t least = e->condition == SPEC_READY && on->n_endpoints ? 1 : on->replicas;
    return least > 0 && healthy_ones(w, d->name, e->service) >= least;
}

static void note_edges(struct world *w, struct wish *d)
{
    for (size_t i = 0; i < d->spec->n_services; i++) {
        const struct spec_service *s = &d->spec->services[i];
        for (size_t k = 0; k < s->n_depends; k++)
            if (!d->services[i].held[k] && edge_holds(w, d, &s->depends[k]))
                d->services[i].held[k] = true;
    }
}

static void check_edges(struct world *w, const struct wish *d, const struct spec_service *s,
                        const struct service_wish *mine)
{
    if (mine->created)
        return;
    for (size_t k = 0; k < s->n_depends; k++) {
        const struct spec_depends *e = &s->depends[k];
        bool waived =
            e->on_timeout != SPEC_TIMEOUT_FAIL && w->mono_ms - mine->since >= e->timeout_ms;
        if (!mine->held[k] && !waived && !edge_holds(w, d, e))
            violation(w, "%s/%s is made before %s was %s", d->name, s->name, e->service,
                      spec_condition_name(e->condition));
    }
}

/* ---- making containers -------------------------------------------------------------------- */

static void check_alone(struct world *w, const struct effect *e)
{
    const struct inst_label *l = &e->create.label;
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container *c = &w->containers[i];
        if (!is_of(c, l->deployment, l->service) || c->index != l->index)
            continue;
        if (c->state == C_RUNNING || (c->state == C_CREATED && !c->unwanted))
            violation(w, "%s/%s-%u is made while %llx of the same slot is there", l->deployment,
                      l->service, l->index, (unsigned long long)c->id.v);
    }
}

/* Restarts come no faster than 0, 1, 2, 4, … 60 s apart, and 30 s after the sixth crash in 300 s.
 */
static void check_pace(struct world *w, struct slot_history *h, const struct inst_label *l)
{
    uint64_t now = w->mono_ms;
    uint32_t n = h->n_creates < CREATES_MAX ? h->n_creates : CREATES_MAX;
    if (h->hash != l->spec_hash || n == 0) {
        *h = (struct slot_history){
            .hash = l->spec_hash, .creates = { now }, .n_creates = 1, .streak = 1
        };
        return;
    }
    uint64_t last = h->creates[n - 1], pause = 0;
    if (h->streak >= 2)
        pause = h->streak - 2 >= 6 ? 60000 : UINT64_C(1000) << (h->streak - 2);
    h->streak = now - last >= UP_FOR_LONG_MS ? 1 : h->streak + 1;
    if (now - last < pause)
        violation(w, "%s/%s-%u is made again after %llu ms instead of %llu", l->deployment,
                  l->service, l->index, (unsigned long long)(now - last),
                  (unsigned long long)pause);
    if (n >= 6 && now - h->creates[n - 6] <= LOOP_WINDOW_MS && now - last < LOOP_PAUSE_MS)
        violation(w, "%s/%s-%u is in a crash loop, and made again after %llu ms", l->deployment,
                  l->service, l->index, (unsigned long long)(now - last));
    if (n == CREATES_MAX)
        memmove(h->creates, h->creates + 1, --n * sizeof h->creates[0]);
    h->creates[n] = now;
    h->n_creates++;
}

/* Whatever its name means by now, one version has one image. */
static void check_pin(struct world *w, struct service_wish *mine, const struct effect *e)
{
    const struct inst_label *l = &e->create.label;
    const char *digest = e->create.image_digest ? e->create.image_digest : "";
    if (mine->pin_hash == l->spec_hash && strcmp(mine->digest, digest) != 0)
        violation(w, "%s/%s-%u is made of %s, and others of the same version of %s", l->deployment,
                  l->service, l->index, digest, mine->digest);
    mine->pin_hash = l->spec_hash;
    (void)snprintf(mine->digest, sizeof mine->digest, "%s", digest);
}

static void check_create_replica(struct world *w, const struct effect *e)
{
    const struct inst_label *l = &e->create.label;
    struct wish *d = wish_find(w->checks, l->deployment);
    struct service_wish *mine = NULL;
    check_alone(w, e);
    if (!store_deployment(&w->store, l->deployment))
        violation(w, "%s/%s-%u is made for a deployment that is not stored", l->deployment,
                  l->service, l->index);
    const struct spec_service *s = d ? wish_service(d, l->service, &mine) : NULL;
    if (!s)
        return; /* of a service that waits for its removal */
    if (mine->stopped || d->removing || l->index > s->replicas + 1)
        violation(w, "%s/%s-%u is made, but nobody wants it", l->deployment, l->service, l->index);
    if (l->index >= 1 && l->index < SLOTS_MAX)
        check_pace(w, &mine->slots[l->index], l);
    if (!e->create.image_digest)
        violation(w, "%s/%s-%u is made of an image that is not settled", l->deployment, l->service,
                  l->index);
    if (l->spec_hash != wish_hash(w, l->deployment, s))
        return;
    check_pin(w, mine, e);
    check_edges(w, d, s, mine);
    mine->created = true;
}

/* What the deployment has recorded for a job; NULL: not for this version of it. */
static const char *recorded(struct world *w, const struct inst_label *l)
{
    const struct stored_deployment *d = store_deployment(&w->store, l->deployment);
    for (size_t i = 0; d && i < d->row.n_services; i++) {
        const struct spec_service *s = &d->row.spec->services[i];
        if (strcmp(s->name, l->service) == 0 && s->container_hash == l->spec_hash)
            for (size_t k = 0; k < d->row.n_services; k++)
                if (strcmp(d->row.services[k].name, l->service) == 0)
                    return d->row.services[k].digest;
    }
    return NULL;
}

/* What it was made of is recorded with it; unless each execution asks, all are of what the
 * deployment has recorded. */
static void check_execution_pin(struct world *w, const struct stored_execution *x,
                                const struct effect *e)
{
    const char *digest = e->create.image_digest ? e->create.image_digest : "";
    const char *of_all = recorded(w, &e->create.label);
    enum spec_pull pull = e->create.service->image.pull;
    if (!digest[0] || strcmp(x->digest, digest) != 0)
        violation(w, "execution %llx is made of '%s', and stored is '%s'",
                  (unsigned long long)x->row.id, digest, x->digest);
    if (of_all && pull != SPEC_PULL_ALWAYS && pull != SPEC_PULL_NEWER &&
        strcmp(of_all, digest) != 0)
        violation(w, "execution %llx is of %s, not of %s as its revision",
                  (unsigned long long)x->row.id, digest, of_all);
}

static void check_create_execution(struct world *w, const struct effect *e)
{
    const struct stored_execution *x = store_execution(&w->store, e->create.label.execution);
    if (!x || (x->row.status != EXEC_PENDING && x->row.status != EXEC_RUNNING))
        violation(w, "a container for execution %llx, which is %s",
                  (unsigned long long)e->create.label.execution,
                  x ? execution_status_name(x->row.status) : "not stored");
    else
        check_execution_pin(w, x, e);
}

static void check_create_standalone(struct world *w, const struct effect *e)
{
    if (!store_standalone(&w->store, e->inst))
        violation(w, "a standalone container %s that is not stored", e->create.label.service);
}

void check_begun(struct world *w, const struct effect *e)
{
    static void (*const checks[])(struct world *, const struct effect *) = {
        [OWNER_REPLICA] = check_create_replica,
        [OWNER_EXECUTION] = check_create_execution,
        [OWNER_STANDALONE] = check_create_standalone,
    };
    if (e->kind == EFF_CREATE)
        checks[e->create.label.owner](w, e);
}

/* ---- taking containers away --------------------------------------------------------------- */

/* The document that holds while this event is dealt with; NULL: its containers may go anyhow. */
static const struct spec *document(struct world *w, const struct event *ev, const char *deployment)
{
    const struct wish *d = wish_find(w->checks, deployment);
    if (ev->kind == EV_DEPLOY && strcmp(ev->deploy.spec->deployment, deployment) == 0)
        return w->out.refused.kind ? d ? d->spec : NULL : ev->deploy.spec;
    if ((ev->kind == EV_DOWN || ev->kind == EV_STOP) &&
        strcmp(ev->down.deployment, deployment) == 0)
        return NULL;
    return d && !d->removing ? d->spec : NULL;
}

static const struct spec_service *in_document(const struct spec *spec, const char *service)
{
    for (size_t i = 0; spec && i < spec->n_services; i++)
        if (strcmp(spec->services[i].name, service) == 0)
            return &spec->services[i];
    return NULL;
}

static bool has_double(const struct world *w, const struct container *c)
{
    for (size_t i = 0; i < w->n_containers; i++)
        if (same_slot(&w->containers[i], c))
            return true;
    return false;
}

/* A user wants this very replica made anew. */
static bool is_restarted(const struct world *w, const struct event *ev, const struct container *c)
{
    return ev->kind == EV_RESTART && w->out.refused.kind == ZL_OK &&
           ev->restart.index == c->index && ev->restart.service &&
           is_of(c, ev->restart.deployment, ev->restart.service);
}

/* c runs healthily as far as core knows, and core asks to stop it. */
static void check_stop(struct world *w, const struct event *ev, const struct container *c)
{
    struct service_wish *mine = NULL;
    const struct wish *d = wish_find(w->checks, c->deployment);
    const struct spec_service *s = in_document(document(w, ev, c->deployment), c->service);
    bool stopped =
        d && wish_service(d, c->service, &mine) && mine->stopped && ev->kind != EV_DEPLOY;
    if (!s || s->rtype != SPEC_SERVICE || stopped || s->on_panic == SPEC_PANIC_SHUTDOWN ||
        c->index > s->replicas || has_double(w, c) || is_restarted(w, ev, c))
        return;
    if (c->spec_hash == wish_hash(w, c->deployment, s)) {
        violation(w, "%s/%s-%u is stopped, though it is healthy and wanted", c->deployment,
                  c->service, c->index);
        return;
    }
    uint32_t least = s->network == SPEC_NET_HOST && s->n_endpoints ? s->replicas - 1 : s->replicas;
    uint32_t others = healthy_ones(w, c->deployment, c->service);
    if (others < least)
        violation(w, "%s/%s-%u is replaced while only %u of %u others are healthy", c->deployment,
                  c->service, c->index, others, least);
}

static void look_at_stop(struct world *w, const struct event *ev, const struct effect *e)
{
    struct container *c = world_container(w, e->inst);
    if (!c)
        return;
    bool known_healthy = c->owner == OWNER_REPLICA && container_is_healthy(c) && !c->unwanted;
    c->condemned_in = w->steps;
    if (known_healthy)
        check_stop(w, ev, c);
}

/* ---- one step ----------------------------------------------------------------------------- */

static bool is_store(enum effect_kind k)
{
    return k <= EFF_EVENT;
}

/* A probe that core gave up counts as a failed one. */
static void note_probes(struct world *w, const struct effect *e)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        struct container *c = &w->containers[i];
        if (e->kind == EFF_PROBE && c->id.v == e->inst.v) {
            c->probe_op = e->op;
        } else if (e->kind == EFF_PROBE_CANCEL && c->probe_op == e->op) {
            c->probe_op = 0;
            c->failures++;
            c->healthy = c->healthy && c->failures < c->retries;
        }
    }
}

static void check_event_line(struct world *w, const struct effect *e)
{
    bool restart =
        strcmp(e->event.type, "restart") == 0 || strcmp(e->event.type, "crash_loop") == 0;
    struct service_wish *mine;
    if (strcmp(e->event.type, "rollout_failed") == 0 &&
        wish_service(wish_find(w->checks, e->event.deployment), e->event.service, &mine))
        memset(mine->slots, 0, sizeof mine->slots); /* what cannot return is tried anew */
    const struct container *c = restart ? world_container(w, e->event.inst) : NULL;
    if (c && c->unwanted)
        violation(w, "%s/%s-%u was stopped on purpose, and counts as crashed", c->deployment,
                  c->service, c->index);
}

static void check_shape(struct world *w, const struct effect *e, size_t at)
{
    if ((at < w->out.commit) != is_store(e->kind))
        violation(w, "effect %zu, %s, is on the wrong side of the commit", at,
                  effect_kind_name(e->kind));
    if (is_store(e->kind) || e->kind == EFF_PROBE_CANCEL)
        return;
    if (e->op <= w->last_op_seen)
        violation(w, "op %llu was used before", (unsigned long long)e->op);
    w->last_op_seen = e->op;
}

void check_effects(struct world *w, const struct event *ev)
{
    if (ev->kind == EV_FOUND && w->out.n)
        violation(w, "%s before all was found", effect_kind_name(w->out.v[0].kind));
    if (w->out.n > 4000)
        violation(w, "%zu effects of one step", w->out.n);
    for (size_t i = 0; i < w->out.n; i++) {
        const struct effect *e = &w->out.v[i];
        check_shape(w, e, i);
        if (e->kind == EFF_EVENT)
            check_event_line(w, e);
        if (e->kind == EFF_PROBE || e->kind == EFF_PROBE_CANCEL)
            note_probes(w, e);
    }
    for (size_t i = w->out.commit; i < w->out.n; i++) {
        const struct effect *e = &w->out.v[i];
        if (e->kind == EFF_STOP || e->kind == EFF_KILL || e->kind == EFF_REMOVE)
            look_at_stop(w, ev, e);
    }
    if (core_next_deadline(w->core) <= w->mono_ms ||
        core_next_wall(w->core) <= world_now(w).wall_ms)
        violation(w, "the next deadline is now: core would turn in a circle");
    check_schedules(w, ev);
}

/* ---- executions --------------------------------------------------------------------------- */

/* Those of executions that are not stored any more: nobody can start them. */
static void forget_runs(struct world *w)
{
    struct checks *k = w->checks;
    size_t n = 0;
    for (size_t i = 0; i < k->n_runs; i++)
        if (store_execution(&w->store, k->runs[i].execution) || !k->runs[i].stored)
            k->runs[n++] = k->runs[i];
    if (n == RUNS_MAX)
        abort();
    k->n_runs = n;
}

static struct run_count *run_of(struct world *w, uint64_t execution)
{
    struct checks *k = w->checks;
    for (size_t i = 0; i < k->n_runs; i++)
        if (k->runs[i].execution == execution)
            return &k->runs[i];
    if (k->n_runs == RUNS_MAX)
        forget_runs(w);
    k->runs[k->n_runs] = (struct run_count){ .execution = execution };
    return &k->runs[k->n_runs++];
}

static bool is_terminal(enum execution_status s)
{
    return s != EXEC_PENDING && s != EXEC_RUNNING;
}

static enum spec_rtype rtype_in(const struct spec *spec, const char *service)
{
    for (size_t i = 0; i < spec->n_services; i++)
        if (strcmp(spec->services[i].name, service) == 0)
            return spec->services[i].rtype;
    return SPEC_SERVICE;
}

/* A service is as old as it is, however often the agent was replaced since. */
static void check_ages(struct world *w, const struct row_deployment *now)
{
    const struct stored_deployment *d = store_deployment(&w->store, now->name);
    for (size_t i = 0; d && i < d->row.n_services; i++) {
        const struct row_service *was = &d->row.services[i];
        for (size_t k = 0; k < now->n_services; k++)
            if (strcmp(now->services[k].name, was->name) == 0 &&
                now->services[k].created_ms != was->created_ms &&
                rtype_in(d->row.spec, was->name) == rtype_in(now->spec, was->name))
                violation(w, "the age of %s changed", was->name);
    }
}

void check_store(struct world *w, const struct effect *e)
{
    if (e->kind == EFF_PUT_DEPLOYMENT)
        check_ages(w, &e->deployment);
    if (e->kind == EFF_DEL_DEPLOYMENT) {
        struct wish *d = wish_find(w->checks, e->deployment.name);
        if (!d || !d->removing) {
            violation(w, "deployment %s is forgotten unasked", e->deployment.name);
        } else {
            spec_unref(d->spec);
            d->used = false;
        }
    }
    check_schedule_stored(w, e);
    if (e->kind != EFF_PUT_EXECUTION)
        return;
    struct run_count *r = run_of(w, e->execution.id);
    if (r->stored && is_terminal(r->status) && r->status != e->execution.status)
        violation(w, "execution %llx was %s and is now %s", (unsigned long long)e->execution.id,
                  execution_status_name(r->status), execution_status_name(e->execution.status));
    r->stored = true;
    r->status = e->execution.status;
}

void check_started(struct world *w, struct container *c)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container *other = &w->containers[i];
        if (same_slot(other, c) && other->state == C_RUNNING && !other->stray && !c->stray)
            violation(w, "two live containers of %s/%s-%u", c->deployment, c->service, c->index);
    }
    if (c->owner == OWNER_EXECUTION && ++run_of(w, c->execution)->starts > 1)
        violation(w, "execution %llx runs a second time", (unsigned long long)c->execution);
}

void check_ended(struct world *w, struct container *c)
{
    (void)w;
    c->told_end = true;
    c->known_up = false;
    c->healthy = false;
}

void check_step(struct world *w)
{
    check_cron_views(w);
    for (size_t i = 0; i < WISHES_MAX; i++)
        if (w->checks->wishes[i].used)
            note_edges(w, &w->checks->wishes[i]);
}
