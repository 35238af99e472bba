// SPDX-License-Identifier: Apache-2.0
/*
 * RT_REMOVE: with a monitor, it is told to free all and forget; without one we do it: kill, remove
 * the cgroups as soon as they are empty, then the directories. Nothing of it can be refused: what
 * is already gone is fine.
 */
#include <event2/event.h>
#include <fcntl.h>

#include "base/fd.h"
#include "runtime/native/inner.h"

enum { FORGET_LIMIT_MS = 15000, RETRY_MS = 10, RETRIES = 1000 };

struct removal {
    struct event *retry;
    unsigned retries;
};

static void release(struct native_call *k)
{
    struct removal *r = k->more;
    if (r->retry)
        event_free(r->retry);
    free(r);
}

static void remove_directories(struct native_call *k)
{
    struct zl_error err = { 0 };
    struct container *c = k->c;
    struct native *n = c->n;
    if (zl_remove_tree(n->run_fd, c->id_text, &err) < 0 ||
        trash_take(n->trash, n->containers_fd, c->id_text, &err) < 0) {
        native_call_fail(k, &err);
        return;
    }
    k->c = NULL;
    container_free(c);
    rt_call_succeed(&k->call);
}

static void remove_cgroups(int fd, short what, void *arg)
{
    const struct timeval pause = { 0, RETRY_MS * 1000 };
    struct native_call *k = arg;
    struct removal *r = k->more;
    struct zl_error err = { 0 };
    (void)fd;
    (void)what;
    if (!k->c) { /* another removal was faster */
        rt_call_succeed(&k->call);
        return;
    }
    if (cgroup_remove_all(&k->c->record)) {
        remove_directories(k);
        return;
    }
    if (++r->retries > RETRIES || evtimer_add(r->retry, &pause) < 0) {
        (void)zl_fail(&err, ZL_ERR_TIMEOUT, "a process in its cgroup '%s' does not end",
                      k->c->record.cgroups.n ? k->c->record.cgroups.v[0] : "");
        native_call_fail(k, &err);
        return;
    }
    cgroup_kill_all(&k->c->record); /* one may have been born while we killed */
}

static void let_monitor_go(struct native_call *k)
{
    native_call_unlimit(k);
    if (!k->c) /* a create that failed meanwhile undid all */
        return;
    container_disconnect(k->c);
    native_calls_lost(k->c); /* of others: k waits for nothing now */
}

static void without_monitor(struct native_call *k)
{
    const struct timeval now = { 0, 0 };
    struct removal *r = k->more;
    let_monitor_go(k);
    if (k->c) /* a create under way undoes all by itself */
        cgroup_kill_all(&k->c->record);
    (void)evtimer_add(r->retry, &now); /* the first add of a new timer takes no memory */
}

static void forget_failed(struct native_call *k, struct zl_error *why)
{
    (void)why; /* whatever the monitor could not do is tried without it */
    without_monitor(k);
}

/* The cgroups are gone. */
static void on_forgotten(struct native_call *k, const struct mon_message *m)
{
    (void)m;
    let_monitor_go(k);
    if (k->c)
        remove_directories(k);
    else
        rt_call_succeed(&k->call);
}

int native_remove(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    (void)rq;
    if (!k->c) { /* what nobody knows is gone: left-overs of an earlier agent were found at start */
        rt_call_answer_soon(&k->call, &(struct rt_answer){ 0 });
        return 0;
    }
    struct removal *r = calloc(1, sizeof *r);
    k->more = r;
    if (!r || !(r->retry = evtimer_new(k->call.rt->base, remove_cgroups, k))) {
        errno = ENOMEM;
        return zl_fail_errno(err, "prepare the removal");
    }
    k->release = release;
    k->on_failed = forget_failed;
    k->c->has_exit = true; /* an end that was asked for is not told as an exit */
    native_call_limit(k, FORGET_LIMIT_MS);
    if (!k->c->mon ||
        mon_client_send_forget(k->c->mon, native_call_expect(k, on_forgotten), err) < 0) {
        k->op = 0;
        without_monitor(k);
    }
    return 0;
}
