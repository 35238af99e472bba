// SPDX-License-Identifier: Apache-2.0
/* The operations that are one message to the monitor, or a few in a row. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/native/inner.h"

enum { START_LIMIT_MS = 60000 }; /* a start may wait 30 s for its first attach client */

/* ---- pull --------------------------------------------------------------------------------- */

struct rt_call *native_pull(struct native *n, const struct rt_request *rq, rt_done_fn done,
                            void *arg)
{
    struct zl_error err = { 0 };
    struct rt_answer a = { 0 };
    autoimage struct image *image = NULL;
    struct native_call *k = native_call_new(n, NULL, rq, done, arg);
    if (!k)
        return NULL;
    const char *wanted = rq->pull.digest ? rq->pull.digest : rq->pull.image;
    if (image_find(n->images, wanted, &image, &err) == 0) {
        (void)snprintf(a.pull.digest, sizeof a.pull.digest, "%s", image->digest);
        rt_call_answer_soon(&k->call, &a);
        return &k->call;
    }
    if (err.kind == ZL_ERR_NOT_FOUND)
        (void)zl_fail(&err, ZL_ERR_NOT_FOUND, "image '%s' is not in the local store",
                      rq->pull.image);
    return native_call_refuse(k, &err);
}

/* ---- start, stop, kill -------------------------------------------------------------------- */

static void on_started(struct native_call *k, const struct mon_message *m)
{
    k->c->pid = m->started.pid;
    struct rt_answer a = {
        .start = { m->started.pid, m->started.started_wall_ns / 1000000 },
    };
    rt_call_answer(&k->call, &a);
}

static void start_failed(struct native_call *k, struct zl_error *why)
{
    k->c->started = false;
    native_call_fail(k, why);
}

struct rt_call *native_start(struct native *n, const struct rt_request *rq, rt_done_fn done,
                             void *arg)
{
    struct zl_error err = { 0 };
    struct rt_call *refused;
    struct native_call *k = native_call_begin(n, rq, done, arg, &refused);
    if (!k)
        return refused;
    k->on_failed = start_failed;
    k->c->started = true; /* from now on a lost monitor may mean a lost process */
    native_call_limit(k, START_LIMIT_MS);
    int rc = mon_client_send_start(k->c->mon, native_call_expect(k, on_started), &err);
    return native_call_sent(k, rc, &err);
}

/* Whatever ended it, it is ended: by itself, or with its monitor. */
static void stop_failed(struct native_call *k, struct zl_error *why)
{
    if (why->kind == ZL_ERR_CONFLICT || why->kind == ZL_ERR_UNREACHABLE)
        rt_call_succeed(&k->call);
    else
        native_call_fail(k, why);
}

struct rt_call *native_stop(struct native *n, const struct rt_request *rq, rt_done_fn done,
                            void *arg)
{
    struct zl_error err = { 0 };
    struct container *c = container_find(n, rq->id);
    struct native_call *k = native_call_new(n, c, rq, done, arg);
    if (!k)
        return NULL;
    if (c && c->silent && !c->mon) {
        (void)zl_fail(&err, ZL_ERR_TIMEOUT, "its monitor does not answer");
        return native_call_refuse(k, &err);
    }
    if (!c || !c->mon) { /* nothing runs without a monitor */
        rt_call_answer_soon(&k->call, &(struct rt_answer){ 0 });
        return &k->call;
    }
    c->paused = false; /* it goes on to be stopped */
    k->on_failed = stop_failed;
    native_call_limit(k, rq->stop.grace_ms + NATIVE_ANSWER_MS);
    int rc = mon_client_send_stop(c->mon, native_call_expect(k, reply_done), rq->stop.signal,
                                  rq->stop.grace_ms, &err);
    return native_call_sent(k, rc, &err);
}

struct rt_call *native_kill(struct native *n, const struct rt_request *rq, rt_done_fn done,
                            void *arg)
{
    struct zl_error err = { 0 };
    struct rt_call *refused;
    struct native_call *k = native_call_begin(n, rq, done, arg, &refused);
    if (!k)
        return refused;
    uint64_t op = native_call_expect(k, reply_done);
    k->c->paused = k->c->paused && rq->kill.signal != SIGKILL; /* it goes on to die */
    int rc = rq->kill.signal == SIGKILL
                 ? mon_client_send_kill_all(k->c->mon, op, &err)
                 : mon_client_send_signal(k->c->mon, op, 0, rq->kill.signal, &err);
    return native_call_sent(k, rc, &err);
}

/* ---- pause --------------------------------------------------------------------------------- */

static void on_paused(struct native_call *k, const struct mon_message *m)
{
    (void)m;
    k->c->paused = true;
    rt_call_succeed(&k->call);
}

static void on_unpaused(struct native_call *k, const struct mon_message *m)
{
    (void)m;
    k->c->paused = false;
    rt_call_succeed(&k->call);
}

struct rt_call *native_pause(struct native *n, const struct rt_request *rq, rt_done_fn done,
                             void *arg)
{
    struct zl_error err = { 0 };
    struct rt_call *refused;
    struct native_call *k = native_call_begin(n, rq, done, arg, &refused);
    if (!k)
        return refused;
    const bool pause = rq->kind == RT_PAUSE;
    uint64_t op = native_call_expect(k, pause ? on_paused : on_unpaused);
    return native_call_sent(k, mon_client_send_pause(k->c->mon, op, pause, &err), &err);
}

struct rt_call *native_unpause(struct native *n, const struct rt_request *rq, rt_done_fn done,
                               void *arg)
{
    return native_pause(n, rq, done, arg);
}

/* ---- stdin --------------------------------------------------------------------------------- */

static void on_taken(struct native_call *k, const struct mon_message *m)
{
    struct rt_answer a = { .taken = (size_t)m->taken.taken };
    rt_call_answer(&k->call, &a);
}

struct rt_call *native_stdin(struct native *n, const struct rt_request *rq, rt_done_fn done,
                             void *arg)
{
    struct zl_error err = { 0 };
    struct rt_call *refused;
    struct native_call *k = native_call_begin(n, rq, done, arg, &refused);
    if (!k)
        return refused;
    uint64_t op = native_call_expect(k, on_taken);
    return native_call_sent(
        k,
        mon_client_send_stdin(k->c->mon, op, 0, rq->input.bytes, rq->input.n, rq->input.end, &err),
        &err);
}

/* ---- attach and exec: a token, and where to go with it ------------------------------------ */

static void on_granted(struct native_call *k, const struct mon_message *m)
{
    (void)m;
    struct rt_answer a = { 0 };
    const char *token = k->more;
    int n = snprintf(a.where.socket, sizeof a.where.socket, "%s/c/%s/" MON_CTL,
                     native_of(k->call.rt)->run_dir, k->c->id_text);
    if (n < 0 || (size_t)n >= sizeof a.where.socket) {
        struct zl_error err = { 0 };
        (void)zl_fail(&err, ZL_ERR_CONFIGURATION, "the path of the runtime directory is too long");
        native_call_fail(k, &err);
        return;
    }
    (void)snprintf(a.where.token, sizeof a.where.token, "%s", token);
    rt_call_answer(&k->call, &a);
}

static int send_grant(struct native_call *k, uint32_t what, uint64_t exec_id, struct zl_error *err)
{
    struct mon_grant grant = { .what = what, .exec_id = exec_id };
    char *token = malloc(MON_TOKEN_LEN + 1);
    if (!token)
        return zl_fail_errno(err, "make a token");
    mon_token_make(token);
    free(k->more);
    k->more = token;
    (void)memcpy(grant.token, token, MON_TOKEN_LEN);
    return mon_client_send_grant(k->c->mon, native_call_expect(k, on_granted), &grant, err);
}

struct rt_call *native_attach(struct native *n, const struct rt_request *rq, rt_done_fn done,
                              void *arg)
{
    struct zl_error err = { 0 };
    struct rt_call *refused;
    struct native_call *k = native_call_begin(n, rq, done, arg, &refused);
    if (!k)
        return refused;
    return native_call_sent(k, send_grant(k, MON_GRANT_ATTACH, 0, &err), &err);
}

static void on_exec_made(struct native_call *k, const struct mon_message *m)
{
    struct zl_error err = { 0 };
    if (send_grant(k, MON_GRANT_EXEC, m->exec_made.exec_id, &err) < 0)
        native_call_fail(k, &err);
}

struct rt_call *native_exec(struct native *n, const struct rt_request *rq, rt_done_fn done,
                            void *arg)
{
    struct zl_error err = { 0 };
    struct rt_call *refused;
    struct native_call *k = native_call_begin(n, rq, done, arg, &refused);
    if (!k)
        return refused;
    return native_call_sent(k, exec_send(k, &rq->exec, false, 0, on_exec_made, &err), &err);
}
