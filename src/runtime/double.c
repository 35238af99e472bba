// SPDX-License-Identifier: Apache-2.0
#include "runtime/double.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/call.h"

struct kept {
    struct kept *next;
    struct double_container c;
    char *deployment, *service, *role; /* what c.label points to */
    bool exit_due;                     /* to be told on the next turn of the loop */
    struct inst_exit exit;
};

struct script {
    struct script *next;
    enum rt_kind kind;
    bool hang;
    struct zl_error err;
};

struct twin {
    struct runtime rt;
    struct kept *containers;
    struct script *script;
    unsigned count[RT_KINDS];
    int64_t last_pid;
    struct event *news; /* some exit is due */
    rt_event_fn on_event;
    void *on_event_arg;
};

static struct twin *twin_of(struct runtime *rt)
{
    return (struct twin *)rt; /* rt is the first member */
}

/* ---- containers --------------------------------------------------------------------------- */

static struct kept *find(struct twin *t, struct inst_id id)
{
    for (struct kept *k = t->containers; k; k = k->next)
        if (k->c.id.v == id.v)
            return k;
    return NULL;
}

static void kept_free(struct kept *k)
{
    if (!k)
        return;
    free(k->deployment);
    free(k->service);
    free(k->role);
    free(k);
}

static struct kept *keep(struct twin *t, struct inst_id id, const struct inst_label *label)
{
    struct kept *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->deployment = strdup(label->deployment);
    k->service = strdup(label->service);
    k->role = strdup(label->role);
    if (!k->deployment || !k->service || !k->role) {
        kept_free(k);
        return NULL;
    }
    k->c = (struct double_container){ .id = id, .label = *label, .state = FOUND_CREATED };
    k->c.label.deployment = k->deployment;
    k->c.label.service = k->service;
    k->c.label.role = k->role;
    k->next = t->containers;
    t->containers = k;
    return k;
}

static void drop(struct twin *t, struct inst_id id)
{
    for (struct kept **k = &t->containers; *k; k = &(*k)->next) {
        if ((*k)->c.id.v == id.v) {
            struct kept *gone = *k;
            *k = gone->next;
            kept_free(gone);
            return;
        }
    }
}

static void end_kept(struct twin *t, struct kept *k, int code, int signal)
{
    k->c.state = FOUND_EXITED;
    k->c.pid = 0;
    k->exit = (struct inst_exit){ .code = code, .signal = signal, .wall_ms = zl_wall_ms() };
    k->exit_due = true;
    event_active(t->news, EV_TIMEOUT, 0);
}

static struct kept *first_due(const struct twin *t)
{
    struct kept *k = t->containers;
    while (k && !k->exit_due)
        k = k->next;
    return k;
}

static void tell_exits(int fd, short what, void *arg)
{
    struct twin *t = arg;
    (void)fd;
    (void)what;
    for (struct kept *k; (k = first_due(t));) { /* from the start: who is told may remove some */
        const struct rt_event ev = { .kind = RT_EV_EXIT, .id = k->c.id, .exit = k->exit };
        k->exit_due = false;
        if (t->on_event)
            t->on_event(t->on_event_arg, &ev);
    }
}

/* ---- requests ----------------------------------------------------------------------------- */

static int do_pull(struct twin *t, const struct rt_request *rq, struct rt_answer *a)
{
    (void)t;
    if (rq->pull.digest)
        (void)snprintf(a->pull.digest, sizeof a->pull.digest, "%s", rq->pull.digest);
    else
        (void)snprintf(a->pull.digest, sizeof a->pull.digest, "sha256:%s", rq->pull.image);
    return 0;
}

static int do_create(struct twin *t, const struct rt_request *rq, struct rt_answer *a)
{
    if (find(t, rq->id))
        return zl_fail(&a->err, ZL_ERR_EXISTS, "create: it exists");
    if (!keep(t, rq->id, rq->create.label))
        return zl_fail_errno(&a->err, "create");
    return 0;
}

static int do_start(struct twin *t, const struct rt_request *rq, struct rt_answer *a)
{
    struct kept *k = find(t, rq->id);
    if (!k || k->c.state != FOUND_CREATED)
        return zl_fail(&a->err, ZL_ERR_CONFLICT, "start: it is not created");
    k->c.state = FOUND_RUNNING;
    k->c.pid = ++t->last_pid;
    a->start.pid = k->c.pid;
    a->start.started_wall_ms = zl_wall_ms();
    return 0;
}

static int end_process(struct twin *t, const struct rt_request *rq, int signal)
{
    struct kept *k = find(t, rq->id);
    if (k && k->c.state == FOUND_RUNNING)
        end_kept(t, k, 128 + signal, signal);
    return 0;
}

static int do_stop(struct twin *t, const struct rt_request *rq, struct rt_answer *a)
{
    (void)a;
    return end_process(t, rq, rq->stop.signal ? rq->stop.signal : SIGTERM);
}

static int do_kill(struct twin *t, const struct rt_request *rq, struct rt_answer *a)
{
    (void)a;
    return end_process(t, rq, rq->kill.signal);
}

static int do_remove(struct twin *t, const struct rt_request *rq, struct rt_answer *a)
{
    (void)a;
    drop(t, rq->id);
    return 0;
}

static int do_probe(struct twin *t, const struct rt_request *rq, struct rt_answer *a)
{
    const struct kept *k = find(t, rq->id);
    if (!k || k->c.state != FOUND_RUNNING)
        return zl_fail(&a->err, ZL_ERR_CONFLICT, "it does not run");
    return 0;
}

static int do_where(struct twin *t, const struct rt_request *rq, struct rt_answer *a)
{
    if (!find(t, rq->id))
        return zl_fail(&a->err, ZL_ERR_NOT_FOUND, "no such container");
    (void)snprintf(a->where.socket, sizeof a->where.socket, "/nowhere");
    (void)snprintf(a->where.token, sizeof a->where.token, "token");
    return 0;
}

static int (*const handlers[RT_KINDS])(struct twin *, const struct rt_request *,
                                       struct rt_answer *) = {
    [RT_PULL] = do_pull,   [RT_CREATE] = do_create, [RT_START] = do_start,
    [RT_STOP] = do_stop,   [RT_KILL] = do_kill,     [RT_REMOVE] = do_remove,
    [RT_PROBE] = do_probe, [RT_EXEC] = do_where,    [RT_ATTACH] = do_where,
};

static bool twin_can(enum rt_kind kind)
{
    return handlers[kind] != NULL;
}

/* What the script has for this kind, taken out of it; NULL: nothing. */
static struct script *next_line(struct twin *t, enum rt_kind kind)
{
    for (struct script **s = &t->script; *s; s = &(*s)->next) {
        if ((*s)->kind == kind) {
            struct script *line = *s;
            *s = line->next;
            return line;
        }
    }
    return NULL;
}

static struct rt_call *twin_submit(struct runtime *rt, const struct rt_request *rq, rt_done_fn done,
                                   void *arg)
{
    struct twin *t = twin_of(rt);
    struct rt_answer a = { 0 };
    struct rt_call *c = rt_call_new(sizeof *c, rt, rq, done, arg);
    if (!c)
        return NULL;
    t->count[rq->kind]++;
    zl_autofree struct script *line = next_line(t, rq->kind);
    if (line && line->hang)
        return c;
    if (line)
        a.err = line->err;
    else
        (void)handlers[rq->kind](t, rq, &a); /* a failure is in the answer */
    rt_call_answer_soon(c, &a);
    return c;
}

static void twin_cancel(struct rt_call *c)
{
    struct zl_error err = { 0 };
    (void)zl_fail(&err, ZL_ERR_CANCELLED, "cancelled");
    rt_call_fail_soon(c, &err);
}

static int twin_watch(struct runtime *rt, rt_event_fn on_event, void *arg, struct zl_error *err)
{
    struct twin *t = twin_of(rt);
    (void)err;
    t->on_event = on_event;
    t->on_event_arg = arg;
    for (const struct kept *k = t->containers; k; k = k->next) {
        struct rt_event ev = { .kind = RT_EV_FOUND, .id = k->c.id };
        ev.found.kind = EV_FOUND;
        ev.found.found.id = k->c.id;
        ev.found.found.label = k->c.label;
        ev.found.found.state = k->c.state;
        ev.found.found.pid = k->c.pid;
        on_event(arg, &ev);
    }
    on_event(arg, &(struct rt_event){ .kind = RT_EV_FOUND_END });
    return 0;
}

static void twin_free(struct runtime *rt)
{
    struct twin *t = twin_of(rt);
    runtime_drop_calls(rt);
    while (t->containers)
        drop(t, t->containers->c.id);
    while (t->script)
        free(next_line(t, t->script->kind));
    event_free(t->news);
    free(t);
}

static const struct runtime_ops double_ops = {
    .name = "double",
    .can = twin_can,
    .submit = twin_submit,
    .cancel = twin_cancel,
    .watch = twin_watch,
    .free = twin_free,
};

int double_new(struct event_base *base, struct runtime **ret, struct zl_error *err)
{
    struct twin *t = calloc(1, sizeof *t);
    if (!t)
        return zl_fail_errno(err, "make a test double");
    runtime_init(&t->rt, &double_ops, base);
    t->news = event_new(base, -1, 0, tell_exits, t);
    if (!t->news) {
        free(t);
        return zl_fail(err, ZL_ERR_SYSTEM, "make a test double: out of memory");
    }
    t->last_pid = 1000;
    *ret = &t->rt;
    return 0;
}

/* ---- the script, and looking in ----------------------------------------------------------- */

static struct script *append_line(struct runtime *rt, enum rt_kind kind)
{
    struct script *line = calloc(1, sizeof *line), **end = &twin_of(rt)->script;
    if (!line)
        abort(); /* only tests come here */
    line->kind = kind;
    while (*end)
        end = &(*end)->next;
    *end = line;
    return line;
}

void double_fail_next(struct runtime *rt, enum rt_kind kind, enum zl_err_kind why, const char *text)
{
    (void)zl_fail(&append_line(rt, kind)->err, why, "%s", text);
}

void double_hang_next(struct runtime *rt, enum rt_kind kind)
{
    append_line(rt, kind)->hang = true;
}

void double_add(struct runtime *rt, struct inst_id id, const struct inst_label *label,
                enum found_state state, int64_t pid)
{
    struct kept *k = keep(twin_of(rt), id, label);
    if (!k)
        abort(); /* only tests come here */
    k->c.state = state;
    k->c.pid = pid;
}

void double_exit(struct runtime *rt, struct inst_id id, int code)
{
    struct kept *k = find(twin_of(rt), id);
    if (k && k->c.state == FOUND_RUNNING)
        end_kept(twin_of(rt), k, code, 0);
}

void double_each(struct runtime *rt, double_fn fn, void *arg)
{
    for (const struct kept *k = twin_of(rt)->containers; k; k = k->next)
        if (!fn(arg, &k->c))
            return;
}

unsigned double_count(const struct runtime *rt, enum rt_kind kind)
{
    return ((const struct twin *)rt)->count[kind];
}
