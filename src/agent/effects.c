// SPDX-License-Identifier: Apache-2.0
#include "agent/effects.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/logs.h"
#include "base/clock.h"
#include "base/log.h"

struct request { /* an effect that the runtime works on */
    struct request *next, **link;
    struct agent *a;
    enum effect_kind kind;
    uint64_t op;
    struct inst_id inst;
    struct rt_call *call;
    uint64_t after;        /* how many transactions it was begun on */
    bool held;             /* the answer, until they are durable */
    struct zl_error error; /* of a held answer */
};

struct requests {
    struct request *first;
    size_t n_held;
};

/* ---- copying effects ---------------------------------------------------------------------- */

static const char *keep(struct zl_arena *mem, const char *text)
{
    return text ? zl_arena_strdup(mem, text) : NULL;
}

static void keep_label(struct zl_arena *mem, struct inst_label *l)
{
    l->deployment = keep(mem, l->deployment);
    l->service = keep(mem, l->service);
    l->role = keep(mem, l->role);
}

static void keep_create(struct zl_arena *mem, struct effect *e)
{
    e->create.spec = spec_ref(e->create.spec);
    e->create.image_digest = keep(mem, e->create.image_digest);
    keep_label(mem, &e->create.label);
}

static void keep_probe(struct zl_arena *mem, struct effect *e)
{
    e->probe.spec = spec_ref(e->probe.spec);
    keep_label(mem, &e->probe.label);
}

static void keep_pull(struct zl_arena *mem, struct effect *e)
{
    e->pull.image = keep(mem, e->pull.image);
    e->pull.digest = keep(mem, e->pull.digest);
}

static void keep_event(struct zl_arena *mem, struct effect *e)
{
    e->event.type = keep(mem, e->event.type);
    e->event.deployment = keep(mem, e->event.deployment);
    e->event.service = keep(mem, e->event.service);
    e->event.text = keep(mem, e->event.text);
}

static void keep_execution(struct zl_arena *mem, struct effect *e)
{
    e->execution.deployment = keep(mem, e->execution.deployment);
    e->execution.job = keep(mem, e->execution.job);
    e->execution.reason = NULL;
}

static void keep_deployment(struct zl_arena *mem, struct effect *e)
{
    e->deployment.name = keep(mem, e->deployment.name);
}

static void keep_standalone(struct zl_arena *mem, struct effect *e)
{
    e->standalone.name = keep(mem, e->standalone.name);
    e->standalone.text = e->standalone.error = NULL;
    e->standalone.spec = NULL;
}

static void keep_all(struct zl_arena *mem, struct effect *e)
{
    (void)mem;
    (void)e; /* nothing in it is borrowed */
}

static void drop_create(struct effect *e)
{
    spec_unref(e->create.spec);
}

static void drop_probe(struct effect *e)
{
    spec_unref(e->probe.spec);
}

/* ---- what is asked of the runtime ---------------------------------------------------------- */

static void ask_pull(const struct effect *e, struct rt_request *rq)
{
    rq->pull.image = e->pull.image;
    rq->pull.digest = e->pull.digest;
    rq->pull.policy = e->pull.policy;
}

static void ask_create(const struct effect *e, struct rt_request *rq)
{
    rq->create.label = &e->create.label;
    rq->create.service = e->create.service;
    rq->create.image_digest = e->create.image_digest;
    rq->create.attach_first = e->create.hold;
}

static void ask_stop(const struct effect *e, struct rt_request *rq)
{
    rq->stop.signal = e->stop.signal;
    rq->stop.grace_ms = e->stop.grace_ms;
}

static void ask_kill(const struct effect *e, struct rt_request *rq)
{
    rq->kill.signal = e->stop.signal;
}

static void ask_probe(const struct effect *e, struct rt_request *rq)
{
    rq->probe.service = e->probe.service;
}

static void ask_plainly(const struct effect *e, struct rt_request *rq)
{
    (void)e;
    (void)rq; /* the container's id says all */
}

/* ---- what is done without it ---------------------------------------------------------------- */

static void cancel_probe(struct agent *a, const struct effect *e)
{
    for (struct request *r = a->requests->first; r; r = r->next) {
        if (r->op == e->op && r->kind == EFF_PROBE) {
            runtime_cancel(r->call);
            return;
        }
    }
}

static void tell_event(struct agent *a, const struct effect *e)
{
    if (a->api)
        api_server_event(a->api, e, zl_wall_ms());
}

static void drop_execution_log(struct agent *a, const struct effect *e)
{
    const struct inst_label label = { .owner = OWNER_EXECUTION,
                                      .deployment = e->execution.deployment,
                                      .service = e->execution.job,
                                      .role = "default",
                                      .execution = e->execution.id };
    logs_remove(a->root_fd, &label);
}

static void drop_deployment_logs(struct agent *a, const struct effect *e)
{
    logs_keep(a->root_fd, e->deployment.name, NULL, e->logs_kept_s);
}

static void drop_standalone_log(struct agent *a, const struct effect *e)
{
    logs_keep(a->root_fd, "-", e->standalone.name, e->logs_kept_s);
}

/* ---- each kind ------------------------------------------------------------------------------ */

/*
 * What is done about each kind of effect once its step lets it: a request to the runtime, or what
 * carry_out does. Kinds without an entry are of the store alone.
 */
static const struct {
    void (*keep)(struct zl_arena *mem, struct effect *e);
    void (*drop)(struct effect *e); /* what keep took beside the arena; NULL: nothing */
    void (*carry_out)(struct agent *a, const struct effect *e);
    void (*ask)(const struct effect *e, struct rt_request *rq);
    enum rt_kind kind; /* of what is asked */
} traits[EFF_KINDS] = {
    /* clang-format off */
    [EFF_DEL_DEPLOYMENT] = { keep_deployment, NULL,        drop_deployment_logs },
    [EFF_DEL_EXECUTION]  = { keep_execution,  NULL,        drop_execution_log },
    [EFF_DEL_STANDALONE] = { keep_standalone, NULL,        drop_standalone_log },
    [EFF_EVENT]          = { keep_event,      NULL,        tell_event },
    [EFF_PULL]           = { keep_pull,       NULL,        NULL, ask_pull,    RT_PULL },
    [EFF_CREATE]         = { keep_create,     drop_create, NULL, ask_create,  RT_CREATE },
    [EFF_START]          = { keep_all,        NULL,        NULL, ask_plainly, RT_START },
    [EFF_STOP]           = { keep_all,        NULL,        NULL, ask_stop,    RT_STOP },
    [EFF_KILL]           = { keep_all,        NULL,        NULL, ask_kill,    RT_KILL },
    [EFF_REMOVE]         = { keep_all,        NULL,        NULL, ask_plainly, RT_REMOVE },
    [EFF_PROBE]          = { keep_probe,      drop_probe,  NULL, ask_probe,   RT_PROBE },
    [EFF_PROBE_CANCEL]   = { keep_all,        NULL,        cancel_probe },
    /* clang-format on */
};

bool effect_is_carried_out(enum effect_kind kind)
{
    return traits[kind].keep != NULL;
}

void effect_keep(struct zl_arena *mem, struct effect *e)
{
    traits[e->kind].keep(mem, e);
}

void effect_drop(struct effect *e)
{
    if (traits[e->kind].drop)
        traits[e->kind].drop(e);
}

/* ---- requests under way --------------------------------------------------------------------- */

static void request_free(struct request *r)
{
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    free(r);
}

static void answer_probe(const struct request *r, const struct rt_answer *answer)
{
    struct event ev = { .kind = EV_PROBE };
    ev.probe.op = r->op;
    ev.probe.postponed = answer->err.kind == ZL_ERR_CANCELLED;
    ev.probe.passed = answer->err.kind == ZL_OK;
    ev.probe.reason = answer->err.msg;
    (void)step_event(r->a, &ev, NULL, NULL);
}

static void answer_request(const struct request *r, const struct rt_answer *answer)
{
    struct event ev = { .kind = EV_ANSWER };
    struct zl_error failed = answer->err;
    ev.answer.op = r->op;
    ev.answer.failed = failed.kind == ZL_OK ? NULL : &failed;
    if (ev.answer.failed && r->inst.v)
        waiters_failed(r->a, r->inst, &failed);
    if (answer->kind == RT_PULL && answer->pull.note[0])
        zl_log(ZL_LOG_WARN, "%s", answer->pull.note);
    if (answer->kind == RT_PULL)
        ev.answer.image_digest = answer->pull.digest;
    if (answer->kind == RT_START)
        ev.answer.pid = answer->start.pid;
    (void)step_event(r->a, &ev, NULL, NULL);
}

static void give_answer(struct request *given, const struct rt_answer *answer)
{
    struct request r = *given;
    request_free(given); /* core may cancel probes in the step that follows */
    if (answer->err.kind != ZL_OK)
        zl_log_error(ZL_LOG_DEBUG, &answer->err, "%s", effect_kind_name(r.kind));
    if (r.kind == EFF_PROBE)
        answer_probe(&r, answer);
    else
        answer_request(&r, answer);
}

/* Who is removed is known of until all that was decided before is told: who asks finds it, or what
 * was told of its end. */
static void on_answer(void *arg, const struct rt_answer *answer)
{
    struct request *r = arg;
    r->held = r->kind == EFF_REMOVE && !steps_are_told(r->a, r->after);
    if (!r->held) {
        give_answer(r, answer);
        return;
    }
    r->error = answer->err;
    r->a->requests->n_held++;
}

void effects_give_held(struct agent *a)
{
    struct requests *rs = a->requests;
    for (struct request *r = rs->first, *next; r && rs->n_held > 0; r = next) {
        next = r->next;
        if (!r->held || !steps_are_told(a, r->after))
            continue;
        const struct rt_answer answer = { .kind = RT_REMOVE, .err = r->error };
        rs->n_held--;
        give_answer(r, &answer);
        next = rs->first; /* that may have begun or ended others */
    }
}

static void begin_request(struct agent *a, const struct effect *e, uint64_t after)
{
    struct rt_request rq = { .kind = traits[e->kind].kind, .id = e->inst };
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return; /* no answer: core's deadline for it decides */
    r->a = a;
    r->kind = e->kind;
    r->op = e->op;
    r->inst = e->inst;
    r->after = after;
    r->next = a->requests->first;
    r->link = &a->requests->first;
    if (r->next)
        r->next->link = &r->next;
    a->requests->first = r;
    traits[e->kind].ask(e, &rq);
    if (e->kind == EFF_CREATE)
        rq.create.variables = a->variables;
    r->call = runtime_submit(a->rt, &rq, on_answer, r);
    if (!r->call)
        request_free(r);
}

void effect_carry_out(struct agent *a, const struct effect *e, uint64_t after)
{
    if (traits[e->kind].ask)
        begin_request(a, e, after);
    else
        traits[e->kind].carry_out(a, e);
}

int requests_new(struct requests **ret, struct zl_error *err)
{
    struct requests *rs = calloc(1, sizeof *rs);
    if (!rs)
        return zl_fail_errno(err, "set up the agent");
    *ret = rs;
    return 0;
}

void requests_free(struct requests *rs)
{
    while (rs && rs->first)
        request_free(rs->first);
    free(rs);
}
