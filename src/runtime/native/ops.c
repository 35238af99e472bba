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

int native_pull(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    struct rt_answer a = { 0 };
    autoimage struct image *image = NULL;
    const char *wanted = rq->pull.digest ? rq->pull.digest : rq->pull.image;
    if (image_find(native_of(k->call.rt)->images, wanted, &image, err) == 0) {
        (void)snprintf(a.pull.digest, sizeof a.pull.digest, "%s", image->digest);
        rt_call_answer_soon(&k->call, &a);
        return 0;
    }
    if (err->kind == ZL_ERR_NOT_FOUND)
        (void)zl_fail(err, ZL_ERR_NOT_FOUND, "image '%s' is not in the local store",
                      rq->pull.image);
    return -1;
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

int native_start(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    (void)rq;
    if (native_call_monitor(k, err) < 0)
        return -1;
    k->on_failed = start_failed;
    k->c->started = true; /* from now on a lost monitor may mean a lost process */
    native_call_limit(k, START_LIMIT_MS);
    return mon_client_send_start(k->c->mon, native_call_expect(k, on_started), err);
}

/* Whatever ended it, it is ended: by itself, or with its monitor. */
static void stop_failed(struct native_call *k, struct zl_error *why)
{
    if (why->kind == ZL_ERR_CONFLICT || why->kind == ZL_ERR_UNREACHABLE)
        rt_call_succeed(&k->call);
    else
        native_call_fail(k, why);
}

int native_stop(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    struct container *c = k->c;
    if (c && c->silent && !c->mon)
        return zl_fail(err, ZL_ERR_TIMEOUT, "its monitor does not answer");
    if (!c || !c->mon) { /* nothing runs without a monitor */
        rt_call_answer_soon(&k->call, &(struct rt_answer){ 0 });
        return 0;
    }
    c->paused = false; /* it goes on to be stopped */
    k->on_failed = stop_failed;
    native_call_limit(k, rq->stop.grace_ms + NATIVE_ANSWER_MS);
    return mon_client_send_stop(c->mon, native_call_expect(k, reply_done), rq->stop.signal,
                                rq->stop.grace_ms, err);
}

int native_kill(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    if (native_call_monitor(k, err) < 0)
        return -1;
    uint64_t op = native_call_expect(k, reply_done);
    if (rq->kill.signal != SIGKILL)
        return mon_client_send_signal(k->c->mon, op, 0, rq->kill.signal, err);
    k->c->paused = false; /* it goes on to die */
    return mon_client_send_kill_all(k->c->mon, op, err);
}

/* ---- pause --------------------------------------------------------------------------------- */

static void on_paused(struct native_call *k, const struct mon_message *m)
{
    (void)m;
    k->c->paused = true;
    k->c->pauses++;
    rt_call_succeed(&k->call);
}

static void on_unpaused(struct native_call *k, const struct mon_message *m)
{
    (void)m;
    k->c->paused = false;
    rt_call_succeed(&k->call);
}

int native_pause(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    if (native_call_monitor(k, err) < 0)
        return -1;
    const bool pause = rq->kind == RT_PAUSE;
    uint64_t op = native_call_expect(k, pause ? on_paused : on_unpaused);
    return mon_client_send_pause(k->c->mon, op, pause, err);
}

int native_unpause(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    return native_pause(k, rq, err);
}

/* ---- stdin --------------------------------------------------------------------------------- */

static void on_taken(struct native_call *k, const struct mon_message *m)
{
    struct rt_answer a = { .taken = (size_t)m->taken.taken };
    rt_call_answer(&k->call, &a);
}

int native_stdin(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    if (native_call_monitor(k, err) < 0)
        return -1;
    uint64_t op = native_call_expect(k, on_taken);
    return mon_client_send_stdin(k->c->mon, op, 0, rq->input.bytes, rq->input.n, rq->input.end,
                                 err);
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

int native_attach(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    (void)rq;
    if (native_call_monitor(k, err) < 0)
        return -1;
    return send_grant(k, MON_GRANT_ATTACH, 0, err);
}

static void on_exec_made(struct native_call *k, const struct mon_message *m)
{
    struct zl_error err = { 0 };
    if (send_grant(k, MON_GRANT_EXEC, m->exec_made.exec_id, &err) < 0)
        native_call_fail(k, &err);
}

int native_exec(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    if (native_call_monitor(k, err) < 0)
        return -1;
    return exec_send(k, &rq->exec, false, 0, on_exec_made, err);
}
